//! Looks at the cluster for a plan, and asks for nothing that is known: an object whose manifest is as at the last sync
//! and whose watch says that what is ours in it is too costs no request; any other costs one dry run, and one read where
//! that would change something (or, for many at once, a page of a list).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use quarterdeck_shared::application::EnvironmentId;
use quarterdeck_shared::resource::ResourceRef;
use serde_json::Value;

use crate::cache::ObjectCache;
use crate::objects::{Mode, Objects, collection_path, of_environment, segment};
use crate::options::Options;
use crate::problem::{ApiProblem, Class};
use crate::requests::get;
use quarterdeck_core::sync::autoscaled::{self, Autoscaler, autoscaler};
use quarterdeck_core::sync::manifest::Manifest;
use quarterdeck_core::sync::plan::{Memory, Observed, Refusal, Scaled};
use quarterdeck_core::sync::{managed_fields, takeover};

/// Futures in the air; how many requests are depends on the cluster's own bound, which is lower.
const AT_ONCE: usize = 64;

/// From this many objects of one kind and namespace on, a list is cheaper than reading each.
const LIST_FROM: usize = 8;

/// What observing needs to know.
pub(super) struct Observer<'a> {
    pub(super) objects: &'a Objects,
    pub(super) cache: &'a ObjectCache,
    pub(super) environment: &'a EnvironmentId,
    pub(super) options: &'a Options,
    /// Whether somebody is to see what would be made; else it is not kept.
    pub(super) shows: bool,
}

/// An answer to a dry run that still wants the live object beside it.
enum Seen {
    Whole(Observed),
    Wants(Arc<Value>),
}

