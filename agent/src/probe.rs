//! Whether what the agent depends on answers: one question for each, asked by the doctor and at the pace of polls.
//!
//! A registry is asked for `/v2/` without a login (OCI distribution specification, "end-1"): whatever it answers it is there,
//! unless a server before it says that it is not. Whether a login is accepted is the doctor's to ask.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::snapshot::ConnectionKind;

use crate::config::Config;
use crate::forge::Forge;
use crate::images::{Images, one_of_each_registry};
use quarterdeck_container::engine::EngineInfo;
use quarterdeck_core::registry_mirror::Mirror;

/// The engine's name where the configuration does not say which: it is found as the `docker` program finds it.
const FOUND: &str = "default";

/// Something that is asked, and what it answers.
pub struct Probe {
    /// What it is.
    pub to: ConnectionKind,
    /// Its name in the configuration, or its address.
    pub name: String,
    /// Its answer, however long that takes.
    pub answer: BoxFuture<'static, Result<Answer, Failure>>,
}

/// What something answered that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it is, in a few words: `Docker 28.2.2, BuildKit`. Empty where it does not say.
    pub version: String,
    /// The same with all that it says of itself.
    pub detail: String,
}

impl Probe {
    /// Asks; who has not answered after `patience` is not there.
    pub async fn ask(self, patience: Duration) -> (ConnectionKind, String, Result<Answer, Failure>) {
        let answer = tokio::time::timeout(patience, self.answer).await;
        (self.to, self.name, answer.unwrap_or_else(|_| Err(unanswered(patience))))
    }
}

/// Of something that does not answer at all.
pub fn unanswered(patience: Duration) -> Failure {
    let hint = "see that it runs, and that the way to it is open".to_owned();
    Failure { message: format!("no answer within {} s", patience.as_secs()), hint }
}

/// The engine, each registry that an image goes to, once, and each mirror; nothing where nothing is built and mirrored.
pub fn of_images(config: &Config, images: &Arc<Images>) -> Vec<Probe> {
    let builds = config.applications.iter().any(|application| application.delivery.is_some());
    let engine = builds.then(|| engine(config, images));
    let registries = one_of_each_registry(config);
    let registries = registries.iter().map(|one| registry(one.registry(), images));
    let mirrors = images.registries.mirrors().all().map(|(of, one)| mirror(of, one, images));
    engine.into_iter().chain(registries).chain(mirrors).collect()
}

/// Each forge that is told what became of its commits.
pub fn of_forges(config: &Config) -> Vec<Probe> {
    let probe = |forge: Forge| {
        let name = forge.config.url.clone();
        let answers = async move {
            forge.answers().await.map_err(|error| Failure::of(&error))?;
            Ok(Answer::default())
        };
        Probe { to: ConnectionKind::Forge, name, answer: Box::pin(answers) }
    };
    config.forge.iter().filter_map(Forge::new).map(probe).collect()
}

/// What builds: the engine, or the BuildKit daemon.
pub fn engine(config: &Config, images: &Arc<Images>) -> Probe {
    let images = images.clone();
    let info = async move {
        let info = images.engine.info().await.map_err(|error| Failure::of(&error))?;
        Ok(described(&info))
    };
    let address = config.engine.buildkit.as_ref().map(|daemon| &daemon.address).or(config.engine.address.as_ref());
    let name = address.cloned().unwrap_or_else(|| FOUND.to_owned());
    Probe { to: ConnectionKind::Engine, name, answer: Box::pin(info) }
}

/// An engine, in words.
pub fn described(info: &EngineInfo) -> Answer {
    if info.api.is_empty() {
        let version = format!("{} {}", info.name, info.version);
        return Answer { detail: format!("{version}, {} at {}", info.platform, info.address), version };
    }
    let version = format!("{} {}, {}", info.name, info.version, info.builder);
    let detail = format!("{version}, API {}, {} at {}", info.api, info.platform, info.address);
    Answer { version, detail }
}

/// A registry.
fn registry(host: &str, images: &Arc<Images>) -> Probe {
    let (images, name) = (images.clone(), host.to_owned());
    let answers = async move {
        images.registries.answers(&name).await.map_err(|error| Failure::of(&error))?;
        Ok(Answer::default())
    };
    Probe { to: ConnectionKind::Registry, name: host.to_owned(), answer: Box::pin(answers) }
}

/// The mirror of a registry: one that refuses what it is asked is as good as away.
fn mirror(of: &str, mirror: &Mirror, images: &Arc<Images>) -> Probe {
    let name = format!("{mirror}, a mirror of {of}");
    let (images, mirror, of) = (images.clone(), mirror.clone(), of.to_owned());
    let answers = async move {
        let meanwhile = format!("{of} itself is asked meanwhile; see `mirrors` under [[registry]]");
        let told = |failure: Failure| Failure { hint: meanwhile.clone(), ..failure };
        images.registries.answers(mirror.registry()).await.map_err(|error| told(Failure::of(&error)))?;
        match images.registries.mirrors().trouble(&mirror) {
            Some(trouble) => Err(told(Failure::text(trouble))),
            None => Ok(Answer::default()),
        }
    };
    Probe { to: ConnectionKind::Registry, name, answer: Box::pin(answers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_builds_nothing_asks_nobody_and_each_registry_is_asked_once() {
        let text = |builds: &str| {
            format!(
                "[[application]]\nname = \"a\"\n{builds}\n[[application.environment]]\nname = \"prod\"\nrepository = \"/srv/deploy.git\"\n\
                 namespace = \"a\"\n"
            )
        };
        let build = |image: &str| {
            format!("[application.code]\nrepository = \"/srv/a.git\"\n[[application.image]]\nname = \"{image}\"\n")
        };
        let other = |image: &str| format!("[[application]]\nname = \"b\"\n{}", build(image));
        for (config, whom) in [
            (text(""), vec![]),
            (text(&build("registry.example/a")), vec!["engine default", "registry registry.example"]),
            (
                text(&build("registry.example/a")) + &other("registry.example/b"),
                vec!["engine default", "registry registry.example"],
            ),
            (
                text(&build("registry.example/a")) + &other("library/b"),
                vec!["engine default", "registry registry.example", "registry docker.io"],
            ),
            (
                text("")
                    + "[[registry]]\nhost = 'docker.io'\nmirrors = ['m.example/hub', { address = 'n.example', tags = true }]\n",
                vec!["registry m.example/hub, a mirror of docker.io", "registry n.example, a mirror of docker.io"],
            ),
        ] {
            let config =
                Config::parse(std::path::Path::new("/etc/qd/config.toml"), &config).expect("a good configuration");
            let images = Arc::new(Images::new(&config, std::path::Path::new("/var/lib/qd")));
            let found: Vec<String> =
                of_images(&config, &images).iter().map(|one| format!("{} {}", one.to.word(), one.name)).collect();
            assert_eq!(found, whom);
        }
    }
}
