//! The provenance file of a packaged chart, as `helm package --sign` writes it: the chart's `Chart.yaml` and the SHA-256 of its archive,
//! clear-signed. Pure: what is read here is what a program for OpenPGP says was signed.

use serde_json::Value;

use crate::yaml;

/// A provenance file longer than this, in bytes, is not read: it is a `Chart.yaml` and a signature, some KiB.
pub const BYTES_MAX: u64 = 1 << 20;

/// What a signed provenance file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What the chart is called.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The archives, each with its digest: `sha256:…`.
    pub files: Vec<(String, String)>,
}

/// A provenance file that does not speak of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// What is signed is something else.
    #[error("what is signed is not a provenance file: {0}")]
    Form(&'static str),
    /// It is of another chart.
    #[error("its provenance file is that of {found}")]
    Other {
        /// Name and version of that.
        found: String,
    },
    /// It is of another archive.
    #[error("its provenance file says {signed}, and the archive is {found}")]
    Digest {
        /// What was signed.
        signed: String,
        /// What the archive is.
        found: String,
    },
}

/// Reads what was signed: two YAML documents, the second behind a line of three dots.
///
/// # Errors
/// Where it is none.
pub fn read(signed: &str) -> Result<Provenance, ProvenanceError> {
    let form = ProvenanceError::Form;
    let signed = signed.replace("\r\n", "\n");
    let (about, sums) = signed.split_once("\n...\n").ok_or(form("it has no line of three dots"))?;
    let about = document(about).ok_or(form("it does not begin with a Chart.yaml"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = text(&about["name"]).ok_or(form("its Chart.yaml has no `name`"))?;
    let version = text(&about["version"]).ok_or(form("its Chart.yaml has no `version`"))?;
    let sums = document(sums).ok_or(form("it has no `files`"))?;
    let files = sums["files"].as_object().ok_or(form("it has no `files`"))?;
    let files = files.iter().filter_map(|(file, sum)| Some((file.clone(), text(sum)?.to_ascii_lowercase())));
    Ok(Provenance { name, version, files: files.collect() })
}

fn document(text: &str) -> Option<Value> {
    Some(yaml::parse(text.as_bytes()).ok()?.into_iter().next()?.value)
}

impl Provenance {
    /// That it speaks of this chart and this archive, whose digest is `sha256:…`.
    ///
    /// # Errors
    /// Where it does not.
    pub fn is_of(&self, name: &str, version: &str, digest: &str) -> Result<(), ProvenanceError> {
        if self.name != name || !super::versions::is_same(&self.version, version) {
            return Err(ProvenanceError::Other { found: format!("{} {}", self.name, self.version) });
        }
        if self.files.iter().any(|(_, sum)| sum == digest) {
            return Ok(());
        }
        let signed: Vec<&str> = self.files.iter().map(|(_, sum)| sum.as_str()).take(3).collect();
        let signed = if signed.is_empty() { "of no archive".to_owned() } else { signed.join(", ") };
        Err(ProvenanceError::Digest { signed, found: digest.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "apiVersion: v2\nappVersion: 6.7.1\nname: podinfo\nversion: 6.7.1\n\n...\nfiles:\n  podinfo-6.7.1.tgz: sha256:ab12\n";

    #[test]
    fn what_helm_signs_is_read_and_compared() {
        let read_of = |text: &str| read(text);
        let provenance = read_of(SIGNED).unwrap();
        assert_eq!((provenance.name.as_str(), provenance.version.as_str()), ("podinfo", "6.7.1"));
        assert_eq!(provenance.files, [("podinfo-6.7.1.tgz".to_owned(), "sha256:ab12".to_owned())]);
        assert_eq!(read_of(&SIGNED.replace('\n', "\r\n")), Ok(provenance.clone()));
        for (name, version, digest, words) in [
            ("podinfo", "6.7.1", "sha256:ab12", None),
            ("podinfo", "v6.7.1", "sha256:ab12", None),
            ("podinfo", "6.7.0", "sha256:ab12", Some("its provenance file is that of podinfo 6.7.1")),
            ("other", "6.7.1", "sha256:ab12", Some("its provenance file is that of podinfo 6.7.1")),
            (
                "podinfo",
                "6.7.1",
                "sha256:cd34",
                Some("its provenance file says sha256:ab12, and the archive is sha256:cd34"),
            ),
        ] {
            let found = provenance.is_of(name, version, digest).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), words, "{name} {version} {digest}");
        }
        for (text, why) in [
            ("", "it has no line of three dots"),
            ("name: a\nversion: 1.0.0\n", "it has no line of three dots"),
            ("- [\n...\nfiles: {}\n", "it does not begin with a Chart.yaml"),
            ("version: 1.0.0\n\n...\nfiles: {}\n", "its Chart.yaml has no `name`"),
            ("name: a\n\n...\nfiles: {}\n", "its Chart.yaml has no `version`"),
            ("name: a\nversion: 1.0.0\n\n...\nimages: {}\n", "it has no `files`"),
        ] {
            assert_eq!(read(text), Err(ProvenanceError::Form(why)), "{text}");
        }
    }
}
