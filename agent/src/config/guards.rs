//! `require_signed` and `require_protected_tags`: who may make a tag that triggers, and what has to be there so that a tag can be
//! looked at.

use std::path::Path;

use quarterdeck_git::mirror;
use quarterdeck_git::url::{RepositoryUrl, redact};
use quarterdeck_shared::application::{ApplicationSpec, Code, Signers};

use super::Config;
use super::finding::Finding;
use super::forge::ForgeConfig;
use super::locate::Step;

/// Relative paths of files of signers begin at `base`.
pub(super) fn anchor(code: &mut Code, base: &Path) {
    let signers = code.require_signed.iter_mut();
    signers
        .flat_map(|signers| signers.ssh.iter_mut().chain(&mut signers.gpg))
        .for_each(|file| *file = base.join(&*file));
}

/// What is wrong with the options, without a look at the disk.
pub(super) fn check(code: &Code, config: &Config, base: &Path, say: &mut impl FnMut(&[Step], String)) {
    let option = |name: &'static str| [Step::Key("code"), Step::Key(name)];
    if code.require_signed.as_ref().is_some_and(|signers| *signers == Signers::default()) {
        let message = "no one could sign: name signers with ssh = \"allowed_signers\" or gpg = \"release-keys.asc\"";
        say(&option("require_signed"), message.to_owned());
    }
    let address = RepositoryUrl::parse(&code.repository, base).ok();
    let project = |forge: &ForgeConfig| address.as_ref()?.project_at(&forge.web()?);
    if code.require_protected_tags && !config.forge.iter().any(|forge| project(forge).is_some()) {
        let address = redact(&code.repository);
        let message =
            format!("no [[forge]] has the repository {address}, so none says which tags it protects: add one");
        say(&option("require_protected_tags"), message);
    }
}

/// The files of signers that cannot be read, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(applications: &[ApplicationSpec], findings: &mut Vec<Finding>) {
    for (index, application) in applications.iter().enumerate() {
        let signers = application.delivery.as_ref().and_then(|delivery| delivery.code.require_signed.as_ref());
        let Some(Signers { ssh, gpg }) = signers else { continue };
        for (option, file) in [("ssh", ssh), ("gpg", gpg)] {
            if let Some(Err(error)) = file.as_ref().map(|file| mirror::readable(file)) {
                let keys = ["code", "require_signed", option].map(Step::Key);
                let place = [Step::Key("application"), Step::Index(index)].into_iter().chain(keys).collect();
                findings.push(Finding { place, message: error.to_string() });
            }
        }
    }
}
