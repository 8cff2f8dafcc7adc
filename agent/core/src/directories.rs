//! Which directories of a repository stand for applications and their environments, by a pattern such as
//! `apps/{app}/envs/{env}`. Pure. What a template says of each is in [`crate::generate`].
//!
//! ```text
//! pattern + paths of files ─ Pattern::find ─► directories, each with the names in it, which are DNS labels
//! ```

use std::collections::BTreeMap;

use quarterdeck_shared::application::{ApplicationName, EnvironmentName};

/// The name of the application, in patterns and templates.
const APPLICATION: &str = "{app}";

/// The name of the environment.
const ENVIRONMENT: &str = "{env}";

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It leads out of the repository.
    #[error("the pattern {0:?} must be of folders inside the repository")]
    Outside(String),
    /// A part that is neither a name of a folder nor a placeholder.
    #[error("{0:?} is not a folder, {{app}} or {{env}}: each placeholder is a folder of its own")]
    Part(String),
    /// A placeholder that is there twice.
    #[error("{0} is in the pattern twice: leave out one")]
    Twice(&'static str),
    /// Nothing says what the application is called.
    #[error("the pattern {0:?} has no {{app}}: write e.g. apps/{{app}}/envs/{{env}}")]
    NoApplication(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Folder(String),
    Application,
    Environment,
}

/// A pattern of directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

/// A directory that matches, with the names in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Directory {
    /// From the root of the repository.
    pub path: String,
    /// What is at the place of `{app}`.
    pub application: ApplicationName,
    /// What is at the place of `{env}`, where the pattern has it.
    pub environment: Option<EnvironmentName>,
}

/// A directory that matches but for a name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misnamed {
    /// From the root of the repository.
    pub path: String,
    /// What is wrong with the name.
    pub why: String,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.starts_with('/') || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(PatternError::Outside(text.to_owned()));
        }
        let part = |part: &str| match part {
            APPLICATION => Ok(Part::Application),
            ENVIRONMENT => Ok(Part::Environment),
            other if other.contains(['{', '}', '*', '?']) => Err(PatternError::Part(other.to_owned())),
            folder => Ok(Part::Folder(folder.to_owned())),
        };
        let parts: Vec<Part> = text.split('/').map(part).collect::<Result<_, _>>()?;
        let count = |wanted: &Part| parts.iter().filter(|part| *part == wanted).count();
        match (count(&Part::Application), count(&Part::Environment)) {
            (0, _) => Err(PatternError::NoApplication(text.to_owned())),
            (1, 0 | 1) => Ok(Self(parts)),
            (1, _) => Err(PatternError::Twice(ENVIRONMENT)),
            _ => Err(PatternError::Twice(APPLICATION)),
        }
    }

    /// The folder that all of them are in: what stands before the first placeholder.
    pub fn root(&self) -> String {
        let folders = self.0.iter().map_while(|part| match part {
            Part::Folder(name) => Some(name.as_str()),
            Part::Application | Part::Environment => None,
        });
        folders.collect::<Vec<_>>().join("/")
    }

    /// The directories that match, of the files of a repository; each once, in the order of their paths.
    pub fn find<'p>(&self, files: impl IntoIterator<Item = &'p str>) -> (Vec<Directory>, Vec<Misnamed>) {
        let mut found: BTreeMap<String, Result<Directory, Misnamed>> = BTreeMap::new();
        for file in files {
            // The last part is the file's own name.
            let folders: Vec<&str> = file.split('/').collect();
            let Some(parts) = folders.get(..self.0.len()).filter(|_| folders.len() > self.0.len()) else { continue };
            let path = parts.join("/");
            if found.contains_key(&path) {
                continue;
            }
            if let Some(directory) = self.read(parts, &path) {
                found.insert(path, directory);
            }
        }
        let (mut directories, mut misnamed) = (Vec::new(), Vec::new());
        for one in found.into_values() {
            match one {
                Ok(directory) => directories.push(directory),
                Err(wrong) => misnamed.push(wrong),
            }
        }
        (directories, misnamed)
    }

    fn read(&self, parts: &[&str], path: &str) -> Option<Result<Directory, Misnamed>> {
        let fits = |(part, own): (&Part, &&str)| !matches!(part, Part::Folder(name) if name != own);
        if !self.0.iter().zip(parts).all(fits) {
            return None;
        }
        let at = |wanted: &Part| self.0.iter().position(|part| part == wanted).map(|at| parts[at]);
        let wrong = |why: String| Misnamed { path: path.to_owned(), why };
        let application = at(&Part::Application)?.parse::<ApplicationName>().map_err(|error| wrong(error.to_string()));
        let environment = at(&Part::Environment).map(str::parse::<EnvironmentName>).transpose();
        let environment = environment.map_err(|error| wrong(error.to_string()));
        Some(
            application.and_then(|application| {
                Ok(Directory { path: path.to_owned(), application, environment: environment? })
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_read_or_refused() {
        for (text, told) in [
            ("apps/{app}", None),
            ("{app}/{env}", None),
            ("apps/{app}/envs/{env}", None),
            ("envs/{env}/{app}/deploy", None),
            ("apps", Some("has no {app}")),
            ("", Some("must be of folders inside")),
            ("/apps/{app}", Some("must be of folders inside")),
            ("apps/../{app}", Some("must be of folders inside")),
            ("apps//{app}", Some("must be of folders inside")),
            ("apps/{app}/{app}", Some("{app} is in the pattern twice")),
            ("{app}/{env}/{env}", Some("{env} is in the pattern twice")),
            ("apps/x-{app}", Some("\"x-{app}\" is not a folder, {app} or {env}")),
            ("apps/{team}/{app}", Some("\"{team}\" is not a folder")),
            ("apps/*/{app}", Some("\"*\" is not a folder")),
        ] {
            let told_now = Pattern::parse(text).err().map(|error| error.to_string());
            match told {
                None => assert_eq!(told_now, None, "{text}"),
                Some(told) => assert!(told_now.as_ref().is_some_and(|now| now.contains(told)), "{text}: {told_now:?}"),
            }
        }
    }

    #[test]
    fn directories_are_found_by_the_files_in_them() {
        let files = [
            "README.md",
            "apps/cart/envs/qa/a.yaml",
            "apps/shop/envs/prod/a.yaml",
            "apps/shop/envs/prod/more/b.yaml",
            "apps/shop/envs/prod",
            "apps/shop/envs/readme.md",
            "apps/shop/code/main.rs",
            "apps/My_Shop/envs/prod/a.yaml",
            "other/shop/envs/prod/a.yaml",
        ];
        let pattern = Pattern::parse("apps/{app}/envs/{env}").unwrap();
        assert_eq!(pattern.root(), "apps");
        let (found, misnamed) = pattern.find(files);
        let directory = |path: &str, application: &str, environment: &str| Directory {
            path: path.to_owned(),
            application: application.parse().unwrap(),
            environment: Some(environment.parse().unwrap()),
        };
        let expected = [directory("apps/cart/envs/qa", "cart", "qa"), directory("apps/shop/envs/prod", "shop", "prod")];
        assert_eq!(found, expected);
        let [wrong] = &misnamed[..] else { panic!("{misnamed:?}") };
        assert_eq!(wrong.path, "apps/My_Shop/envs/prod");
        assert!(wrong.why.starts_with("\"My_Shop\" cannot name an application"), "{}", wrong.why);
        assert_eq!(Pattern::parse("{app}").unwrap().root(), "");
    }
}
