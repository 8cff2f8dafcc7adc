//! Images of others that an application follows: the tag that its policy wants is written into the manifests, as one commit.
//!
//! ```text
//! tags of a registry --policy (pure)--> the tag that is wanted --the deploy branch, and its log (pure)--> a commit in git
//! ```
//!
//! Nothing is kept: the registry says what is wanted, and the branch what is so and what was written before. A registry is
//! asked for its tags once an interval, which it may answer by saying that they are the same; and the branch is looked at only where the tag,
//! its image or the branch changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quarterdeck_shared::application::{EnvironmentId, EnvironmentName, FollowSpec, PromoteBy, TagPolicy};
use quarterdeck_shared::error::Failure;
use quarterdeck_shared::event::{Cause, Event};
use quarterdeck_shared::snapshot::{FollowState, FollowedImage, FollowedIn, Object};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::DeliverError;
use super::deploy_branch::{self, DeployBranch, RACES, Ready, author, formerly};
use super::signature;
use super::stages::git;
use crate::context::{Application, Context, Destination};
use crate::journal::fact::Fact;
use crate::worker::{Reconciler, Requeue, jitter};
use quarterdeck_container::registry::credentials::Login;
use quarterdeck_container::registry::oci::{Creations, Listing, Registries, RegistryError, Validator};
use quarterdeck_core::follow::{Wanted, created};
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::promote::Promoted;
use quarterdeck_core::promote::log::{Following, Standing};
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{CommitId, PushOutcome};

/// Tags that are read of one image. The busiest public images have some thousand.
const TAGS_MAX: usize = 20_000;

/// Tags whose images are read for the time of their creation, which is two requests each the first time, and three of one with several
/// platforms. A public registry takes some hundred an hour of one address; a pattern that matches more is to be narrowed.
const CREATED_MAX: usize = 200;

/// Images that are asked for at a time, of all applications: registries count what comes from one address.
static ASKING: Semaphore = Semaphore::const_new(8);

/// How long the first look waits for the first poll of a deploy repository.
const POLLED_WITHIN: Duration = Duration::from_secs(30);

/// Follows the images of one application.
pub struct Follower {
    context: Arc<Context>,
    application: Arc<Application>,
    known: BTreeMap<String, Known>,
}

/// What is known of an image.
struct Known {
    status: FollowedImage,
    /// By environment what was looked at last: while all of it is the same, the answer is.
    looked: BTreeMap<EnvironmentName, Looked>,
    /// Its registry asked not to be asked before.
    not_before: Option<Instant>,
    /// What the registry knows its list of tags again by, and which of it is wanted.
    listed: Option<(Validator, Option<String>)>,
    /// When its images were created, where that decides.
    created: Creations,
    /// Its policy, with what was read for it.
    wanted: Option<Wanted>,
}

/// Why the tags of an image are not known.
struct NotKnown {
    failure: Failure,
    /// How long the registry asks to be left alone.
    retry_after: Option<Duration>,
}

impl From<Failure> for NotKnown {
    fn from(failure: Failure) -> Self {
        Self { failure, retry_after: None }
    }
}

impl From<RegistryError> for NotKnown {
    fn from(error: RegistryError) -> Self {
        Self { failure: Failure::of(&error), retry_after: error.retry_after() }
    }
}

/// What an answer was given to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Looked {
    tag: String,
    digest: String,
    /// The tip of the deploy branch, as it was polled.
    tip: Option<CommitId>,
}

impl Follower {
    /// Nothing is known yet.
    pub fn new(context: &Arc<Context>, application: &Arc<Application>) -> Self {
        Self { context: context.clone(), application: application.clone(), known: BTreeMap::new() }
    }

