//! What an image may ask of a BuildKit daemon and of no engine, and what it may not ask of one.

use quarterdeck_core::image_ref::ImageRef;
use quarterdeck_shared::application::{CacheTo, ImageSpec, ValueFrom};

/// What is wrong with an image, by option. `builds` says whether a daemon does.
pub(super) fn check(image: &ImageSpec, builds: bool, say: &mut impl FnMut(&'static str, String)) {
    check_platforms(image, builds, say);
    if let Some(CacheTo::Registry(name)) = &image.cache_to {
        if let Err(error) = ImageRef::parse(name) {
            say("cache_to", format!("{error}: write \"inline\", or registry.example/team/name:cache"));
        } else if !builds {
            let message = "the API of an engine writes no cache into a registry: write \"inline\", or let a BuildKit daemon \
                           build with [engine.buildkit]";
            say("cache_to", message.to_owned());
        }
    }
    let is_secret = |from: &ValueFrom| !matches!(from, ValueFrom::Plain(_));
    for (name, _) in image.args.iter().filter(|(_, from)| builds && is_secret(from)) {
        say(
            "args",
            format!(
                "the build argument {name} is secret, and with [engine.buildkit] it would be on a command line, which all \
                 users of the machine read: make it a build secret"
            ),
        );
    }
}

fn check_platforms(image: &ImageSpec, builds: bool, say: &mut impl FnMut(&'static str, String)) {
    let platforms = &image.platforms;
    for (place, platform) in platforms.iter().enumerate() {
        if !is_platform(platform) {
            say("platforms", format!("{platform:?} is not a valid platform: write e.g. linux/arm64 or linux/arm/v7"));
        }
        if platforms[..place].contains(platform) {
            say("platforms", format!("{platform} is named twice: leave out one"));
        }
    }
    if !platforms.is_empty() && image.platform.is_some() {
        say("platforms", "platform and platforms say the same: leave out one".to_owned());
    }
    if !platforms.is_empty() && !builds {
        let message = "the API of an engine builds one platform: write platform, or let a BuildKit daemon build several with \
                       [engine.buildkit]";
        say("platforms", message.to_owned());
    }
}

/// `os/architecture`, or `os/architecture/variant`.
pub(super) fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    matches!(parts.len(), 2 | 3) && parts.iter().all(is_word)
}
