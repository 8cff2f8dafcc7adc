use super::*;

fn parse(text: &str) -> Result<RepositoryUrl, UrlError> {
    RepositoryUrl::parse(text, Path::new("/etc/quarterdeck"))
}

#[test]
fn every_spelling_has_its_key() {
    for (text, key) in [
        ("/srv/git/shop.git", "file:///srv/git/shop.git"),
        ("/srv/git//shop.git/", "file:///srv/git/shop.git"),
        ("file:///srv/git/./shop.git", "file:///srv/git/shop.git"),
        ("../shop", "file:///etc/shop"),
        ("./shop", "file:///etc/quarterdeck/shop"),
        ("ssh://git@forge/ops/shop.git", "ssh://git@forge/ops/shop"),
        ("ssh://git@FORGE:22/ops/shop/", "ssh://git@forge/ops/shop"),
        ("git@forge:ops/shop.git", "ssh://git@forge/ops/shop"),
        ("git@forge:/ops/shop.git", "ssh://git@forge/ops/shop"),
        ("ssh://git@forge:2222/ops/shop.git", "ssh://git@forge:2222/ops/shop"),
        ("ann@host:shop", "ssh://ann@host/~/shop"),
        ("ssh://ann@host/shop", "ssh://ann@host/shop"),
        ("ssh://ann@host/~/shop", "ssh://ann@host/~/shop"),
        ("host:shop", "ssh://host/~/shop"),
        ("ssh://git@[::1]:2222/shop", "ssh://git@[::1]:2222/shop"),
        ("https://forge/ops/shop.git", "https://forge/ops/shop"),
        ("https://Forge:443/ops/shop", "https://forge/ops/shop"),
        ("https://ann:s3cret@forge/ops/shop", "https://forge/ops/shop"),
        ("http://forge:3000/ops/shop.git/", "http://forge:3000/ops/shop"),
    ] {
        assert_eq!(parse(text).unwrap().key(), key, "{text}");
    }
}

#[test]
fn what_could_be_two_repositories_is_two_keys() {
    for (one, other) in [
        ("ann@host:shop", "ssh://ann@host/shop"),
        ("http://forge/shop", "https://forge/shop"),
        ("https://forge/shop", "https://forge:8443/shop"),
        ("https://forge/Shop", "https://forge/shop"),
        ("/srv/shop", "/srv/shop.git"),
        ("ssh://git@forge/shop", "ssh://ann@forge/shop"),
    ] {
        let (one, other) = (parse(one).unwrap(), parse(other).unwrap());
        assert_ne!(one.key(), other.key());
        assert_ne!(one.mirror_name(), other.mirror_name());
    }
}

#[test]
fn no_secret_is_shown() {
    for text in [
        "https://ann:s3cret@forge/ops/shop.git",
        "https://s3cret@forge/ops/shop.git",
        "https://ann:s3cret@forge:bad/ops",
        "https://forge/ops?private_token=s3cret",
        "ftp://ann:s3cret@forge/ops",
        "ext::sh -c s3cret@x",
    ] {
        let shown = match parse(text) {
            Ok(url) => format!("{url} {url:?} {} {}", url.key(), url.mirror_name()),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("s3cret") || text.starts_with("ext"), "{text} is shown as {shown}");
    }
    assert_eq!(parse("https://ann:s3cret@forge/ops/shop.git").unwrap().to_string(), "https://forge/ops/shop.git");
    assert_eq!(parse("git@forge:ops/shop.git").unwrap().to_string(), "ssh://git@forge/ops/shop.git");
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "   ",
        "ftp://forge/shop",
        "git://forge/shop",
        "ext::sh -c true",
        "ssh://-oProxyCommand=true/shop",
        "ssh://-l@forge/shop",
        "https:///shop",
        "https://forge/shop?x=y",
        "/srv/a\nb",
        "https://forge/a%0ab",
    ] {
        assert!(parse(text).is_err(), "{text:?} was taken");
    }
}

#[test]
fn a_token_is_hidden_however_long_it_is() {
    let token = "x".repeat(300);
    for address in [format!("https://{token}@forge/ops/shop"), format!("https://ann:{token}@forge/ops/shop")] {
        assert_eq!(redact(&address), "https://***@forge/ops/shop");
        assert!(!parse(&format!("{address}\u{7}")).unwrap_err().to_string().contains("xxx"));
    }
    assert_eq!(redact(&format!("https://forge/{token}")).len(), SHOWN_MAX);
}

