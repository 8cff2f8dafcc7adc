//! The third stage of a run: every image is in its registry, and that said under which digest.

use jiff::Timestamp;
use quarterdeck_shared::artifact::{Artifact, Image};
use quarterdeck_shared::event::Event;
use tokio::sync::mpsc;

use super::DeliverError;
use super::execution::{Execution, Outcome, Step};
use super::stages::{PROGRESS_QUEUE, tell_while};
use crate::context::Context;
use quarterdeck_container::engine::Sink;
use quarterdeck_core::image_ref::ImageRef;

/// Pushes of one image whose token ends on the way: GitLab's live five minutes, and an engine does not ask for another in the
/// middle of a layer. Whole layers stay, so that each goes further than the one before.
const TRIES: u32 = 3;

/// The images are in the registry.
pub(super) struct Push<'a> {
    pub(super) context: &'a Context,
    pub(super) built: Artifact,
}

impl Step<Artifact> for Push<'_> {
    /// One image after the other, each kept as soon as it is there: what a later one fails for is not pushed again.
    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<Artifact>, DeliverError> {
        if self.built.pushed.is_some() {
            // The build stage asked the registry just now.
            let message = format!("{} is in the registry already", self.built.pinned().join(", "));
            return Ok(Outcome::Skipped(self.built.clone(), message));
        }
        let mut replaced = Vec::new();
        for place in 0..self.built.images.len() {
            let image = &self.built.images[place];
            if image.digest.is_some() {
                continue;
            }
            let (digest, before) = self.push(execution, image).await?;
            if let Some(before) = before.filter(|before| *before != digest) {
                replaced.push(before);
            }
            self.built.images[place].digest = Some(digest);
            if place + 1 < self.built.images.len() {
                execution.keep(&self.built, None).await?;
            }
        }
        self.built.pushed = Some(Timestamp::now());
        execution.keep(&self.built, Some(Event::ImagePushed { artifact: self.built.clone() })).await?;
        let mut message = self.built.pinned().join(", ");
        if !replaced.is_empty() {
            message.push_str(&format!("; until now {} was {}", self.built.tag, replaced.join(", ")));
        }
        Ok(Outcome::Done(self.built.clone(), message))
    }
}

impl Push<'_> {
    /// Pushes one image; its digest, and what had its name before.
    async fn push(
        &self,
        execution: &mut Execution<'_>,
        image: &Image,
    ) -> Result<(String, Option<String>), DeliverError> {
        let name = ImageRef::parse(&image.name)?.with_tag(&self.built.tag)?;
        let images = self.context.images();
        images.engine.tag(&image.id, &name).await?;
        let (login, notes) = images.search(&name).await?;
        notes.iter().for_each(|note| execution.say(note));
        // Who may push but not look is not told what went; the push is none the worse.
        let before = images.registries.digest(&name, login.as_ref()).await;
        let is_good = login.is_some() && before.is_ok();
        let cancel = execution.cancel.clone();
        let mut tries = 0;
        let pushed = loop {
            let (sink, progress): (Sink, _) = mpsc::channel(PROGRESS_QUEUE);
            let pushing = images.engine.push(&name, login.as_ref(), sink, &cancel);
            tries += 1;
            match tell_while(execution, progress, pushing).await {
                Err(DeliverError::Build(error)) if is_good && error.is_login_lost() && tries < TRIES => {
                    execution
                        .say(&format!("{error}; the login was valid when the push began: pushing what is missing"));
                }
                pushed => break pushed?,
            }
        };
        Ok((images.registries.confirm(&name, &pushed.0, login.as_ref()).await?, before.ok().flatten()))
    }
}
