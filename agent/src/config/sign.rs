//! `[application.sign]` and `require_signature`: the key or the identity that signs what is pushed, and those that have to have signed
//! what is promoted.

use std::path::Path;

use quarterdeck_container::registry::signature::PublicKey;
use quarterdeck_shared::application::{
    ApplicationSpec, KeylessSpec, PromoteBy, PromotePolicy, RequiredSigner, SignBy, SignSpec, ValueFrom,
};
use quarterdeck_shared::error::chain;

use super::finding::Finding;
use super::helm::is_plain;
use super::locate::Step;
use crate::signing::trusted_root;

/// Relative paths of the key and its password, or of what signs without one, begin at `base`.
pub(super) fn anchor(mut sign: SignSpec, base: &Path) -> SignSpec {
    if let Some(key) = &mut sign.key {
        *key = base.join(&*key);
    }
    if let Some(ValueFrom::File { file }) = &mut sign.password {
        *file = base.join(&*file).display().to_string();
    }
    if let Some(keyless) = &mut sign.keyless {
        let KeylessSpec { trusted_root, identity_token_file, signing_config, .. } = keyless;
        let files = [trusted_root, identity_token_file].into_iter().chain(signing_config);
        files.for_each(|file| *file = base.join(&*file));
    }
    sign
}

/// Relative paths of the public keys and trusted roots begin at `base`.
pub(super) fn anchor_keys(promote: &mut PromotePolicy, base: &Path) {
    for required in &mut promote.require_signature {
        let file = match required {
            RequiredSigner::Key(file) => file,
            RequiredSigner::Identity(signer) => &mut signer.trusted_root,
        };
        *file = base.join(&*file);
    }
}

/// What is wrong with what signs, without a look at the disk.
pub(super) fn check(sign: &SignSpec, has_code: bool, say: &mut impl FnMut(&[Step], String)) {
    if let Some(keyless) = &sign.keyless {
        check_keyless(keyless, &mut |option, message| {
            say(&[Step::Key("sign"), Step::Key("keyless"), Step::Key(option)], message);
        });
    }
    let mut say =
        |option: &'static str, message: &str| say(&[Step::Key("sign"), Step::Key(option)], message.to_owned());
    if !has_code {
        say("key", "what is pushed is signed, and the application has no code: add [application.code]");
    }
    match (&sign.key, &sign.keyless) {
        (None, None) => say(
            "key",
            "a private key is required: write the file that `cosign generate-key-pair` wrote, or sign for an identity with \
             [application.sign.keyless]",
        ),
        (Some(key), None) if key.as_os_str().is_empty() => {
            say("key", "a private key is required: write the file that `cosign generate-key-pair` wrote");
        }
        (Some(_), Some(_)) => say("key", "an image is signed by a key or for an identity: leave out key or keyless"),
        (None, Some(_)) if sign.password.is_some() => {
            say("password", "without a key there is none to open: leave it out")
        }
        _ => {}
    }
    if matches!(sign.password, Some(ValueFrom::Plain(_))) {
        say(
            "password",
            "the password is written in the configuration: write the name of its place, as \
             password = { file = \"cosign-password\" } or password = { env = \"NAME\" }",
        );
    }
}

fn check_keyless(spec: &KeylessSpec, say: &mut impl FnMut(&'static str, String)) {
    if spec.identity.is_empty() {
        say("identity", "write who signs, as certificates name it: a mail address or a URI".to_owned());
    }
    if spec.issuer.is_empty() {
        say("issuer", "write the address of the OIDC issuer that makes the token".to_owned());
    }
    let services =
        [("fulcio_url", &spec.fulcio_url), ("timestamp_url", &spec.timestamp_url), ("rekor_url", &spec.rekor_url)];
    for (option, url) in services.iter().filter_map(|(option, url)| Some((*option, url.as_deref()?))) {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            say(option, format!("{url:?} is not an address: write e.g. https://fulcio.example"));
        }
        if is_plain(url) {
            say(option, "the identity token would go over plain http, readable on the way: write https://".to_owned());
        }
        if spec.signing_config.is_some() {
            say(option, format!("signing_config names the services already: leave out {option} or signing_config"));
        }
    }
    match (&spec.signing_config, &spec.fulcio_url) {
        (None, None) => say(
            "identity_token_file",
            "nothing says who makes the certificate: write fulcio_url, or signing_config, a file that `cosign signing-config create` \
             wrote"
                .to_owned(),
        ),
        (None, Some(_)) if spec.timestamp_url.is_none() && spec.rekor_url.is_none() => say(
            "fulcio_url",
            "a certificate is valid for some minutes, and nothing would say that it was used in these: write timestamp_url or rekor_url"
                .to_owned(),
        ),
        _ => {}
    }
}

/// What is wrong with the keys and identities that an environment requires.
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
    if required.iter().filter_map(RequiredSigner::key).any(|key| key.as_os_str().is_empty()) {
        say("a public key has no file: write require_signature = [\"cosign.pub\"]");
    }
    if required.iter().filter_map(RequiredSigner::identity).any(|one| one.identity.is_empty() || one.issuer.is_empty())
    {
        say("an identity without a name or an issuer is anybody: write identity and issuer");
    }
}

/// The files that cannot be used, which is no reason not to start: they are read when they are needed.
pub(super) fn check_files(applications: &[ApplicationSpec], findings: &mut Vec<Finding>) {
    for (index, application) in applications.iter().enumerate() {
        let mut say = |keys: &[Step], message: String| {
            let below = [Step::Key("application"), Step::Index(index)];
            findings.push(Finding { place: below.into_iter().chain(keys.iter().cloned()).collect(), message });
        };
        let sign = application.delivery.as_ref().and_then(|delivery| delivery.sign.as_ref());
        match sign.map(SignSpec::by) {
            Some(SignBy::Key(key)) => {
                if let Err(error) = std::fs::File::open(key) {
                    let message = format!("cannot read the private key {}: {error}", key.display());
                    say(&[Step::Key("sign"), Step::Key("key")], message);
                }
            }
            Some(SignBy::Keyless(spec)) => check_keyless_files(spec, &mut |option, message| {
                say(&[Step::Key("sign"), Step::Key("keyless"), Step::Key(option)], message);
            }),
            None => {}
        }
        for (at, environment) in application.environments.iter().enumerate() {
            for required in &environment.promote.require_signature {
                let read = match required {
                    RequiredSigner::Key(key) => PublicKey::read(key).map(drop).map_err(|error| chain(&error)),
                    RequiredSigner::Identity(signer) => {
                        trusted_root(&signer.trusted_root).map(drop).map_err(|error| chain(&error))
                    }
                };
                if let Err(message) = read {
                    let keys = [Step::Key("promote"), Step::Key("require_signature")];
                    let place: Vec<Step> =
                        [Step::Key("environment"), Step::Index(at)].into_iter().chain(keys).collect();
                    say(&place, message);
                }
            }
        }
    }
}

/// A token that has expired is told when it is needed: it is renewed meanwhile.
fn check_keyless_files(spec: &KeylessSpec, say: &mut impl FnMut(&'static str, String)) {
    if let Err(error) = trusted_root(&spec.trusted_root) {
        say("trusted_root", chain(&error));
    }
    let files =
        [("identity_token_file", Some(&spec.identity_token_file)), ("signing_config", spec.signing_config.as_ref())];
    for (option, file) in files.into_iter().filter_map(|(option, file)| Some((option, file?))) {
        if let Err(error) = std::fs::File::open(file) {
            say(option, format!("cannot read {}: {error}", file.display()));
        }
    }
}