#[test]
fn a_prefix_covers_whole_components() {
    for (prefix, url, covered) in [
        ("https://forge", "https://forge/ops/shop", true),
        ("https://forge/", "https://forge/ops/shop", true),
        ("https://forge/ops", "https://forge/ops/shop.git", true),
        ("https://forge/ops/shop", "https://forge/ops/shop.git", true),
        ("https://forge/op", "https://forge/ops/shop", false),
        ("https://forge.example", "https://forge/ops/shop", false),
        ("http://forge", "https://forge/ops/shop", false),
        ("ssh://forge", "git@forge:ops/shop", true),
        ("git@forge:", "ssh://git@forge/ops/shop", true),
        ("git@forge:ops", "ssh://git@forge/ops/shop", true),
        ("ann@forge:", "git@forge:ops/shop", false),
        ("/srv/git", "file:///srv/git/shop", true),
        ("/srv/gi", "/srv/git/shop", false),
    ] {
        let found = parse(url).unwrap().covered_by(prefix, Path::new("/")).unwrap();
        assert_eq!(found.is_some(), covered, "{prefix} {url}");
    }
}

#[test]
fn what_is_shown_has_no_secret() {
    for (text, shown) in [
        ("https://ann:s3cret@forge/ops/shop", "https://***@forge/ops/shop"),
        ("https://token@forge/ops/shop?private=1#x", "https://***@forge/ops/shop"),
        ("ssh://git@forge:22/ops/shop.git", "ssh://git@forge:22/ops/shop.git"),
        ("git@forge:ops/shop.git", "git@forge:ops/shop.git"),
        ("ssh://git:s3cret@forge/shop", "ssh://***@forge/shop"),
        ("/srv/git@home/shop", "/srv/git@home/shop"),
    ] {
        assert_eq!(redact(text), shown);
    }
}

#[test]
fn a_forge_knows_its_repositories_by_their_projects() {
    let at = |text: &str| RepositoryUrl::parse(text, Path::new("/")).unwrap();
    for (web, address, project) in [
        ("https://forge.example/", "https://forge.example/ops/shop.git", Some("ops/shop")),
        ("https://forge.example/", "https://forge.example/group/sub/shop", Some("group/sub/shop")),
        ("https://forge.example/", "ssh://git@forge.example:2222/ops/shop.git", Some("ops/shop")),
        ("https://forge.example/", "git@forge.example:ops/shop.git", Some("ops/shop")),
        ("https://forge.example:8443/", "https://forge.example/ops/shop", None),
        ("https://forge.example/git/", "https://forge.example/git/ops/shop.git", Some("ops/shop")),
        ("https://forge.example/git/", "https://forge.example/gitlab/ops/shop", None),
        ("https://forge.example/", "https://other.example/ops/shop", None),
        ("https://forge.example/", "https://forge.example/shop", None),
        ("https://forge.example/", "/srv/ops/shop", None),
    ] {
        assert_eq!(at(address).project_at(&at(web)).as_deref(), project, "{web} {address}");
    }
}

#[test]
fn a_project_is_known_by_its_path_whatever_its_host() {
    let at = |text: &str| RepositoryUrl::parse(text, Path::new("/")).unwrap();
    for (one, other, same) in [
        ("https://forge.example/ops/shop", "git@forge:ops/shop.git", true),
        ("https://forge.example/git/ops/shop.git", "ssh://git@forge:2222/ops/shop", true),
        ("https://forge.example/ops/shop", "https://forge.example/ops/workshop", false),
        ("https://forge.example/ops/shop", "https://forge.example/other/shop", false),
        ("https://forge.example/shop", "https://forge.example/ops/shop", false),
        ("/srv/ops/shop", "https://forge.example/ops/shop", false),
        ("/srv/ops/shop", "/srv/ops/shop", true),
    ] {
        assert_eq!(at(one).is_probably(&at(other)), same, "{one} {other}");
        assert_eq!(at(other).is_probably(&at(one)), same, "{other} {one}");
    }
}
