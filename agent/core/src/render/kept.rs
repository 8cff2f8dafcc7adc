//! Renders that are kept, so that they need not be done again: over a restart, and where the program or the repository is away.
//!
//! Which files a render reads is known when it was done, so a kept one is found in two steps:
//!
//! ```text
//! what is asked ──► Request::material ──► the renders that were asked for like this
//!                                             │ each with its Depends: files with ids, kinds, capabilities, programs
//! commit, cluster, programs as they are now ──► Depends::fit ──► the same │ the same but for who rendered │ another
//! ```
//!
//! What came of it is written in one form with what it depended on ([`entry`]). What of all that is kept goes first is decided
//! in [`surplus`].
//!
//! Not here: files, keys and ciphers. What is written holds what was decrypted, and is sealed before it is put anywhere.

pub mod depends;
pub mod entry;
pub mod noting;
pub mod surplus;

mod failed;

pub use self::failed::Failed;

use quarterdeck_shared::application::{EnvironmentId, EnvironmentSpec};

use crate::sync::digest::ContentDigest;

/// The number of the form, and of the rules by which files become manifests here: raised where the same files would give other
/// manifests, since what was kept before says what the rules said then.
pub const FORMAT: u32 = 1;

/// What is asked of a render, whatever the commit.
pub struct Request<'a> {
    /// Whose manifests.
    pub environment: &'a EnvironmentId,
    /// How it is configured.
    pub spec: &'a EnvironmentSpec,
    /// What its variables are now.
    pub variables: Option<ContentDigest>,
    /// What tells the files of its age keys from others: one that is taken away takes with it what it decrypted.
    pub keys: &'a [String],
}

impl Request<'_> {
    /// All of it in one text. It has values of the configuration and says something of secrets: it goes through a keyed digest
    /// and nowhere else.
    pub fn material(&self) -> String {
        let Self { environment, spec, variables, keys } = self;
        let EnvironmentSpec {
            path,
            render,
            files,
            kustomize,
            helm,
            jsonnet,
            age_keys_only,
            namespace,
            sources,
            // Of what is fetched, deployed and promoted; keys and variables are told beside it.
            name: _,
            repository: _,
            follow: _,
            artifact: _,
            age_keys: _,
            variables: _,
            cluster: _,
            create_namespace: _,
            pull_secrets: _,
            sync: _,
            promote: _,
            protected: _,
        } = spec;
        let variables = variables.map(|digest| digest.0);
        // What a source is at is told by its files; which folder of it is taken is not.
        let sources: String = sources.iter().map(|source| format!(" {}={:?}", source.name, source.path)).collect();
        format!(
            "{FORMAT} {environment} {path:?} {render:?} {files:?} {namespace:?} {kustomize:?} {helm:?} {jsonnet:?} {age_keys_only} \
             {variables:?} {keys:?}{sources}"
        )
    }
}

#[cfg(test)]
mod tests;
