//! `qd-agent repo serve`: the forced command of a key. It becomes git, on one repository, or refuses.

use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::Context as _;
use quarterdeck_core::own_repository::request::{Permit, decide};
use quarterdeck_git::own::{self, Client};

/// The longest name of a person: a mail address fits.
const USER_MAX: usize = 100;

/// Decides by what sshd hands over, and becomes git; comes back only with what went wrong.
pub(super) fn serve(config: &Path, user: Option<String>, permit: &Permit) -> anyhow::Result<()> {
    let asked = std::env::var_os("SSH_ORIGINAL_COMMAND");
    // What is not UTF-8 is refused as what it is read as.
    let (service, name) = decide(asked.as_ref().map(|asked| asked.to_string_lossy()).as_deref(), permit)?;
    let directory = own::directory_of(&super::root(config)?, &name)?;
    let address = std::env::var("SSH_CONNECTION").ok().and_then(|text| text.split(' ').next()?.parse().ok());
    let client = user.map(|user| Client { user, address });
    Err(own::serve(service, &directory, client.as_ref()).exec()).context("cannot start git")
}

/// A name that git takes as the name of an author and the beginning of an address.
pub(super) fn user(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.len() > USER_MAX => Err(format!("it has more than {USER_MAX} characters")),
        _ => match text.chars().find(|c| !is_allowed(*c)) {
            Some(c) => Err(format!("it contains {c:?}; a name consists of letters, digits and . _ + @ -")),
            None => Ok(text.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_key_has_a_plain_name() {
        for valid in ["alice", "alice@example.org", "a.b-c_d+1"] {
            assert_eq!(user(valid), Ok(valid.to_owned()));
        }
        for (invalid, why) in
            [("", "it is empty"), ("a b", "it contains ' '"), ("a<b", "it contains '<'"), ("a\n", "it contains '\\n'")]
        {
            assert!(user(invalid).unwrap_err().starts_with(why), "{invalid}");
        }
        assert!(user(&"a".repeat(101)).is_err());
    }
}
