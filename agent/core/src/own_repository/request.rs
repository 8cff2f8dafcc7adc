//! What git asks for over ssh, and whether a key may have it. Pure.
//!
//! sshd hands the text over that a client asked to be run. git sends `git-upload-pack 'team/shop.git'`: a service, and a path
//! that is quoted for a shell. There is no shell here; nothing else is understood, and so nothing else can be run.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;

use super::name::{NameError, NamePattern, RepositoryName, shown};

/// The longest command that is read: a service and the longest name, each of whose characters is quoted.
const COMMAND_MAX: usize = 1024;

/// What git does at the far side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It is read from: clone, fetch, a listing.
    UploadPack,
    /// It is pushed to.
    ReceivePack,
    /// `git archive --remote`.
    UploadArchive,
}

impl Service {
    const ALL: [Self; 3] = [Self::UploadPack, Self::ReceivePack, Self::UploadArchive];

    /// The subcommand of git: `upload-pack`.
    pub fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
            Self::UploadArchive => "upload-archive",
        }
    }

    /// By what a client calls it: `git-upload-pack`.
    fn called(word: &str) -> Option<Self> {
        let subcommand = word.strip_prefix("git-")?;
        Self::ALL.into_iter().find(|service| service.subcommand() == subcommand)
    }
}

/// What the holder of a key may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permit {
    /// Nothing is pushed with it.
    pub read_only: bool,
    /// The repositories that it is for; all where empty.
    pub only: Vec<NamePattern>,
}

/// Why nothing is run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A login.
    #[error("this key opens no shell: it is for git only")]
    NoCommand,
    /// A command that is not one of git's.
    #[error("this key is for git only, and not for `{0}`")]
    NotGit(String),
    /// What follows the service is not a path as git quotes it.
    #[error("{0} is not followed by one quoted path")]
    Unquoted(&'static str),
    /// It names nothing that could be a repository.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The key is for others.
    #[error("this key may not use repository {0}")]
    Outside(RepositoryName),
    /// The key only reads.
    #[error("this key may read repository {0}, but not push to it")]
    ReadOnly(RepositoryName),
}

impl Hint for Refusal {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::NoCommand | Self::NotGit(_) => "use git clone, fetch or push with ssh://USER@HOST/NAME.git",
            Self::Unquoted(_) => "connect with git",
            Self::Name(error) => return error.hint(),
            Self::Outside(_) | Self::ReadOnly(_) => "ask whoever put the key on that machine",
        }
        .into()
    }
}

/// The service and the repository that a command asks for, where a key with this permit may have them. It is decided by the name
/// alone, so that a key learns nothing of repositories that it is not for.
///
/// # Errors
/// Where it may not, or the command is not one of git's.
pub fn decide(command: Option<&str>, permit: &Permit) -> Result<(Service, RepositoryName), Refusal> {
    let command = command.filter(|command| !command.trim().is_empty()).ok_or(Refusal::NoCommand)?;
    let not_git = || Refusal::NotGit(shown(command));
    let (word, path) = command.split_once(' ').unwrap_or((command, ""));
    let service = Service::called(word).filter(|_| command.len() <= COMMAND_MAX).ok_or_else(not_git)?;
    let path = unquoted(path).ok_or_else(|| Refusal::Unquoted(service.subcommand()))?;
    // `ssh://host/shop.git` is sent with a slash, `host:shop.git` without.
    let name: RepositoryName = path.strip_prefix('/').unwrap_or(&path).parse()?;
    if !permit.only.is_empty() && !permit.only.iter().any(|pattern| pattern.matches(&name)) {
        return Err(Refusal::Outside(name));
    }
    if permit.read_only && service == Service::ReceivePack {
        return Err(Refusal::ReadOnly(name));
    }
    Ok((service, name))
}

