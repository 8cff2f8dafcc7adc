//! Names of images: any text is refused or keeps to the rules of registries and comes back the same, and the client that
//! speaks to registries reads the same in it.

use oci_client::Reference;
use quarterdeck_core::image_ref::{ImageRef, check_digest, check_tag};

/// `data` is the name.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let image = match ImageRef::parse(text) {
        Ok(image) => image,
        Err(error) => {
            assert!(error.text.len() <= 4 * 300 && !error.why.is_empty(), "what is told of {text:?} is bounded");
            return;
        }
    };
    assert_eq!(ImageRef::parse(&image.to_string()).as_ref(), Ok(&image), "{text:?}");
    assert!(image.name().len() <= 255, "{text:?}");
    assert!(
        image.tag().is_none_or(|tag| check_tag(tag).is_ok()) && image.digest().is_none_or(|d| check_digest(d).is_ok())
    );
    assert!(image.to_string().is_ascii() && !image.to_string().contains(char::is_whitespace), "{text:?}");

    let tagged = image.with_tag("1.4.0").expect("a tag");
    assert_eq!((tagged.name(), tagged.tag(), tagged.digest()), (image.name(), Some("1.4.0"), None));
    let digest = format!("sha256:{}", "0".repeat(64));
    let pinned = image.with_digest(&digest).expect("a digest");
    assert_eq!((pinned.name(), pinned.tag(), pinned.digest()), (image.name(), image.tag(), Some(digest.as_str())));

    // When it reads a whole name, that client takes neither IPv6 nor a name in capitals alone for a host. It is given
    // registry and repository apart.
    if image.registry().starts_with('[') || !image.registry().contains(['.', ':']) && image.registry() != "localhost" {
        return;
    }
    let theirs = Reference::try_from(image.to_string()).unwrap_or_else(|error| panic!("{text:?}, {image}: {error}"));
    assert_eq!((theirs.registry(), theirs.repository()), (image.registry(), image.repository()), "{text:?}");
    assert_eq!(theirs.digest(), image.digest(), "{text:?}");
    assert!(image.tag().is_none_or(|tag| theirs.tag() == Some(tag)), "{text:?}");
}