    async fn check(&mut self, spec: &FollowSpec) {
        let mut known = self.known.remove(&spec.image).unwrap_or_else(|| Known {
            status: FollowedImage {
                application: self.application.spec.name.clone(),
                image: spec.image.clone(),
                policy: spec.policy.to_string(),
                tag: None,
                digest: None,
                checked: None,
                environments: BTreeMap::new(),
                error: None,
                hint: String::new(),
            },
            looked: BTreeMap::new(),
            not_before: None,
            listed: None,
            created: Creations::default(),
            wanted: None,
        });
        if known.not_before.is_some_and(|until| Instant::now() < until) {
            self.known.insert(spec.image.clone(), known);
            return;
        }
        let asked = {
            let _place = ASKING.acquire().await;
            self.ask(spec, &mut known).await
        };
        match asked {
            Ok((tag, digest)) => {
                let checked = Some(Timestamp::now());
                known.status = FollowedImage { tag, digest, checked, error: None, hint: String::new(), ..known.status };
                self.write(spec, &mut known).await;
            }
            Err(NotKnown { failure: Failure { message, hint }, retry_after }) => {
                known.not_before = retry_after.map(|wait| Instant::now() + wait);
                if known.status.error.as_ref() != Some(&message) {
                    tracing::warn!(image = %spec.image, error = %message, %hint, "cannot ask for the tags of an image");
                }
                known.status = FollowedImage { error: Some(message), hint, ..known.status };
            }
        }
        if !self.application.stop.is_cancelled() {
            let seen = Object::FollowedImage(Box::new(known.status.clone()));
            self.context.journal.publish(vec![Fact::Seen(seen)]).await;
        }
        self.known.insert(spec.image.clone(), known);
    }

    /// The tag that is wanted and its digest; what the registry said last where a tag that does not move is the same.
    async fn ask(&self, spec: &FollowSpec, known: &mut Known) -> Result<(Option<String>, Option<String>), NotKnown> {
        let wanted = Wanted::read(&spec.policy).map_err(|error| Failure::from(error.to_string()))?;
        let image = ImageRef::parse(&spec.image).map_err(|error| Failure::from(error.to_string()))?;
        let images = self.context.images();
        let login = images.login(&image).await.map_err(|error| Failure::of(&error))?;
        let (tag, validator) = match wanted {
            Wanted::Tag(ref tag) => {
                let tag = Some(tag.clone());
                known.wanted = Some(wanted);
                (tag, None)
            }
            wanted => self.choose(wanted, &images.registries, &image, login.as_ref(), known).await?,
        };
        let Some(tag) = tag else {
            known.listed = validator.map(|validator| (validator, None));
            return Ok((None, None));
        };
        let last = &known.status;
        if last.tag.as_ref() == Some(&tag) && last.digest.is_some() && !matches!(spec.policy, TagPolicy::Tag(_)) {
            known.listed = validator.map(|validator| (validator, Some(tag.clone())));
            return Ok((Some(tag), last.digest.clone()));
        }
        let tagged =
            ImageRef::parse(&format!("{}:{tag}", spec.image)).map_err(|error| Failure::from(error.to_string()))?;
        let digest = images.registries.find_digest(&tagged, login.as_ref()).await?;
        // A tag that is listed and not there was deleted in between, or is not there yet: the list is asked for again.
        let Some(digest) = digest else { return Ok((None, None)) };
        known.listed = validator.map(|validator| (validator, Some(tag.clone())));
        Ok((Some(tag), Some(digest)))
    }

    /// Chooses of the tags that the registry lists; where they are the same as before, so is the choice. The list is only known again
    /// once all of the answer is: what is listed is taken out here.
    async fn choose(
        &self,
        mut wanted: Wanted,
        registries: &Registries,
        image: &ImageRef,
        login: Option<&Login>,
        known: &mut Known,
    ) -> Result<(Option<String>, Option<Validator>), NotKnown> {
        let before = known.listed.take();
        let listing = registries.tags_since(image, login, TAGS_MAX, before.as_ref().map(|(validator, _)| validator));
        let (tags, validator) = match (listing.await?, before) {
            (Listing::Tags { tags, validator }, _) => (tags.tags, validator),
            (Listing::Unchanged, Some((validator, tag))) => return Ok((tag, Some(validator))),
            (Listing::Unchanged, None) => return Ok((None, None)),
        };
        let to_be_read = wanted.to_be_read(tags.iter().map(String::as_str));
        if let (Some(tags), Wanted::NewestCreated { oldest_first, .. }) = (to_be_read, &mut wanted) {
            if tags.len() > CREATED_MAX {
                let message = format!("{} tags match, and the creation of at most {CREATED_MAX} is read", tags.len());
                let hint = "narrow the pattern of newest_created, or delete old tags in the registry";
                return Err(Failure { message, hint: hint.to_owned() }.into());
            }
            known.created.retain(&tags);
            registries.read_created(image, login, &tags, &mut known.created).await?;
            *oldest_first = created::oldest_first(tags.iter().map(|tag| (*tag, known.created.of(tag))));
        }
        let tag = match &wanted {
            // Those that do not say when they were created are not wanted.
            Wanted::NewestCreated { oldest_first, .. } => oldest_first.last().cloned(),
            wanted => wanted.choose(tags.iter().map(String::as_str)).map(str::to_owned),
        };
        known.wanted = Some(wanted);
        Ok((tag, validator))
    }

