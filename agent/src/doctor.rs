//! The doctor: asks everything that the agent depends on, at once, and says what to do where it does not answer well, and
//! where what is shown stands on something that cannot be seen.

mod daemon;
mod decryption;
mod dependencies;
mod mirrors;
mod remotes;
mod renders;
mod scanners;
mod sight;
mod signing;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use quarterdeck_shared::application::{ApplicationSpec, RenderKind, Signers};
use quarterdeck_shared::protocol::{Check, CheckResult};
use quarterdeck_shared::snapshot::{ConfigurationStatus, Key, Object, Unseen};

use crate::charts::source::ChartSource;
use crate::config::{Config, of_buildkit};
use crate::context::Context;
use crate::images::one_of_each_registry;
use crate::poll::Repository;
use crate::probe::{self, Probe};
use crate::renderers::confinement::{Confinement, Reach};
use crate::renderers::programs::Program;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_git::{RefSnapshot, mirror};
use quarterdeck_shared::error::{Failure, Hint, chain};

/// A check that takes longer is told as not answered: a person waits for it.
const PATIENCE: Duration = Duration::from_secs(15);

/// What to do where a registry refuses and nobody knows more.
const LOG_IN: &str = "set username and password_env or password_file in [[registry]], or log in with docker login";

/// What to do where the engine builds without BuildKit what needs it.
const BUILDKIT: &str = "build on Docker 18.09 or newer, without `builder = \"classic\"` in [engine]";

/// Checks git, engine, registries, forges, clusters, keys, and the programs that scan, sign and render.
pub async fn check(context: &Arc<Context>) -> Vec<Check> {
    let mut checks: Vec<BoxFuture<'static, Check>> = Vec::new();
    for repository in context.repositories.all() {
        if repository.artifact().is_some() {
            checks.push(Box::pin(within(format!("artifact {}", repository.address()), artifact(repository))));
            continue;
        }
        let polled = polled(context, &repository);
        checks.push(Box::pin(within(format!("git {}", repository.address()), git(repository, polled))));
    }
    match &context.config().engine.buildkit {
        None => checks.push(Box::pin(within("engine".to_owned(), engine(context.clone())))),
        Some(daemon) => {
            checks.push(Box::pin(within(format!("buildkit {}", daemon.address), daemon::builds(context.clone()))));
            checks.push(Box::pin(within("engine".to_owned(), daemon::engine(context.clone()))));
        }
    }
    for image in one_of_each_registry(&context.config()) {
        checks.push(Box::pin(within(format!("registry {}", image.registry()), registry(context.clone(), image))));
    }
    for (of, one) in context.images().registries.mirrors().all() {
        let name = format!("mirror {one} of {of}");
        checks.push(Box::pin(within(name, mirrors::answers(context.clone(), of.to_owned(), one.clone()))));
    }
    let mut asked = BTreeSet::new();
    for source in context.charts.all() {
        // Each repository once, by the first chart of it.
        if asked.insert(source.spec.repository.clone()) {
            checks.push(Box::pin(within(format!("charts {}", source.spec.repository), charts(source))));
        }
    }
    for address in remotes::used(context) {
        checks.push(Box::pin(within(format!("remote {address}"), remotes::tags(context.clone(), address))));
    }
    for named in dependencies::used(context) {
        let name = format!("dependencies {}", named.repository);
        checks.push(Box::pin(within(name, dependencies::answers(context.clone(), named))));
    }
    for probe in probe::of_forges(&context.config()) {
        checks.push(Box::pin(within(format!("forge {}", probe.name), forge(probe))));
    }
    if let Some(webhook) = &context.config().webhook {
        checks.push(Box::pin(within(format!("webhook {}", webhook.listen), listener(webhook.listen))));
    }
    for cluster in context.clusters.all() {
        checks.push(Box::pin(within(format!("cluster {}", cluster.name()), kubernetes(cluster))));
    }
    if let Some(status) = in_git(context) {
        let place = format!("configuration {}", status.repository);
        checks.push(Box::pin(within(place, async move { configuration(&status) })));
    }
    for (name, signers) in signers(&context.config()) {
        checks.push(Box::pin(within(format!("signers {name}"), signatures(signers))));
    }
    for (name, scanner) in scanners::of(context) {
        checks.push(Box::pin(within(name, scanner)));
    }
    for (name, sign) in signing::keys(&context.config()) {
        checks.push(Box::pin(within(format!("signing {name}"), signing::programs(sign))));
    }
    for (id, keys) in signing::required(&context.config()) {
        checks.push(Box::pin(within(format!("signature keys {id}"), signing::readable(keys))));
    }
    checks.push(Box::pin(within("renderer kustomize".to_owned(), kustomize(context.clone()))));
    checks.push(Box::pin(within("renderer helm".to_owned(), helm(context.clone()))));
    checks.push(Box::pin(within("renders".to_owned(), renders::kept(context.clone()))));
    checks.push(Box::pin(within("renderer jsonnet".to_owned(), jsonnet(context.clone()))));
    let confinement = context.renderers.confinement.clone();
    checks.push(Box::pin(within("renderer confinement".to_owned(), async move { confined(&confinement) })));
    for file in decryption::files(&context.config()) {
        checks.push(Box::pin(within(format!("age keys {}", file.display()), decryption::keys(file))));
    }
    checks.push(Box::pin(within("sops".to_owned(), decryption::program(context.clone()))));
    let (memory, needs_it) = (context.renderers.memory.clone(), decryption::is_used(&context.config()));
    checks.push(Box::pin(within("decrypted files".to_owned(), async move {
        decryption::given(memory.as_deref(), needs_it)
    })));
    let mut checks = join_all(checks).await;
    checks.extend(sight::checks(context.journal.snapshot().environments().iter()));
    checks
}

