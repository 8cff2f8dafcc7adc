//! The first stage of a run, checkout, and what the others need as well. Each first looks whether what it should bring about is already so.

use quarterdeck_shared::application::Code;
use tokio::sync::mpsc;

use super::execution::{Execution, Outcome, Step};
use super::{DeliverError, admission};
use crate::context::{Codebase, Context};
use quarterdeck_container::engine::Progress;
use quarterdeck_core::trigger::TagRules;
use quarterdeck_git::mirror::Mirror;
use quarterdeck_git::{CommitInfo, GitError, GitErrorKind};

/// Progress that waits to be told; an engine whose output nobody reads has to wait.
pub(super) const PROGRESS_QUEUE: usize = 256;

pub(super) fn git(doing: &'static str) -> impl FnOnce(GitError) -> DeliverError {
    move |source| DeliverError::Git { doing, source }
}

/// The commit's tree is at hand, and the tag that asks for it may.
pub(super) struct Checkout<'a> {
    pub(super) context: &'a Context,
    pub(super) code: &'a Codebase,
}

impl Step<CommitInfo> for Checkout<'_> {
    async fn attempt(&mut self, execution: &mut Execution<'_>) -> Result<Outcome<CommitInfo>, DeliverError> {
        let commit = execution.run.commit.clone();
        // The mirror holds all branches and tags, and of merge requests what was needed.
        let refs = self.code.repository.refs().borrow().clone();
        let read = move |mirror: &Mirror| match mirror.commit_info(&commit) {
            Err(error) if error.kind() == GitErrorKind::NotFound => {
                let all = refs.as_ref().and_then(|refs| refs.merge_requests.as_ref());
                let head = all.into_iter().flatten().find(|(_, head)| head.commit == commit);
                let Some((_, head)) = head else { return Err(error) };
                mirror.fetch_merge_request(head)?;
                mirror.commit_info(&commit)
            }
            answer => answer,
        };
        let info = self.code.repository.work(read).await.map_err(git("read the commit"))?;
        execution.run.subject.clone_from(&info.subject);
        let admitted = admission::admit(self.context, self.code, &rules(&self.code.spec.code)?, &execution.run).await?;
        let message = format!("{} {}{admitted}", info.id.short(), info.subject);
        Ok(Outcome::Done(info, message))
    }
}

pub(super) fn rules(code: &Code) -> Result<TagRules, DeliverError> {
    Ok(TagRules::new(&code.build_tags, &code.push_tags, code.existing_tags)?)
}

/// Waits for the engine, telling its progress meanwhile.
pub(super) async fn tell_while<T, E: Into<DeliverError>>(
    execution: &mut Execution<'_>,
    mut progress: mpsc::Receiver<Progress>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, DeliverError> {
    let mut work = std::pin::pin!(work);
    let result = loop {
        tokio::select! {
            biased;
            Some(step) = progress.recv() => report(execution, step),
            result = work.as_mut() => break result,
            () = execution.tell_the_rest() => {}
        }
    };
    while let Ok(step) = progress.try_recv() {
        report(execution, step);
    }
    result.map_err(Into::into)
}

fn report(execution: &mut Execution<'_>, step: Progress) {
    match step {
        Progress::Line(line) => {
            execution.say(&line);
            execution.progress(None, Some(&line));
        }
        Progress::Percent(percent) => execution.progress(Some(percent), None),
    }
}
