//! Which agent this is: an id that is made once and kept beside its history, and the name of its host. Inventories carry
//! both, so that two agents on one application notice one another.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

/// The file of the id in the data directory.
const FILE: &str = "agent-id";

/// Which agent this is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// 32 hexadecimal digits; empty for who writes no mark.
    pub id: String,
    /// As the system calls it.
    pub host: String,
}

impl Identity {
    /// The identity kept in this folder, made where there is none. Where it can be neither read nor kept, it is good for
    /// this run: nothing but a notice depends on it.
    pub fn load(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if let Some(id) = std::fs::read_to_string(&path).ok().and_then(|text| valid(&text)) {
            return Self { id, host };
        }
        // RandomState is seeded by the system; an id needs no secrecy.
        let draw = || RandomState::new().hash_one(std::process::id());
        let id = format!("{:016x}{:016x}", draw(), draw());
        if let Err(error) = std::fs::write(&path, format!("{id}\n")) {
            tracing::warn!(path = %path.display(), %error, "cannot keep the id of this agent");
        }
        Self { id, host }
    }
}

fn valid(text: &str) -> Option<String> {
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = Identity::load(folder.path());
        assert_eq!((first.id.len(), first.host.is_empty()), (32, false));
        assert_eq!(Identity::load(folder.path()), first);
        std::fs::write(folder.path().join(FILE), "nonsense").unwrap();
        let second = Identity::load(folder.path());
        assert_ne!(second.id, first.id);
        assert_eq!(Identity::load(folder.path()), second);
    }
}
