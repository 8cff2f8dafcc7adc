use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::Config;

const REQUEST: &str = "0123456789abcdef";

fn config() -> Config {
    Config::default()
}

fn files(root: &Path, folder: &str) -> Vec<std::path::PathBuf> {
    let found = fs::read_dir(root.join("renders").join(folder)).into_iter().flatten();
    let mut paths: Vec<_> = found.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
}

fn contents(renders: &Renders) -> Vec<Vec<u8>> {
    renders.of_request(REQUEST).map(|(_, content)| content).collect()
}

#[test]
fn what_is_kept_is_read_back_after_a_restart_and_says_nothing_to_others() {
    let data = tempfile::tempdir().unwrap();
    let renders = Renders::open(data.path(), &config());
    let content = b"password: hunter22 hunter22 hunter22".repeat(10);
    renders.cache(REQUEST, "files", &content, &config());
    renders.cache(REQUEST, "other files", b"other", &config());
    assert_eq!(contents(&renders).len(), 2);
    let again = Renders::open(data.path(), &config());
    assert!(contents(&again).contains(&content));
    assert_eq!(again.of_request("fedcba9876543210").count(), 0);
    assert_eq!(again.amounts().0.count, 2);
    let key = data.path().join("renders/key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    for path in files(data.path(), "cache") {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"hunter22"), "{}", path.display());
        assert!(bytes.len() < content.len(), "it is packed before it is sealed");
    }
}

#[test]
fn what_is_damaged_or_in_the_place_of_another_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let renders = Renders::open(data.path(), &config());
    for (nth, harm) in ["flipped", "cut", "emptied", "exchanged"].into_iter().enumerate() {
        renders.cache(REQUEST, "one", b"one", &config());
        renders.cache(REQUEST, "two", b"two", &config());
        let paths = files(data.path(), "cache");
        let mut bytes = fs::read(&paths[0]).unwrap();
        match harm {
            "flipped" => bytes[20] ^= 1,
            "cut" => bytes.truncate(10),
            "emptied" => bytes.clear(),
            _ => bytes = fs::read(&paths[1]).unwrap(),
        }
        fs::write(&paths[0], bytes).unwrap();
        assert_eq!(contents(&renders).len(), 1, "{harm}");
        assert_eq!(files(data.path(), "cache"), paths[1..], "{harm}: it is removed, and told once");
        assert_eq!(renders.amounts().0.count, 1, "{nth}");
    }
}

#[test]
fn without_its_key_everything_is_cleared() {
    let data = tempfile::tempdir().unwrap();
    Renders::open(data.path(), &config()).cache(REQUEST, "one", b"one", &config());
    fs::write(data.path().join("renders/key"), "short").unwrap();
    let renders = Renders::open(data.path(), &config());
    assert_eq!((contents(&renders).len(), files(data.path(), "cache").len()), (0, 0));
    renders.cache(REQUEST, "one", b"one", &config());
    assert_eq!(contents(&Renders::open(data.path(), &config())), [b"one"]);
    // One that cannot be read is not replaced: what is sealed with it may be read again.
    fs::remove_file(data.path().join("renders/key")).unwrap();
    fs::create_dir(data.path().join("renders/key")).unwrap();
    let closed = Renders::open(data.path(), &config());
    assert!(!closed.is_open());
    closed.cache(REQUEST, "two", b"two", &config());
    assert_eq!((contents(&closed).len(), files(data.path(), "cache").len()), (0, 1));
}

#[test]
fn the_bounds_hold() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config();
    let renders = Renders::open(data.path(), &config);
    for nth in 0..OF_A_REQUEST + 5 {
        renders.cache(REQUEST, &nth.to_string(), b"one", &config);
    }
    assert_eq!(renders.amounts().0.count, OF_A_REQUEST, "of one request");
    config.render.cache_bytes = 2_000;
    for nth in 0..100 {
        renders.cache(&format!("{nth:016}"), "one", b"one", &config);
        let (cached, _) = renders.amounts();
        assert!(cached.bytes <= 2_000, "{cached:?}");
        let on_disk: u64 = files(data.path(), "cache").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert_eq!(on_disk, cached.bytes);
    }
    let noise: String =
        (0..4_000_u32).map(|n| char::from((n.wrapping_mul(2_654_435_761) >> 25) as u8 % 64 + 33)).collect();
    renders.cache("large", "one", noise.as_bytes(), &config);
    assert_eq!(renders.of_request("large").count(), 0, "one that would push out the others is not kept");
    config.render.cache_bytes = 0;
    let closed = Renders::open(data.path(), &config);
    closed.cache(REQUEST, "one", b"one", &config);
    assert_eq!((closed.amounts().0.count, files(data.path(), "cache").len()), (0, 0), "nothing is to be kept");
}
