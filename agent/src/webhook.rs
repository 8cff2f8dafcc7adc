//! The listener for webhooks: a forge says that something was pushed, and the repository is polled now instead of at its next
//! turn; a Harbor says it, and the images that are followed there are looked at. Both go on without it, so a hook that is lost costs
//! time and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use quarterdeck_core::backoff::doubled;
use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_core::webhook::{self, harbor::Pushed};
use quarterdeck_git::url::RepositoryUrl;
use quarterdeck_shared::application::FollowSpec;
use quarterdeck_shared::error::chain;
use quarterdeck_system::secret;
use secrecy::ExposeSecret as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::webhook::WebhookConfig;
use crate::context::Context;
use crate::flood::Flood;
use crate::poll::Repository;

/// Connections at the same time; forges open one a hook, and close it.
const CONNECTIONS_MAX: usize = 64;

/// Bytes of a hook. Those of a push with twenty commits have some 50 KB; what is longer is found by the next poll.
const BODY_MAX: usize = 1 << 20;

/// Who has not sent its request by then is let go: forges wait for ten seconds themselves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Deliveries that are remembered, so that one that is sent again polls nothing: those of an hour of a busy forge.
const REMEMBERED: usize = 1_000;

/// The waits before the listener is tried again, from the first to the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Listens where the configuration says so, until the agent ends.
pub async fn listen(context: Arc<Context>) {
    let mut configuration = context.config.subscribe();
    let mut failures = 0;
    loop {
        let webhook = configuration.borrow_and_update().webhook.clone();
        let is_other = |config: &Arc<crate::config::Config>| config.webhook != webhook;
        let Some(config) = webhook.clone() else {
            tokio::select! {
                changed = configuration.wait_for(is_other) => if changed.is_err() { return },
                () = context.stop.cancelled() => return,
            }
            continue;
        };
        let end = context.stop.child_token();
        let (address, result) = (config.listen, TcpListener::bind(config.listen).await);
        let mut served = None;
        let wait = match result {
            Ok(listener) => {
                tracing::info!(%address, "webhooks are accepted");
                failures = 0;
                served = Some(tokio::spawn(serve(listener, context.clone(), config, end.clone())));
                None
            }
            Err(error) => {
                failures += 1;
                tracing::error!(%address, %error, "cannot listen for webhooks; repositories are polled as before");
                Some(doubled(AGAIN.0, failures, AGAIN.1))
            }
        };
        tokio::select! {
            changed = configuration.wait_for(is_other) => if changed.is_err() { return },
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            () = context.stop.cancelled() => return,
        }
        end.cancel();
        // Only then its place is free, should the next be the same with another secret.
        if let Some(served) = served {
            let _ = served.await;
        }
    }
}

/// What each hook is held against.
struct Hooks {
    context: Arc<Context>,
    config: WebhookConfig,
    delivered: Mutex<VecDeque<String>>,
    refused: Mutex<Flood>,
}

async fn serve(listener: TcpListener, context: Arc<Context>, config: WebhookConfig, end: CancellationToken) {
    let hooks = Hooks { context, config, delivered: Mutex::default(), refused: Mutex::default() };
    let router = Router::new().fallback(hook).with_state(Arc::new(hooks));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        // One that cannot be accepted, for want of files, is the next poll's to make up for.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(AGAIN.0).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (router, end) = (router.clone(), end.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = attend(stream, router) => {}
                () = end.cancelled() => {}
            }
            drop(place);
        });
    }
}

async fn attend(stream: TcpStream, router: Router) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Who goes away or sends garbage has had its answer.
    let _ = connection.await;
}

async fn hook(State(hooks): State<Arc<Hooks>>, headers: HeaderMap, body: Body) -> (StatusCode, String) {
    let body = match tokio::time::timeout(PATIENCE, to_bytes(body, BODY_MAX)).await {
        Err(_) => return (StatusCode::REQUEST_TIMEOUT, String::new()),
        Ok(Err(_)) => return (StatusCode::PAYLOAD_TOO_LARGE, format!("a webhook has {BODY_MAX} bytes at most\n")),
        Ok(Ok(body)) => body,
    };
    let secret = match secret::read(&hooks.config.secret()) {
        Ok(secret) => secret,
        Err(error) => {
            hooks.refuses(&format!("the secret of webhooks cannot be read: {}", chain(&error)));
            return (StatusCode::SERVICE_UNAVAILABLE, "the agent has no secret to verify with\n".to_owned());
        }
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match webhook::verify(header, &body, secret.expose_secret(), Timestamp::now()) {
        Err(refusal) => {
            hooks.refuses(&format!("a webhook is refused: {refusal}"));
            (StatusCode::UNAUTHORIZED, format!("{refusal}\n"))
        }
        Ok(delivery) => {
            if delivery.is_none_or(|delivery| hooks.is_new(delivery)) {
                match webhook::harbor::read(&body) {
                    Some(pushed) => hooks.looks(&pushed),
                    None => hooks.polls(&webhook::read(&body)),
                }
            }
            (StatusCode::OK, String::new())
        }
    }
}

impl Hooks {
    /// Polls the repositories that a hook names now; all of them where it names none, for people write bodies of their own.
    /// What it says was pushed is listed once, since all of it is there.
    fn polls(&self, hook: &webhook::Hook) {
        let addresses = &hook.addresses;
        let named: Vec<RepositoryUrl> =
            addresses.iter().filter_map(|one| RepositoryUrl::parse(one, std::path::Path::new("/")).ok()).collect();
        let is_meant = |repository: &Arc<Repository>| {
            let url = repository.mirror().remote().url.clone();
            addresses.is_empty() || repository.artifact().is_none() && named.iter().any(|one| one.is_probably(&url))
        };
        let repositories = self.context.repositories.all();
        let meant: Vec<&Arc<Repository>> = repositories.iter().filter(|one| is_meant(one)).collect();
        tracing::debug!(repositories = meant.len(), "a webhook polls them");
        let wake = if hook.is_of_push { Repository::received } else { Repository::wake };
        meant.iter().for_each(|repository| wake(repository));
    }

    /// Looks now at the images that are followed and the artifacts that are deployed of the repository that was pushed to. Ten hooks meanwhile are one more look.
    fn looks(&self, pushed: &Pushed) {
        let is_it = |image: &ImageRef| match pushed {
            Pushed::To(repository) => image.repository() == repository,
            Pushed::Anywhere => true,
            Pushed::Nothing => false,
        };
        let is_meant = |spec: &FollowSpec| ImageRef::parse(&spec.image).is_ok_and(|image| is_it(&image));
        let of_artifact = |one: &&Arc<Repository>| one.artifact().is_some_and(|artifact| is_it(artifact.image()));
        self.context.repositories.all().iter().filter(of_artifact).for_each(|repository| repository.wake());
        let applications = self.context.applications.read().unwrap_or_else(PoisonError::into_inner);
        let meant = applications.values().filter(|application| application.spec.followed.iter().any(is_meant));
        let meant: Vec<_> = meant.collect();
        tracing::debug!(applications = meant.len(), "a webhook of a registry has their images looked at");
        meant.iter().for_each(|application| application.following.wake());
    }

    fn is_new(&self, delivery: String) -> bool {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        if delivered.contains(&delivery) {
            return false;
        }
        delivered.push_back(delivery);
        if delivered.len() > REMEMBERED {
            delivered.pop_front();
        }
        true
    }

    fn refuses(&self, why: &str) {
        let count = self.refused.lock().unwrap_or_else(PoisonError::into_inner).count(std::time::Instant::now());
        if let Some(times) = count {
            tracing::warn!(times, "{why}");
        }
    }
}