    /// Writes it into the manifests of each environment that is to have it.
    async fn write(&self, spec: &FollowSpec, known: &mut Known) {
        let (Some(tag), Some(digest)) = (known.status.tag.clone(), known.status.digest.clone()) else { return };
        let Some(wanted) = known.wanted.clone() else { return };
        let destinations = self.application.destinations.iter();
        let wants = |to: &&Destination| spec.is_for(&to.spec.name) && to.spec.promote.by != PromoteBy::None;
        for to in destinations.filter(wants) {
            let name = &to.spec.name;
            let looked = Looked { tag: tag.clone(), digest: digest.clone(), tip: tip(to).await };
            let before = known.status.environments.get(name).filter(|one| one.state != FollowState::Failed);
            if before.is_some() && known.looked.get(name) == Some(&looked) {
                continue;
            }
            let found = match self.put(spec, &wanted, to, &tag, &digest).await {
                Ok(found) => found,
                // Whoever signs it does so after the push: it is asked for again at the next interval.
                Err(error @ DeliverError::Unsigned { .. }) => {
                    let Failure { message, hint } = Failure::of(&error);
                    known.looked.remove(name);
                    known
                        .status
                        .environments
                        .insert(name.clone(), FollowedIn { state: FollowState::Held, message, hint });
                    continue;
                }
                Err(error) => {
                    let Failure { message, hint } = Failure::of(&error);
                    FollowedIn { state: FollowState::Failed, message, hint }
                }
            };
            if found.state == FollowState::Failed && known.status.environments.get(name) != Some(&found) {
                tracing::warn!(environment = %name, image = %spec.image, error = %found.message, "cannot promote an image");
            }
            known.looked.insert(name.clone(), looked);
            known.status.environments.insert(name.clone(), found);
        }
    }