/// The text that git's `sq_quote` quoted, which is in single quotes, with `'\''` for a quote and `'\!'` for an exclamation mark;
/// nothing where anything stands outside of the quotes.
fn unquoted(text: &str) -> Option<String> {
    let mut whole = String::new();
    let mut rest = text;
    loop {
        let (inside, after) = rest.strip_prefix('\'')?.split_once('\'')?;
        whole.push_str(inside);
        if after.is_empty() {
            return Some(whole);
        }
        let escaped = after.strip_prefix('\\')?;
        whole.push(escaped.chars().next().filter(|c| "'!".contains(*c))?);
        rest = &escaped[1..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn permit(read_only: bool, only: &[&str]) -> Permit {
        Permit { read_only, only: only.iter().map(|pattern| pattern.parse().unwrap()).collect() }
    }

    fn answer(command: &str, permit: &Permit) -> String {
        match decide(Some(command), permit) {
            Ok((service, name)) => format!("{} {name}", service.subcommand()),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn what_git_sends_is_served() {
        let all = permit(false, &[]);
        for (command, served) in [
            ("git-upload-pack 'shop.git'", "upload-pack shop"),
            ("git-upload-pack '/shop.git'", "upload-pack shop"),
            ("git-upload-pack 'shop'", "upload-pack shop"),
            ("git-upload-pack '/team/shop'", "upload-pack team/shop"),
            ("git-receive-pack '/team/shop.git'", "receive-pack team/shop"),
            ("git-upload-archive 'shop.git'", "upload-archive shop"),
        ] {
            assert_eq!(answer(command, &all), served, "{command}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let all = permit(false, &[]);
        let not_git = |command: &str| format!("this key is for git only, and not for `{command}`");
        for command in [
            "id",
            "sh",
            "scp -t /tmp",
            "internal-sftp",
            "git",
            "git upload-pack 'shop.git'",
            "git-shell 'shop.git'",
            "git-upload-packs 'shop.git'",
            "/usr/bin/git-upload-pack 'shop.git'",
            "git-lfs-authenticate shop.git download",
            " git-upload-pack 'shop.git'",
        ] {
            assert_eq!(answer(command, &all), not_git(command), "{command}");
        }
        assert_eq!(answer("git-upload-pack\t'shop'", &all), not_git("git-upload-pack?'shop'"));
        assert_eq!(answer("git-upload-pack\n'shop'", &all), not_git("git-upload-pack?'shop'"));
        let unquoted = "upload-pack is not followed by one quoted path";
        for command in [
            "git-upload-pack",
            "git-upload-pack ",
            "git-upload-pack shop.git",
            "git-upload-pack \"shop.git\"",
            "git-upload-pack  'shop.git'",
            "git-upload-pack 'shop.git' ",
            "git-upload-pack 'shop.git",
            "git-upload-pack 'shop.git'; id",
            "git-upload-pack 'shop.git' 'other.git'",
            "git-upload-pack 'shop.git'\nid",
            "git-upload-pack 'shop'.git",
            "git-upload-pack 'shop'\\",
            "git-upload-pack 'shop'\\'",
            "git-upload-pack 'shop'\\ü'",
            "git-upload-pack --upload-pack='id' 'shop.git'",
            "git-upload-pack --strict 'shop.git'",
            "git-upload-pack $(id)",
        ] {
            assert_eq!(answer(command, &all), unquoted, "{command}");
        }
        for command in [None, Some(""), Some("  ")] {
            assert_eq!(decide(command, &all), Err(Refusal::NoCommand));
        }
        let long = format!("git-upload-pack '{}'", "a".repeat(COMMAND_MAX));
        assert!(matches!(decide(Some(&long), &all), Err(Refusal::NotGit(_))));
    }

    #[test]
    fn a_hostile_path_names_no_repository() {
        let all = permit(false, &[]);
        for path in [
            "'../shop.git'",
            "'/../../etc/passwd'",
            "'team/../../shop.git'",
            "'//etc/passwd'",
            "'~/shop.git'",
            "'~root/shop.git'",
            "'.ssh/authorized_keys'",
            "'--upload-pack=id'",
            "'-c'",
            "'shop.git/hooks'",
            "'shop\nid'",
            "'shop\0'",
            "'shop; id'",
            "'$(id)'",
            "'`id`'",
            "'sh'\\''op'",
            "'sh'\\!'op'",
            "'shop.git' --x'",
            "''",
            "'/'",
            "'.git'",
        ] {
            let refusal = decide(Some(&format!("git-receive-pack {path}")), &all).unwrap_err();
            let is_of_the_name = matches!(refusal, Refusal::Name(_) | Refusal::Unquoted(_));
            assert!(is_of_the_name && !refusal.to_string().contains(char::is_control), "{path}: {refusal}");
        }
    }

    #[test]
    fn a_key_may_what_its_line_says() {
        let (read, team) = (permit(true, &[]), permit(false, &["team/*", "shop"]));
        let both = permit(true, &["shop"]);
        let outside = |name: &str| format!("this key may not use repository {name}");
        let read_only = |name: &str| format!("this key may read repository {name}, but not push to it");
        for (permit, command, wanted) in [
            (&read, "git-upload-pack '/shop.git'", "upload-pack shop".to_owned()),
            (&read, "git-upload-archive '/shop.git'", "upload-archive shop".to_owned()),
            (&read, "git-receive-pack '/shop.git'", read_only("shop")),
            (&team, "git-receive-pack '/team/web.git'", "receive-pack team/web".to_owned()),
            (&team, "git-receive-pack '/shop.git'", "receive-pack shop".to_owned()),
            (&team, "git-upload-pack '/shopping.git'", outside("shopping")),
            (&team, "git-upload-pack '/teams/web.git'", outside("teams/web")),
            (&both, "git-receive-pack 'shop'", read_only("shop")),
            // What the key is not for is not told apart from what does not exist.
            (&both, "git-receive-pack 'web'", outside("web")),
        ] {
            assert_eq!(answer(command, permit), wanted, "{command}");
        }
    }

    #[test]
    fn what_git_quotes_is_read_back() {
        for (quoted, text) in [
            ("'a'", Some("a")),
            ("''", Some("")),
            ("'a'\\''b'", Some("a'b")),
            ("'a'\\!'b'", Some("a!b")),
            ("''\\'''\\'''", Some("''")),
            ("'a'b'", None),
            ("'a''b'", None),
            ("a", None),
            ("'", None),
            ("'a'\\;'b'", None),
        ] {
            assert_eq!(unquoted(quoted).as_deref(), text, "{quoted}");
        }
    }

    proptest! {
        #[test]
        fn any_text_that_is_quoted_is_read_back(text in "\\PC{0,40}") {
            let quoted = format!("'{}'", text.replace('\'', "'\\''").replace('!', "'\\!'"));
            prop_assert_eq!(unquoted(&quoted), Some(text));
        }

        #[test]
        fn any_command_is_refused_or_names_a_repository_below(command in "(git-(upload|receive)-pack '?)?[ -~\\n]{0,40}'?") {
            if let Ok((_, name)) = decide(Some(&command), &Permit::default()) {
                prop_assert!(!name.to_string().contains("..") && !name.to_string().starts_with(['/', '.', '-']));
            }
        }
    }
}
