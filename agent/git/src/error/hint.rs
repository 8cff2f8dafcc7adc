//! What to do about a failure of git.

use std::borrow::Cow;

use quarterdeck_shared::error::Hint;

use super::GitError;

/// Where the authority of a repository's certificate is named.
const AUTHORITY: &str = "name its authority by `ca_file` under [[repository]], or add it to this machine's";

impl Hint for GitError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            // A forge that gives another reason has said it all: who is told to check a token that is good looks in the
            // wrong place.
            Self::AccessDenied { detail, .. } if gives_another_reason(detail) => "".into(),
            Self::AccessDenied { .. } => "check the credentials that the configuration names for it".into(),
            Self::HostKey { .. } => {
                "verify the key with the forge's administrator and add it to known_hosts (`ssh-keyscan` shows it)"
                    .into()
            }
            Self::PlainHttp { .. } => "use https, or set `insecure = true` for this repository".into(),
            Self::Certificate { why, .. } => why.remedy(AUTHORITY).into(),
            Self::Ownership { path, .. } => format!(
                "run `git config --global --add safe.directory {path}` as the user of the agent, or change its owner"
            )
            .into(),
            Self::TooMuch { option: Some(option), .. } => {
                format!("raise `{option}` in [repository.limits] if that is meant").into()
            }
            Self::Signers { .. } => {
                "check that the file exists and the agent may read it; require_signed in [application.code] names it"
                    .into()
            }
            Self::NotInstalled { program, comes } => format!("install {program}: {comes}").into(),
            Self::NoRoom { .. } => "free some where data_dir is, and it is fetched again".into(),
            _ => "".into(),
        }
    }
}

/// Whether a forge's own sentence gives a reason that other credentials would not help against.
pub(crate) fn gives_another_reason(said: &str) -> bool {
    /// As GitHub, GitLab, Gitea, Bitbucket and Azure DevOps say it, in lower case.
    const REASONS: [&str; 19] = [
        "archived",
        "read-only",
        "read only",
        "readonly",
        "protected",
        "quota",
        "too large",
        "size limit",
        "exceed",
        "storage",
        "no space left",
        "disabled",
        "locked",
        "suspended",
        "maintenance",
        "rate limit",
        "allow list",
        "banned",
        "pending deletion",
    ];
    let said = said.to_lowercase();
    REASONS.iter().any(|reason| said.contains(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GitErrorKind;

    #[test]
    fn only_a_refusal_that_may_be_about_credentials_names_them() {
        for (detail, about_credentials) in [
            ("the server answers 401 Unauthorized", true),
            ("the server answers 403 Forbidden", true),
            ("the server answers 403 Forbidden: HTTP Basic: Access denied", true),
            ("Permission to ops/shop.git denied to bot", true),
            ("git@forge: Permission denied (publickey).", true),
            ("the server answers 403 Forbidden: This repository was archived so it is read-only", false),
            ("the server answers 403 Forbidden: API rate limit exceeded", false),
            ("the server answers 403 Forbidden: Repository access blocked: repository disabled", false),
            ("ERROR: The project is in maintenance mode", false),
        ] {
            let error = GitError::AccessDenied { url: "https://forge/x".into(), detail: detail.into() };
            assert_eq!(error.hint().contains("check the credentials"), about_credentials, "{error}");
            assert_eq!(error.kind(), GitErrorKind::Credentials);
        }
    }
}