    /// Makes the manifests of one environment name it.
    async fn put(
        &self,
        spec: &FollowSpec,
        wanted: &Wanted,
        to: &Destination,
        tag: &str,
        digest: &str,
    ) -> Result<FollowedIn, DeliverError> {
        let id = EnvironmentId::new(&self.application.spec.name, &to.spec.name);
        let promoted = Promoted {
            image: spec.image.clone(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            by: to.spec.promote.by,
        };
        let following = Following {
            application: id.application.clone(),
            environment: id.environment.clone(),
            image: spec.image.clone(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            path: to.spec.promoted_place(),
            policy: spec.policy.to_string(),
        };
        let formerly = formerly(&to.spec);
        for _ in 0..RACES {
            let deploy = DeployBranch::new(&self.context, id.clone(), to, vec![promoted.clone()]);
            let (following, wanted, promote) = (following.clone(), wanted.clone(), to.spec.promote.clone());
            let formerly = formerly.clone();
            let decide = move |mirror: &Mirror| {
                let message = following.below(&message(&promote.message, &following));
                let standing = |log: &[_]| following.standing(&wanted, formerly.as_deref(), log);
                Ok(decide(mirror, &deploy, &following, standing, &author(&promote.author), &message))
            };
            let ready = match to.repository.work(decide).await.map_err(git("promote"))?? {
                Decided::Push(ready) => ready,
                Decided::Stays(found) => return Ok(found),
            };
            let required = &to.spec.promote.require_signature;
            let signed = signature::require(&self.context, required, &[(&spec.image, digest)]).await?;
            let Ready { branch, base, commit, .. } = ready.clone();
            let pushed = to.repository.work(move |mirror| mirror.push(&branch, &base, &commit)).await;
            if pushed.map_err(git("push the commit"))? == PushOutcome::Pushed {
                to.repository.wake();
                let found = self.pushed(to, spec, (tag, digest), &ready.commit).await?;
                let message = signed.map_or(found.message.clone(), |by| format!("{}; {by}", found.message));
                return Ok(FollowedIn { message, ..found });
            }
        }
        Err(DeliverError::Raced { branch: to.branch().unwrap_or("(default)").to_owned(), tries: RACES })
    }

    async fn pushed(
        &self,
        to: &Destination,
        spec: &FollowSpec,
        (tag, digest): (&str, &str),
        commit: &CommitId,
    ) -> Result<FollowedIn, DeliverError> {
        let id = EnvironmentId::new(&self.application.spec.name, &to.spec.name);
        let image = format!("{}:{tag}@{digest}", spec.image);
        let cause = Cause::ImageTag { image: spec.image.clone(), tag: tag.to_owned() };
        let source = to.spec.promoted_source().map(|source| source.name.clone());
        let event = Event::ImagePromoted { images: vec![image], commit: commit.clone(), source };
        self.context.journal.record(vec![Fact::happened(&id, &cause, event)]).await?;
        Ok(current(format!("promoted by {}", to.commit(commit))))
    }
}

impl Reconciler for Follower {
    /// Each image in turn. What fails is tried again at the pace of the interval, so that no registry is hammered.
    async fn reconcile(&mut self) -> Requeue {
        let application = self.application.clone();
        for spec in &application.spec.followed {
            if application.stop.is_cancelled() {
                return Requeue::Idle;
            }
            self.check(spec).await;
        }
        Requeue::After(jitter(self.context.config().agent.image_interval.0))
    }
}

/// The tip of the branch that an environment is deployed from, once it was polled.
async fn tip(to: &Destination) -> Option<CommitId> {
    let mut refs = to.repository.refs();
    let refs = tokio::time::timeout(POLLED_WITHIN, refs.wait_for(|refs| refs.is_some())).await.ok()?.ok()?;
    let refs = refs.as_deref()?;
    let branch = to.branch().or(refs.default_branch.as_deref())?;
    refs.branches.get(branch).cloned()
}

/// What one look at the branch came to.
enum Decided {
    /// Nothing is written.
    Stays(FollowedIn),
    /// This commit is to be pushed.
    Push(Ready),
}

/// One look at the branch as it is now: reads, asks the log, edits and commits, all but the push.
fn decide(
    mirror: &Mirror,
    deploy: &DeployBranch,
    following: &Following,
    standing: impl Fn(&[(CommitId, Following)]) -> Standing,
    author: &quarterdeck_git::Author,
    message: &str,
) -> Result<Decided, DeliverError> {
    let tip = deploy.at_tip(mirror)?;
    if tip.is_so_already() {
        return Ok(Decided::Stays(current(following.tag.clone())));
    }
    let held =
        |message: String| Ok(Decided::Stays(FollowedIn { state: FollowState::Held, message, hint: String::new() }));
    let log = tip.log(mirror, Following::read)?;
    match standing(&log) {
        Standing::New => tip.commit(mirror, author, message).map(Decided::Push),
        Standing::Reverted(commit) => {
            held(format!("{} was promoted by {} and reverted", following.tag, commit.short()))
        }
        Standing::Older { than, commit } => {
            held(format!("{} is older than {than}, promoted by {}", following.tag, commit.short()))
        }
    }
}

fn current(message: String) -> FollowedIn {
    FollowedIn { state: FollowState::Current, message, hint: String::new() }
}

/// The user's template, without the lines that speak of a commit of the code: there is none.
fn message(template: &str, following: &Following) -> String {
    let lines = template.lines().filter(|line| !line.contains("{commit}"));
    let template: String = lines.flat_map(|line| [line, "\n"]).collect();
    let Following { application, environment, image, tag, digest, .. } = following;
    let pinned = format!("{image}:{tag}@{digest}");
    let fill = [
        ("{application}", application.as_str()),
        ("{environment}", environment.as_str()),
        ("{images}", &pinned),
        ("{tag}", tag),
    ];
    deploy_branch::message(&template, &fill)
}