impl Observer<'_> {
    /// What is seen of each of these objects.
    ///
    /// # Errors
    /// Where the cluster could not be asked. What it says about an object is no error: see [`Observed::Refused`].
    pub(super) async fn desired(&self, desired: &[Manifest], memory: &Memory) -> Result<Vec<Observed>, ApiProblem> {
        let comes = Comes::with(desired, self.options);
        let seen: Vec<Result<Seen, ApiProblem>> =
            at_once(desired.iter().map(|manifest| self.one(manifest, memory, &comes).boxed())).await;
        let seen = seen.into_iter().collect::<Result<Vec<_>, _>>()?;
        let wanted = desired.iter().zip(&seen).filter(|(_, seen)| matches!(seen, Seen::Wants(_)));
        let mut live = self.read(wanted.map(|(manifest, _)| manifest).collect()).await?;
        let whole = |(manifest, seen): (&Manifest, Seen)| match seen {
            Seen::Whole(observed) => observed,
            Seen::Wants(predicted) => match live.remove(&manifest.resource) {
                Some(live) => Observed::Predicted { predicted, live: Arc::new(live), scaled: None },
                None => self.absent(predicted),
            },
        };
        let observed = desired.iter().zip(seen).map(whole).collect();
        self.scaled(desired, observed).await
    }

    /// The same, with the replicas left to the autoscalers that git brings or the cluster has. Who has none at stake, and
    /// that is nearly everybody, costs no request.
    async fn scaled(&self, desired: &[Manifest], mut observed: Vec<Observed>) -> Result<Vec<Observed>, ApiProblem> {
        let stake = |(place, (manifest, observed)): (usize, (&Manifest, &Observed))| match observed {
            Observed::Predicted { predicted, live, .. } => {
                autoscaled::is_at_stake(&manifest.object.value(), live, predicted).then(|| (place, live.clone()))
            }
            _ => None,
        };
        let at_stake: Vec<(usize, Arc<Value>)> = desired.iter().zip(&observed).enumerate().filter_map(stake).collect();
        let namespaces: BTreeSet<&str> =
            at_stake.iter().filter_map(|(place, _)| desired[*place].resource.namespace.as_deref()).collect();
        let mut autoscalers: Vec<Autoscaler> = Vec::new();
        if !at_stake.is_empty() {
            let of = |manifest: &Manifest| autoscaler(&manifest.object.value(), manifest.resource.namespace.as_deref());
            autoscalers.extend(desired.iter().filter_map(of));
        }
        for namespace in namespaces {
            // One of ours that git does not bring any more goes with this very plan.
            let leaves =
                |object: &&Arc<Value>| managed_fields::owner_of(object).is_some_and(|owner| owner.is(self.environment));
            let live = self.objects.autoscalers(namespace).await?;
            autoscalers.extend(
                live.iter()
                    .filter(|object| self.options.partial || !leaves(object))
                    .filter_map(|object| autoscaler(object, Some(namespace))),
            );
        }
        for (place, live) in at_stake {
            let manifest = &desired[place];
            let Some(by) = autoscalers.iter().find(|one| one.scales(&manifest.resource)) else { continue };
            let taken = takeover::taken_over(&live);
            let Some(object) = autoscaled::leaving(by, &manifest.object.value(), &taken) else { continue };
            let manifest = Manifest { object: object.into(), ..manifest.clone() };
            let predicted = match &taken {
                Cow::Owned(_) => self.objects.dry_take_over(&manifest, &live).await,
                Cow::Borrowed(_) => self.objects.apply(&manifest, Mode::DryRun).await,
            };
            observed[place] = match predicted {
                Ok(predicted) => {
                    let scaled = Some(Scaled { by: by.name.clone(), object: manifest.object.clone() });
                    Observed::Predicted { predicted: Arc::new(predicted), live: live.clone(), scaled }
                }
                Err(problem) if problem.class.is_transient() => return Err(problem),
                Err(problem) => Observed::Refused(refusal(&manifest, &problem)),
            };
        }
        Ok(observed)
    }

    /// What an apply would make of an object that is taken over from client-side kubectl; none where it is not.
    async fn taken_over(&self, manifest: &Manifest) -> Result<Option<Observed>, ApiProblem> {
        let live = self.objects.get(&manifest.resource, Some(&manifest.version)).await?;
        let Some(live) = live.filter(|live| !takeover::managers(live).is_empty()) else { return Ok(None) };
        match self.objects.dry_take_over(manifest, &live).await {
            Ok(predicted) => {
                let (predicted, live) = (Arc::new(predicted), Arc::new(live));
                Ok(Some(Observed::Predicted { predicted, live, scaled: None }))
            }
            Err(problem) if problem.class.is_transient() => Err(problem),
            Err(problem) => Ok(Some(Observed::Refused(refusal(manifest, &problem)))),
        }
    }

    async fn one(&self, manifest: &Manifest, memory: &Memory, comes: &Comes<'_>) -> Result<Seen, ApiProblem> {
        let resource = &manifest.resource;
        let known = memory.get(resource).filter(|known| known.manifest == manifest.digest && !self.options.full);
        let live = self.cache.digest(resource);
        // A Job that ended and is gone is done; who names it wants it once more.
        let done = known.filter(|known| known.ended.is_some() && !self.options.partial).map(|known| known.live);
        if let Some(known) = known.filter(|known| live == Some(known.live)) {
            return Ok(Seen::Whole(Observed::Known(known.live)));
        }
        if let (Some(done), None) = (done, live) {
            return Ok(Seen::Whole(Observed::Known(done)));
        }
        let asked = self.objects.apply(manifest, Mode::DryRun).await;
        // Fields of kubectl's may be what is in the way, too.
        let may_be_taken = match &asked {
            Ok(predicted) => !takeover::managers(predicted).is_empty(),
            Err(problem) => matches!(problem.class, Class::Invalid | Class::Immutable | Class::Refused),
        };
        if may_be_taken && let Some(observed) = self.taken_over(manifest).await? {
            return Ok(Seen::Whole(observed));
        }
        let problem = match asked {
            Ok(predicted) => {
                return Ok(match (self.predicted(resource, predicted), done) {
                    // It went since the watch last told of it, on its way out.
                    (Seen::Whole(Observed::Absent(_)), Some(done)) => Seen::Whole(Observed::Known(done)),
                    (seen, _) => seen,
                });
            }
            Err(problem) => problem,
        };
        if problem.class.is_transient() {
            return Err(problem);
        }
        let seen = match comes.what(&problem, resource) {
            Some(reason) => Observed::Later(reason),
            None => Observed::Refused(refusal(manifest, &problem)),
        };
        Ok(Seen::Whole(seen))
    }

    fn predicted(&self, resource: &ResourceRef, predicted: Value) -> Seen {
        let Some(version) = predicted["metadata"]["resourceVersion"].as_str().filter(|v| !v.is_empty()) else {
            return Seen::Whole(self.absent(Arc::new(predicted)));
        };
        let digest = managed_fields::digest(&predicted);
        let is_same = self.cache.at(resource, version, self.environment) == Some(digest);
        if is_same { Seen::Whole(Observed::Same(digest)) } else { Seen::Wants(Arc::new(predicted)) }
    }

    fn absent(&self, predicted: Arc<Value>) -> Observed {
        Observed::Absent(Some(predicted).filter(|_| self.shows))
    }

    /// Live objects: many of one kind and namespace by lists of what carries our label, the others one by one.
    async fn read(&self, wanted: Vec<&Manifest>) -> Result<HashMap<ResourceRef, Value>, ApiProblem> {
        let mut groups: HashMap<(&str, &str, Option<&str>), Vec<&Manifest>> = HashMap::new();
        for manifest in wanted {
            let ResourceRef { group, kind, namespace, .. } = &manifest.resource;
            groups.entry((group, kind, namespace.as_deref())).or_default().push(manifest);
        }
        let mut found = HashMap::new();
        let mut singles = Vec::new();
        for members in groups.into_values() {
            if members.len() >= LIST_FROM {
                let before = found.len();
                self.list(members[0], &mut found).await?;
                tracing::debug!(listed = found.len() - before, wanted = members.len(), "live objects listed");
                singles.extend(members.into_iter().filter(|manifest| !found.contains_key(&manifest.resource)));
            } else {
                singles.extend(members);
            }
        }
        let read = |manifest: &Manifest| {
            let (resource, version) = (manifest.resource.clone(), manifest.version.clone());
            async move { self.objects.get(&resource, Some(&version)).await.map(|live| (resource, live)) }.boxed()
        };
        let answers: Vec<_> = at_once(singles.into_iter().map(read)).await;
        for answer in answers {
            if let (resource, Some(live)) = answer? {
                found.insert(resource, live);
            }
        }
        Ok(found)
    }

    async fn list(&self, like: &Manifest, found: &mut HashMap<ResourceRef, Value>) -> Result<(), ApiProblem> {
        let doing = format!("list the {} objects of {}", like.resource.kind, self.environment);
        let route = self.objects.resource(&like.resource, Some(&like.version)).await?;
        let collection = collection_path(&route.resource, like.resource.namespace.as_deref());
        let path = format!("{collection}?limit=250&labelSelector={}", of_environment(self.environment));
        let mut next = String::new();
        loop {
            let mut page = match self.objects.requests.json(&doing, get(&format!("{path}{next}"))).await {
                Ok(page) => page,
                // Who may not list can still read one by one; and so where a page grew too old meanwhile.
                Err(problem) if matches!(problem.class, Class::Forbidden | Class::Gone) => return Ok(()),
                Err(problem) => return Err(problem),
            };
            for mut object in page["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                // Items of a list do not say what they are.
                object["apiVersion"] = like.api_version().into();
                object["kind"] = like.resource.kind.clone().into();
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                found.insert(ResourceRef { name, ..like.resource.clone() }, object);
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => next = format!("&continue={}", segment(token)),
                None => return Ok(()),
            }
        }
    }
}