async fn within(name: String, check: impl Future<Output = Found>) -> Check {
    let found = tokio::time::timeout(PATIENCE, check).await;
    let found = found.unwrap_or_else(|_| Found::not(probe::unanswered(PATIENCE)));
    Check { name, result: found.result, message: found.message, hint: found.hint }
}

/// What a check came to.
struct Found {
    result: CheckResult,
    message: String,
    hint: String,
}

impl Found {
    fn good(message: impl Into<String>) -> Self {
        Self { result: CheckResult::Good, message: message.into(), hint: String::new() }
    }

    fn bad(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { result: CheckResult::Bad, message: message.into(), hint: hint.into() }
    }

    /// Of an error, with what it says to do, else `hint`.
    fn of(error: &impl Hint, hint: &str) -> Self {
        Self::not(Failure::of(error).or_hint(hint))
    }

    fn not(Failure { message, hint }: Failure) -> Self {
        Self { result: CheckResult::Bad, message, hint }
    }
}

/// Whether a forge takes our token; whether it lets us write statuses is seen with the first of them.
async fn forge(probe: Probe) -> Found {
    match probe.answer.await {
        Ok(_) => Found::good("answers, and accepts the token"),
        Err(failure) => Found::not(failure),
    }
}

/// Those whose signed tags trigger, by application, and those whose signed commits are the configuration.
fn signers(config: &Config) -> Vec<(String, Signers)> {
    let of = |one: &ApplicationSpec| {
        let signers = one.delivery.as_ref()?.code.require_signed.clone()?;
        Some((one.name.to_string(), signers))
    };
    let own = config.configuration.iter().filter_map(|configuration| configuration.require_signed.clone());
    let own = own.map(|signers| ("of the configuration".to_owned(), signers));
    own.chain(config.applications.iter().filter_map(of)).collect()
}

/// The part of the configuration that is in git.
fn in_git(context: &Context) -> Option<ConfigurationStatus> {
    match context.journal.snapshot().get(&Key::agent()).as_deref() {
        Some(Object::Agent(status)) => status.configuration_in_git.as_deref().cloned(),
        _ => None,
    }
}

/// Which commit of the configuration is in force, and why not a newer one.
fn configuration(status: &ConfigurationStatus) -> Found {
    let hint = "fix it in the repository; `qd-agent check --as-git DIR` checks a working copy";
    if let Some(trouble) = status.trouble() {
        return Found::bad(trouble, hint);
    }
    let signed = if status.signer.is_empty() { String::new() } else { format!(", signed by {}", status.signer) };
    match (&status.commit, status.kept) {
        (Some(commit), false) => Found::good(format!("commit {} is in use{signed}", commit.short())),
        (Some(commit), true) => {
            Found::good(format!("commit {} is in use{signed}, as the previous run read it", commit.short()))
        }
        (None, _) => Found {
            result: CheckResult::Warning,
            message: "not read yet".to_owned(),
            hint: "the repository is polled; ask again in a moment".to_owned(),
        },
    }
}

/// Whether signatures of tags can be checked: the programs, and the files that say who may sign.
async fn signatures(signers: Signers) -> Found {
    let look = move || {
        let files = || signers.ssh.iter().chain(&signers.gpg);
        let trouble =
            mirror::missing_programs(&signers).or_else(|| files().find_map(|file| mirror::readable(file).err()));
        let names = files().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        trouble.map_or_else(|| Found::good(format!("named in {names}")), |error| Found::of(&error, ""))
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Found::bad(error.to_string(), ""))
}

