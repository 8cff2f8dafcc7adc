//! `Chart.lock`: which versions `helm dependency update` chose of what a chart depends on, and whether that is still what
//! `Chart.yaml` asks for. Pure.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A chart that another one depends on. Fields, their order and which of them are left out where they are empty are those of helm's
/// `chart.Dependency`: the digest of a lock file is that of their JSON.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// What it is called.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// In `Chart.yaml` a range, in a lock file one version.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Where it is; nothing where it is in `charts/`.
    #[serde(deserialize_with = "or_default")]
    pub repository: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    condition: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    enabled: bool,
    #[serde(rename = "import-values", deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    import_values: Vec<Value>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    alias: String,
}

/// A lock file.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
pub struct Lock {
    #[serde(deserialize_with = "or_default")]
    digest: String,
    /// In the order of those of the chart, each with its version.
    #[serde(deserialize_with = "or_default")]
    pub dependencies: Vec<Dependency>,
}

/// Which chart format a lock file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `apiVersion: v1`, whose lock file may be one of Helm 2.
    V1,
    /// `apiVersion: v2`.
    V2,
}

/// Reads the list of dependencies of a chart.
///
/// # Errors
/// Where helm would not read it either.
pub fn dependencies(written: &Value) -> Result<Vec<Dependency>, serde_json::Error> {
    Vec::<Dependency>::deserialize(written)
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(written: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(written)
    }

    /// Whether it was made for these dependencies.
    pub fn is_of(&self, asked: &[Dependency], format: Format) -> bool {
        let names = |all: &[Dependency]| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        if names(asked) != names(&self.dependencies) {
            return false;
        }
        // Helm puts the address in place of an alias before it computes the digest, and the lock file has that address.
        let resolved = |(one, locked): (&Dependency, &Dependency)| match is_alias(&one.repository) {
            true => Dependency { repository: locked.repository.clone(), ..one.clone() },
            false => one.clone(),
        };
        let resolved: Vec<Dependency> = asked.iter().zip(&self.dependencies).map(resolved).collect();
        self.digest == digest(&(clean(&resolved), &self.dependencies))
            || format == Format::V1 && self.digest == digest(&serde_json::json!({ "dependencies": clean(asked) }))
    }
}

/// Whether a repository is named by what it is called in the `repositories.yaml` of whoever ran helm.
pub fn is_alias(repository: &str) -> bool {
    repository.starts_with('@') || repository.starts_with("alias:")
}

/// As helm cleans what it reads of a chart: any white space is a space, and what cannot be printed is left out.
fn clean(dependencies: &[Dependency]) -> Vec<Dependency> {
    let clean = |text: &String| -> String {
        let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
        spaced.filter(|c| !c.is_control()).collect()
    };
    let all = dependencies.iter().map(|one| Dependency {
        name: clean(&one.name),
        version: clean(&one.version),
        repository: clean(&one.repository),
        condition: clean(&one.condition),
        tags: one.tags.iter().map(clean).collect(),
        ..one.clone()
    });
    all.collect()
}

/// Of the JSON as Go writes it, which escapes what HTML and JavaScript would stumble over.
fn digest(of: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(of).unwrap_or_default();
    let escaped =
        [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")];
    let json = escaped.iter().fold(json, |json, (from, to)| json.replace(from, to));
    let hex: String = Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// `null` is as good as nothing, as Go reads it.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(written: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(written)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
