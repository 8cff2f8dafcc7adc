//! `[application.sign]` and `require_signature`: the key that signs what is pushed, and the keys that have to have signed what is
//! promoted.

use std::path::Path;

use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_shared::application::{ApplicationSpec, PromoteBy, PromotePolicy, SignSpec, ValueFrom};
use quarterdeck_shared::error::chain;

use super::finding::Finding;
use super::locate::Step;

/// Relative paths of the key and its password begin at `base`.
pub(super) fn anchor(mut sign: SignSpec, base: &Path) -> SignSpec {
    sign.key = base.join(&sign.key);
    if let Some(ValueFrom::File { file }) = &mut sign.password {
        *file = base.join(&*file).display().to_string();
    }
    sign
}

/// Relative paths of the public keys begin at `base`.
pub(super) fn anchor_keys(promote: &mut PromotePolicy, base: &Path) {
    promote.require_signature.iter_mut().for_each(|key| *key = base.join(&*key));
}

/// What is wrong with the key that signs, without a look at the disk.
pub(super) fn check(sign: &SignSpec, has_code: bool, say: &mut impl FnMut(&[Step], String)) {
    let mut say =
        |option: &'static str, message: &str| say(&[Step::Key("sign"), Step::Key(option)], message.to_owned());
    if !has_code {
        say("key", "what is pushed is signed, and the application has no code: add [application.code]");
    }
    if sign.key.as_os_str().is_empty() {
        say("key", "a private key is required: write the file that `cosign generate-key-pair` wrote");
    }
    if matches!(sign.password, Some(ValueFrom::Plain(_))) {
        say(
            "password",
            "the password is written in the configuration: write the name of its place, as \
             password = { file = \"cosign-password\" } or password = { env = \"NAME\" }",
        );
    }
}

/// What is wrong with the keys that an environment requires.
pub(super) fn check_required(promote: &PromotePolicy, say: &mut impl FnMut(&[&'static str], String)) {
    let required = &promote.require_signature;
    if required.is_empty() {
        return;
    }
    let mut say = |message: &str| say(&["promote", "require_signature"], message.to_owned());
    match promote.by {
        PromoteBy::Tag => {
            say("a signature is of a digest, and promote.by writes a tag, which may move to another image: set \
             \"tag_and_digest\" or \"digest\"")
        }
        PromoteBy::None => say("promotion is off here, so no signature is checked: set promote.by, or leave it out"),
        PromoteBy::TagAndDigest | PromoteBy::Digest => {}
    }
    if required.iter().any(|key| key.as_os_str().is_empty()) {
        say("a public key has no file: write require_signature = [\"cosign.pub\"]");
    }
}

/// The keys that cannot be read, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(applications: &[ApplicationSpec], findings: &mut Vec<Finding>) {
    for (index, application) in applications.iter().enumerate() {
        let mut say = |keys: &[Step], message: String| {
            let below = [Step::Key("application"), Step::Index(index)];
            findings.push(Finding { place: below.into_iter().chain(keys.iter().cloned()).collect(), message });
        };
        let sign = application.delivery.as_ref().and_then(|delivery| delivery.sign.as_ref());
        if let Some(Err(error)) = sign.map(|sign| std::fs::File::open(&sign.key)) {
            let file = sign.map_or_else(String::new, |sign| sign.key.display().to_string());
            say(&[Step::Key("sign"), Step::Key("key")], format!("cannot read the private key {file}: {error}"));
        }
        for (at, environment) in application.environments.iter().enumerate() {
            for key in &environment.promote.require_signature {
                if let Err(error) = PublicKey::read(key) {
                    let keys = [Step::Key("promote"), Step::Key("require_signature")];
                    let place: Vec<Step> =
                        [Step::Key("environment"), Step::Index(at)].into_iter().chain(keys).collect();
                    say(&place, chain(&error));
                }
            }
        }
    }
}