/// Whether somebody listens where webhooks are to come; that it is us is in the agent's log.
async fn listener(address: SocketAddr) -> Found {
    match tokio::net::TcpStream::connect(address).await {
        Ok(_) => Found::good("listens"),
        Err(error) => Found::bad(
            format!("nothing listens: {error}"),
            "see the agent's log for why; repositories are polled as before",
        ),
    }
}

/// Why the last poll of a repository failed, if it did.
fn polled(context: &Context, repository: &Repository) -> Option<String> {
    let key = Key::repository(repository.address());
    match context.journal.snapshot().get(&key).as_deref() {
        Some(Object::Repository(status)) => status.error.clone(),
        _ => None,
    }
}

/// A listing says that the way there is open; what is worked with is what the polls fetch.
async fn git(repository: Arc<Repository>, polled: Option<String>) -> Found {
    match repository.work(|mirror| mirror.list_refs()).await {
        Ok(_) if polled.is_some() => Found::bad(
            format!("refs are listed, and the last poll failed: {}", polled.unwrap_or_default()),
            "poll it again with `qd refresh NAME`; each failure is in the agent's log",
        ),
        Ok(refs) => {
            let fetched = repository.refs().borrow().clone();
            listed(&refs, fetched.as_deref())
        }
        Err(error) => Found::of(&error, "try it manually: git ls-remote ADDRESS"),
    }
}

/// Whether the registry of an artifact answers and has what is wanted, and why it is not deployed where it is not.
async fn artifact(repository: Arc<Repository>) -> Found {
    let Some(artifact) = repository.artifact() else { return Found::good("") };
    match artifact.check().await {
        Ok(wanted) => {
            let trouble = repository.trouble().borrow().clone();
            trouble.map_or_else(
                || Found::good(format!("answers: {wanted}")),
                |trouble| Found::bad(trouble.reason, trouble.hint),
            )
        }
        Err(error) => Found::of(&error, LOG_IN),
    }
}

/// What a listing holds, and what of it triggers nothing.
fn listed(refs: &RefSnapshot, fetched: Option<&RefSnapshot>) -> Found {
    /// Names in one line: what a person reads.
    const NAMES: usize = 3;
    let count = format!("{} branches, {} tags", refs.branches.len(), refs.tags.len());
    let no_commit = fetched.map(|refs| refs.tags.iter().filter(|(_, tag)| tag.commit.is_none()).map(|(name, _)| name));
    let no_commit: Vec<&String> = no_commit.into_iter().flatten().collect();
    let names = |what: &str, names: &[&String]| {
        let shown = names.iter().take(NAMES).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("{what}: {shown}{more}"))
    };
    let skipped: Vec<&String> = refs.skipped.iter().collect();
    let left_out = [names("invalid ref names", &skipped), names("tags that point to no commit", &no_commit)];
    let left_out: Vec<String> = left_out.into_iter().flatten().collect();
    match left_out.is_empty() {
        true => Found::good(count),
        false => Found {
            result: CheckResult::Warning,
            message: format!("{count}; ignored: {}", left_out.join("; ")),
            hint: "delete or rename these refs if they are not meant".to_owned(),
        },
    }
}

async fn engine(context: Arc<Context>) -> Found {
    let config = context.config();
    let builds = config.applications.iter().any(|application| application.delivery.is_some());
    match context.images().engine.info().await {
        Ok(info) => {
            let detail = probe::described(&info).detail;
            match needs_buildkit(&config).filter(|_| info.builder != "BuildKit") {
                Some(needs) => Found::bad(format!("{detail}; {needs}"), BUILDKIT),
                None => Found::good(detail),
            }
        }
        Err(error) if builds => Found::of(&error, ""),
        Err(error) => Found {
            result: CheckResult::Warning,
            message: Failure::of(&error).message,
            hint: "no application builds an image, so none is needed".to_owned(),
        },
    }
}

/// Whose builds fail without BuildKit, where there are such.
fn needs_buildkit(config: &Config) -> Option<String> {
    let needs = |application: &&ApplicationSpec| {
        let images = application.delivery.iter().flat_map(|delivery| &delivery.images);
        images.flat_map(of_buildkit).next().is_some()
    };
    let names: Vec<&str> = config.applications.iter().filter(needs).map(|one| one.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("the builds of {} need BuildKit", names.join(", ")))
}

