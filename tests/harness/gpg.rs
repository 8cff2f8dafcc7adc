//! Stands in for the program `gpg`: keys are lines `KEY FINGERPRINT USER`, and a clear-signed text names its key and its own SHA-256.
//! It imports keys and says what was signed and by whom, in the status lines that gpg writes. It encrypts nothing and knows no expiry;
//! the real tier has the real one.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

const SCRIPT: &str = r##"#!/bin/sh
for argument in "$@"; do command=$argument; done
case "$command" in
--version) echo "gpg (GnuPG) 2.4.0+standin" ;;
--import)
    cat >"$GNUPGHOME/keys"
    if ! grep -q '^KEY ' "$GNUPGHOME/keys"; then echo "gpg: no valid OpenPGP data found." >&2; exit 2; fi
    ;;
--decrypt)
    cat >"$GNUPGHOME/message"
    body="$GNUPGHOME/body"
    awk 'at == 0 && /^$/ { at = 1; next } /^-----BEGIN PGP SIGNATURE-----$/ { at = 2 } at == 1' "$GNUPGHOME/message" >"$body"
    signature=$(grep '^BY ' "$GNUPGHOME/message" | head -n 1)
    [ -n "$signature" ] || { echo "gpg: no valid OpenPGP data found." >&2; exit 2; }
    key=$(echo "$signature" | cut -d' ' -f2)
    sum=$(echo "$signature" | cut -d' ' -f3)
    user=$(sed -n "s/^KEY $key //p" "$GNUPGHOME/keys")
    cat "$body"
    if [ -z "$user" ]; then
        echo "[GNUPG:] ERRSIG $key 22 10 01 1764000000 9 $key" >&2
        exit 2
    elif [ "$(sha256sum <"$body" | cut -d' ' -f1)" != "$sum" ]; then
        echo "[GNUPG:] BADSIG $key $user" >&2
        exit 1
    fi
    echo "[GNUPG:] GOODSIG $key $user" >&2
    ;;
*) echo "the stand-in does not know gpg $command" >&2; exit 1 ;;
esac
"##;

/// Puts it into a folder of this one; the `PATH` on which it is found first.
///
/// # Errors
/// Where it cannot be written.
pub fn install(folder: &Path) -> std::io::Result<PathBuf> {
    crate::programs::install(folder, "gpg", SCRIPT)
}

/// The public keys of these people, as a keyring.
pub fn keyring(names: &[&str]) -> String {
    names.iter().map(|name| format!("KEY {} {name}@example.com\n", key(name))).collect()
}

/// What somebody's key is known by.
pub fn key(name: &str) -> String {
    hex(name.as_bytes())[..16].to_uppercase()
}

/// The provenance file of an archive, as `helm package --sign` writes it, signed by this key.
pub fn provenance(chart: &str, version: &str, archive: &[u8], by: &str) -> String {
    let body = unsigned(chart, version, archive);
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{body}-----BEGIN PGP SIGNATURE-----\n\nBY {} {}\n-----END PGP SIGNATURE-----\n",
        key(by),
        hex(body.as_bytes())
    )
}

/// What is signed of an archive.
pub fn unsigned(chart: &str, version: &str, archive: &[u8]) -> String {
    let sum = hex(archive);
    format!("apiVersion: v2\nname: {chart}\nversion: {version}\n\n...\nfiles:\n  {chart}-{version}.tgz: sha256:{sum}\n")
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
