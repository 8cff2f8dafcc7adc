//! Signatures of tags and commits: how an object is signed, and what `git verify-tag --raw` or `verify-commit --raw` says of it.
//!
//! What is read of a tag object follows git's own `parse_signature`: the last line that begins a signature counts, whatever
//! stands before it.

use std::fmt;

/// By which program a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ssh-keygen -Y sign`.
    Ssh,
    /// OpenPGP.
    Gpg,
    /// S/MIME certificates, which nobody can be named by.
    X509,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssh => "ssh",
            Self::Gpg => "OpenPGP",
            Self::X509 => "X.509",
        })
    }
}

/// How a line begins that begins a signature.
const BEGINNINGS: [(&[u8], Kind); 4] = [
    (b"-----BEGIN SSH SIGNATURE-----", Kind::Ssh),
    (b"-----BEGIN PGP SIGNATURE-----", Kind::Gpg),
    (b"-----BEGIN PGP MESSAGE-----", Kind::Gpg),
    (b"-----BEGIN SIGNED MESSAGE-----", Kind::X509),
];

/// What a tag object says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    /// The name that it was made for: a ref of another name may point to it.
    pub name: String,
    /// How it is signed, if it is.
    pub signature: Option<Kind>,
}

/// Reads a tag object.
pub fn read(object: &[u8]) -> TagObject {
    let lines = || object.split(|byte| *byte == b'\n');
    let header = lines().take_while(|line| !line.is_empty()).find_map(|line| line.strip_prefix(b"tag "));
    let begins = |line: &[u8]| BEGINNINGS.iter().find(|(beginning, _)| line.starts_with(beginning));
    let signature = lines().filter_map(begins).next_back().map(|(_, kind)| *kind);
    TagObject { name: String::from_utf8_lossy(header.unwrap_or_default()).into_owned(), signature }
}

/// How a commit is signed, if it is: by its header, which an empty line ends. A signature that is made with SHA-256 is in a
/// header of its own; git looks at the one of the repository's own kind.
pub fn of_commit(object: &[u8], is_sha256: bool) -> Option<Kind> {
    let name: &[u8] = if is_sha256 { b"gpgsig-sha256 " } else { b"gpgsig " };
    let header = object.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    let begins = header.filter_map(|line| line.strip_prefix(name)).next()?;
    BEGINNINGS.iter().find(|(beginning, _)| begins.starts_with(beginning)).map(|(_, kind)| *kind)
}

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One of the signers made it: the principal, or the user id of the key.
    Good(String),
    /// A key made it that is none of theirs, or not at that time: its fingerprint, and why.
    Stranger(String),
    /// It is worth nothing, for this reason.
    Invalid(String),
    /// This git knows no such signature.
    OldGit,
}

/// What git said: whether it ended well, and what it printed. What is about a line of the file of signers names the `file`.
pub fn judge(kind: Kind, is_good: bool, printed: &str, file: &str) -> Verdict {
    match kind {
        // git before 2.34 does not see one.
        _ if printed.contains("error: no signature found") => Verdict::OldGit,
        Kind::Ssh => ssh(is_good, printed, file),
        Kind::Gpg => gpg(is_good, printed),
        Kind::X509 => Verdict::Invalid(line(printed)),
    }
}

/// `Good "git" signature for PRINCIPAL with ED25519 key SHA256:…`, or the same without a principal and then why.
fn ssh(is_good: bool, printed: &str, file: &str) -> Verdict {
    let signed = printed.lines().find_map(|line| Some(line.split_once(" \"git\" signature ")?.1));
    let Some((principal, key)) = signed.and_then(|signed| signed.rsplit_once("with ")) else {
        return Verdict::Invalid(line(printed));
    };
    if is_good && let Some(principal) = principal.trim().strip_prefix("for ") {
        return Verdict::Good(principal.to_owned());
    }
    let key = key.rsplit_once("key ").map_or(key, |(_, key)| key);
    let about = format!("/{file}:");
    let why = |line: &str| Some(format!("line {}", line.split_once(&about)?.1));
    let why: Vec<String> = printed.lines().filter_map(why).take(REASONS_MAX).collect();
    Verdict::Stranger(if why.is_empty() { key.to_owned() } else { format!("{key} ({})", why.join("; ")) })
}

/// Lines of the file of signers that are told: the one that is about the key, and a mistake or two beside it.
const REASONS_MAX: usize = 3;