/// Runs them side by side; their results in their order. Boxed, since the compiler cannot see of futures that borrow
/// from what they are made of that they may move between threads.
pub(super) async fn at_once<'a, T>(futures: impl Iterator<Item = BoxFuture<'a, T>>) -> Vec<T> {
    let futures: Vec<BoxFuture<'a, T>> = futures.collect();
    stream::iter(futures).buffered(AT_ONCE).collect().await
}

/// The refusal of an object, in the server's words.
pub(super) fn refusal(manifest: &Manifest, problem: &ApiProblem) -> Refusal {
    Refusal {
        resource: manifest.resource.clone(),
        origin: manifest.origin.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone().into_owned(),
        immutable: problem.class == Class::Immutable,
    }
}

/// What the plan itself brings, so that asking for what needs it is too early.
struct Comes<'a> {
    namespaces: HashSet<&'a str>,
    kinds: HashSet<(&'a str, &'a str)>,
}

impl<'a> Comes<'a> {
    fn with(desired: &'a [Manifest], options: &'a Options) -> Self {
        let made = desired.iter().map(|manifest| &manifest.resource);
        let made = made.filter(|resource| resource.group.is_empty() && resource.kind == "Namespace");
        let mut namespaces: HashSet<&str> = made.map(|resource| resource.name.as_str()).collect();
        if options.create_namespace {
            namespaces.insert(&options.namespace);
        }
        let defined = desired.iter().filter_map(|manifest| manifest.defines.as_ref());
        Self { namespaces, kinds: defined.map(|(group, kind)| (group.as_str(), kind.as_str())).collect() }
    }

    fn what(&self, problem: &ApiProblem, resource: &ResourceRef) -> Option<String> {
        match problem.class {
            Class::KindMissing if self.kinds.contains(&(&*resource.group, &*resource.kind)) => {
                Some("its kind comes with this sync".to_owned())
            }
            Class::NamespaceMissing => {
                let namespace = resource.namespace.as_deref().filter(|name| self.namespaces.contains(name))?;
                Some(format!("namespace {namespace} comes with this sync"))
            }
            _ => None,
        }
    }
}