async fn registry(context: Arc<Context>, image: ImageRef) -> Found {
    let images = context.images();
    let (login, notes) = match images.search(&image).await {
        Ok(found) => found,
        Err(error) => {
            return Found::of(&error, LOG_IN);
        }
    };
    let who = if login.is_some() { "the login is accepted" } else { "it answers, and no login is known for it" };
    let note = notes.iter().map(|note| format!("; {note}")).collect::<String>();
    match images.registries.check_login(&image, login.as_ref()).await {
        Ok(()) => Found::good(format!("{who}{note}")),
        Err(error) => {
            let found = Found::of(&error, LOG_IN);
            Found { message: format!("{}{note}", found.message), ..found }
        }
    }
}

/// Whether a registry or chart repository lets us read a chart.
async fn charts(source: Arc<ChartSource>) -> Found {
    match source.check().await {
        Ok(versions) => Found::good(format!("answers, and has {versions} versions of {}", source.spec.name)),
        Err(problem) => Found::of(&problem, ""),
    }
}

async fn kubernetes(cluster: quarterdeck_kubernetes::Cluster) -> Found {
    match cluster.version().await {
        Ok(version) => watched(version, &cluster.watches_missing()),
        Err(problem) => Found::of(&problem, ""),
    }
}

/// A cluster that answers and does not let what it runs be watched is not well.
fn watched(version: String, missing: &[Unseen]) -> Found {
    let Some(first) = missing.first() else { return Found::good(version) };
    let more = match missing.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Found::bad(
        format!("{version}; {}{more}", first.describe()),
        "give the agent's user list and watch on these; agent/rbac.yaml is the role that it needs",
    )
}

async fn kustomize(context: Arc<Context>) -> Found {
    let Some(program) = context.renderers.kustomize().cloned() else {
        return Found {
            result: CheckResult::Warning,
            message: "neither kustomize nor kubectl was in PATH when the agent began".to_owned(),
            hint: "install one of them where manifests have a kustomization.yaml; plain YAML needs none".to_owned(),
        };
    };
    version(program).await
}

async fn helm(context: Arc<Context>) -> Found {
    let Some(program) = context.renderers.helm().cloned() else {
        let config = context.config();
        let mut environments = config.applications.iter().flat_map(|application| &application.environments);
        return match environments.any(|one| one.render == RenderKind::Helm || one.helm.chart.is_some()) {
            true => Found::bad("helm was not in PATH when the agent began".to_owned(), "install helm 3 or 4"),
            false => Found::good("helm was not in PATH when the agent began; charts alone need it".to_owned()),
        };
    };
    version(program).await
}

async fn jsonnet(context: Arc<Context>) -> Found {
    let Some(program) = context.renderers.jsonnet().cloned() else {
        let config = context.config();
        let mut environments = config.applications.iter().flat_map(|application| &application.environments);
        return match environments.any(|one| one.render == RenderKind::Jsonnet) {
            true => Found::bad("jsonnet was not in PATH when the agent began", "install go-jsonnet, or jsonnet"),
            false => Found::good("jsonnet was not in PATH when the agent began; `render = \"jsonnet\"` alone needs it"),
        };
    };
    version(program).await
}

/// How far renderers are kept to themselves; less than is possible is no fault of a render.
fn confined(confinement: &Confinement) -> Found {
    let message = confinement.describe();
    match confinement.reach {
        Reach::Alone | Reach::OwnFiles => Found::good(message),
        Reach::NoNetwork | Reach::All => Found {
            result: CheckResult::Warning,
            message,
            hint: "let the agent's user make user namespaces, and start the agent again; the guide says what else renderers see"
                .to_owned(),
        },
    }
}

async fn version(program: Program) -> Found {
    let words = program.command();
    let span = tracing::Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(|| program.version())).await {
        Ok(Ok(version)) => Found::good(format!("{words}, {version}")),
        Ok(Err(error)) => Found::bad(chain(&error), format!("run `{words}` manually")),
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarterdeck_git::{ObjectId, TagRef};

    #[test]
    fn refs_that_trigger_nothing_are_named() {
        let object: ObjectId = "0".repeat(40).parse().unwrap();
        let mut refs = RefSnapshot::default();
        assert_eq!(listed(&refs, Some(&refs)).message, "0 branches, 0 tags");
        refs.skipped = vec!["refs/heads/a\\xe9".to_owned()];
        refs.tags = (1..=5).map(|n| (format!("t{n}"), TagRef { object: object.clone(), commit: None })).collect();
        let found = listed(&refs, Some(&refs));
        assert_eq!(found.result, CheckResult::Warning);
        assert_eq!(
            found.message,
            "0 branches, 5 tags; ignored: invalid ref names: refs/heads/a\\xe9; tags that point to no commit: t1, t2, t3 and 2 more"
        );
    }
}