/// The status lines of gpg (doc/DETAILS of GnuPG). A good signature has one of those that tell how it is, and no other.
fn gpg(is_good: bool, printed: &str) -> Verdict {
    let lines = printed.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
    let told = lines.filter_map(|line| {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (key, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(match word {
            "GOODSIG" => Verdict::Good(rest.to_owned()),
            // Why it could not be checked, and the fingerprint where gpg knows it.
            "ERRSIG" => match rest.split(' ').collect::<Vec<_>>()[..] {
                [_, _, _, _, "9", fingerprint] if fingerprint != "-" => Verdict::Stranger(fingerprint.to_owned()),
                [_, _, _, _, "9", ..] => Verdict::Stranger(key.to_owned()),
                _ => Verdict::Invalid(format!("gpg cannot check it, made by key {key}")),
            },
            "BADSIG" => Verdict::Invalid("it is not of this content".to_owned()),
            "EXPKEYSIG" => Verdict::Invalid(format!("key {key} of {rest} has expired")),
            "REVKEYSIG" => Verdict::Invalid(format!("key {key} of {rest} was revoked")),
            "EXPSIG" => Verdict::Invalid(format!("it has expired, made by key {key} of {rest}")),
            _ => return None,
        })
    });
    let told: Vec<Verdict> = told.collect();
    match &told[..] {
        [Verdict::Good(_)] if !is_good => Verdict::Invalid(line(printed)),
        [verdict] => verdict.clone(),
        [] => Verdict::Invalid(line(printed)),
        _ => Verdict::Invalid("there are several of them".to_owned()),
    }
}

/// The last line that says something, which is the reason.
fn line(printed: &str) -> String {
    let last = printed.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with("[GNUPG:]"));
    last.unwrap_or("git does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_tag_is_signed_is_read_as_git_reads_it() {
        let header = "object 1f3c2a9\ntype commit\ntag push-1\ntagger A <a@example.com> 0 +0000\n\n";
        for (message, signature) in [
            ("Release", None),
            ("Release\n-----BEGIN SSH SIGNATURE-----\nU1\n-----END SSH SIGNATURE-----\n", Some(Kind::Ssh)),
            ("Release\n-----BEGIN PGP SIGNATURE-----\n\niHU\n-----END PGP SIGNATURE-----\n", Some(Kind::Gpg)),
            ("Release\n-----BEGIN SIGNED MESSAGE-----\nMII\n", Some(Kind::X509)),
            // Of two the last, as git does: else one would be looked for and the other checked.
            ("-----BEGIN PGP SIGNATURE-----\n-----BEGIN SSH SIGNATURE-----\n", Some(Kind::Ssh)),
            ("a line with -----BEGIN SSH SIGNATURE-----", None),
            ("tag push-2\n", None),
        ] {
            let read = read(format!("{header}{message}").as_bytes());
            assert_eq!(read, TagObject { name: "push-1".to_owned(), signature }, "{message}");
        }
        assert_eq!(read(b""), TagObject { name: String::new(), signature: None });
    }

    #[test]
    fn how_a_commit_is_signed_stands_in_its_header() {
        let commit = |header: &str, message: &str| {
            format!(
                "tree 1f3c2a9\nauthor A <a@example.com> 0 +0000\ncommitter A <a@example.com> 0 +0000\n{header}\n{message}"
            )
        };
        let ssh = "gpgsig -----BEGIN SSH SIGNATURE-----\n U1\n -----END SSH SIGNATURE-----\n";
        let gpg = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iHU\n -----END PGP SIGNATURE-----\n";
        for (header, message, signature) in [
            ("", "A shop", None),
            (ssh, "A shop", Some(Kind::Ssh)),
            (gpg, "A shop", Some(Kind::Gpg)),
            ("gpgsig -----BEGIN SIGNED MESSAGE-----\n MII\n", "", Some(Kind::X509)),
            ("gpgsig something else\n", "", None),
            // Words of the message are none.
            ("", ssh, None),
            ("mergetag object 1f3c2a9\n gpgsig -----BEGIN SSH SIGNATURE-----\n", "", None),
        ] {
            assert_eq!(of_commit(commit(header, message).as_bytes(), false), signature, "{header}{message}");
            let other = header.replace("gpgsig ", "gpgsig-sha256 ");
            assert_eq!(of_commit(commit(&other, message).as_bytes(), true), signature, "{other}{message}");
            assert_eq!(of_commit(commit(&other, message).as_bytes(), false), None, "{other}{message}");
        }
    }

    /// As git 2.39 prints it with OpenSSH 9.2.
    #[test]
    fn what_git_says_of_ssh_signatures_is_understood() {
        use Verdict::*;
        const KEY: &str = "SHA256:8cPvW0CuL9t/1a7ovBGz1tOkswjjM/qFTRD81MzGLDI";
        let unmatched = format!("Good \"git\" signature with ED25519 key {KEY}\n");
        for (is_good, printed, verdict) in [
            (
                true,
                format!("Good \"git\" signature for alice@example.com with ED25519 key {KEY}\n"),
                Good("alice@example.com".to_owned()),
            ),
            (true, format!("Good \"git\" signature for a with b with RSA key {KEY}\n"), Good("a with b".to_owned())),
            // The words alone make it no good one.
            (
                false,
                format!("Good \"git\" signature for alice@example.com with ED25519 key {KEY}\n"),
                Stranger(KEY.to_owned()),
            ),
            (true, format!("{unmatched}No principal matched.\n"), Stranger(KEY.to_owned())),
            (false, format!("{unmatched}No principal matched.\n"), Stranger(KEY.to_owned())),
            (
                false,
                format!(
                    "{unmatched}/etc/qd/allowed:2: key has expired: verify time 2026-11-30T07:07:01 > valid-before 2020-01-01T00:00:00\nNo principal matched.\n"
                ),
                Stranger(format!(
                    "{KEY} (line 2: key has expired: verify time 2026-11-30T07:07:01 > valid-before 2020-01-01T00:00:00)"
                )),
            ),
            (
                false,
                format!("{unmatched}/etc/qd/allowed:1: missing key\nNo principal matched.\n"),
                Stranger(format!("{KEY} (line 1: missing key)")),
            ),
            (
                false,
                "Could not verify signature.\nSignature verification failed: incorrect signature\n".to_owned(),
                Invalid("Signature verification failed: incorrect signature".to_owned()),
            ),
            (false, "error: no signature found\n".to_owned(), OldGit),
            (false, String::new(), Invalid("git does not say why".to_owned())),
            (true, String::new(), Invalid("git does not say why".to_owned())),
        ] {
            assert_eq!(judge(Kind::Ssh, is_good, &printed, "allowed"), verdict, "{printed}");
        }
    }

    /// As git 2.39 prints it with GnuPG 2.2.40.
    #[test]
    fn what_git_says_of_gpg_signatures_is_understood() {
        use Verdict::*;
        const GOOD: &str = "[GNUPG:] GOODSIG 0B1CB44073A02C87 Carol Example <carol@example.com>\n\
                            [GNUPG:] VALIDSIG 402ABD022346D9DF0C9C66D10B1CB44073A02C87 2026-11-30 1796022443 0 4 0 22 8 00 402ABD022346D9DF0C9C66D10B1CB44073A02C87\n";
        let new =
            "[GNUPG:] NEWSIG carol@example.com\n[GNUPG:] KEY_CONSIDERED 402ABD022346D9DF0C9C66D10B1CB44073A02C87 0\n";
        let missing = "[GNUPG:] ERRSIG 0B3F15135186D453 22 8 00 1796022443 9";
        for (is_good, printed, verdict) in [
            (true, format!("{new}{GOOD}"), Good("Carol Example <carol@example.com>".to_owned())),
            (false, format!("{new}{GOOD}"), Invalid("git does not say why".to_owned())),
            (true, format!("{new}{GOOD}[GNUPG:] BADSIG 0B1CB44073A02C87 Carol\n"), Invalid("there are several of them".to_owned())),
            (
                false,
                format!("[GNUPG:] NEWSIG dan@example.com\n{missing} 00AF3C6105DBC08FA529A9370B3F15135186D453\n[GNUPG:] NO_PUBKEY 0B3F15135186D453\n"),
                Stranger("00AF3C6105DBC08FA529A9370B3F15135186D453".to_owned()),
            ),
            (false, format!("{missing} -\n"), Stranger("0B3F15135186D453".to_owned())),
            (false, format!("{missing}\n"), Stranger("0B3F15135186D453".to_owned())),
            (
                false,
                "[GNUPG:] ERRSIG 0B3F15135186D453 99 8 00 1796022443 4\n".to_owned(),
                Invalid("gpg cannot check it, made by key 0B3F15135186D453".to_owned()),
            ),
            (
                false,
                format!("{new}[GNUPG:] BADSIG 0B1CB44073A02C87 Carol Example <carol@example.com>\n[GNUPG:] FAILURE gpg-exit 33554433\n"),
                Invalid("it is not of this content".to_owned()),
            ),
            (
                false,
                "[GNUPG:] KEYEXPIRED 1580558400\n[GNUPG:] EXPKEYSIG 7600D9C239298792 Old <old@example.com>\n[GNUPG:] VALIDSIG CEC6\n".to_owned(),
                Invalid("key 7600D9C239298792 of Old <old@example.com> has expired".to_owned()),
            ),
            (
                false,
                "[GNUPG:] REVKEYSIG 7600D9C239298792 Old <old@example.com>\n".to_owned(),
                Invalid("key 7600D9C239298792 of Old <old@example.com> was revoked".to_owned()),
            ),
            (false, "error: cannot run gpg: No such file or directory\n".to_owned(), Invalid("error: cannot run gpg: No such file or directory".to_owned())),
        ] {
            assert_eq!(judge(Kind::Gpg, is_good, &printed, ""), verdict, "{printed}");
        }
    }
}
