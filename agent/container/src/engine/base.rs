//! Which images a Dockerfile builds on (pure), so that the engine can be given the logins for their registries, and no others.
//!
//! This is no parser of Dockerfiles: what the engine would not find here it pulls without a login, and says so itself.

use std::collections::{BTreeMap, BTreeSet};

use super::ArgValue;
use quarterdeck_core::image_ref::ImageRef;

/// A Dockerfile names a handful of images; a hostile one could name more, and each may cost a credential helper.
const IMAGES_MAX: usize = 32;

/// The images named by `FROM`, `COPY --from=` and `RUN --mount=…,from=…`, without stages and `scratch`. Variables take their value
/// from `args`, else their default.
pub fn base_images(dockerfile: &str, args: &BTreeMap<String, ArgValue>) -> Vec<ImageRef> {
    let mut variables: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: BTreeSet<String> = BTreeSet::new();
    let mut images: Vec<ImageRef> = Vec::new();
    for line in logical_lines(dockerfile) {
        let mut words = line.split_whitespace();
        let names: Vec<String> = match words.next().unwrap_or("").to_ascii_uppercase().as_str() {
            "ARG" if stages.is_empty() => {
                for (name, default) in words.filter_map(|word| word.split_once('=')) {
                    let given = match args.get(name) {
                        Some(ArgValue::Plain(value)) => value.clone(),
                        // A secret in the name of an image would be shown by every message about it.
                        Some(ArgValue::Secret(_)) => continue,
                        None => default.trim_matches(['"', '\'']).to_owned(),
                    };
                    variables.insert(name.to_owned(), given);
                }
                continue;
            }
            "FROM" => {
                let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
                let name = words.first().map(|name| expand(name, &variables));
                let stage = words.get(2).filter(|_| words[1].eq_ignore_ascii_case("as"));
                let found = name.filter(|name| name != "scratch" && !stages.contains(&name.to_ascii_lowercase()));
                // A stage without a name is one all the same: an `ARG` after it is its own.
                stages.insert(stage.map_or_else(|| stages.len().to_string(), |stage| stage.to_ascii_lowercase()));
                found.into_iter().collect()
            }
            "COPY" | "ADD" => words.filter_map(|word| word.strip_prefix("--from=")).map(str::to_owned).collect(),
            "RUN" => {
                let mounts = words.filter_map(|word| word.strip_prefix("--mount="));
                mounts
                    .flat_map(|mount| mount.split(','))
                    .filter_map(|o| o.strip_prefix("from="))
                    .map(str::to_owned)
                    .collect()
            }
            _ => continue,
        };
        for name in names {
            let is_stage =
                stages.contains(&name.to_ascii_lowercase()) || name.bytes().all(|byte| byte.is_ascii_digit());
            if let Ok(image) = ImageRef::parse(&name)
                && !is_stage
                && !images.contains(&image)
                && images.len() < IMAGES_MAX
            {
                images.push(image);
            }
        }
    }
    images
}

/// Lines with their continuations, without comments.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some(whole) => whole.push_str(part),
            None => lines.push(part.to_owned()),
        }
        goes_on = more;
    }
    lines
}

/// `$name`, `${name}` and `${name:-default}`; anything else stays, and is then no name of an image.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, default, tail) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((inside, tail)) => {
                let (name, default) = inside.split_once(":-").unwrap_or((inside, ""));
                (name, default, tail)
            }
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], "", &after[end..])
            }
        };
        out.push_str(variables.get(name).filter(|value| !value.is_empty()).map_or(default, String::as_str));
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dockerfile: &str) -> String {
        let args = BTreeMap::from([
            ("VERSION".to_owned(), ArgValue::Plain("2".to_owned())),
            ("TOKEN".to_owned(), ArgValue::Secret("hunter2".into())),
        ]);
        base_images(dockerfile, &args).iter().map(ImageRef::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn images_are_found_and_stages_are_not() {
        for (dockerfile, want) in [
            ("FROM alpine", "docker.io/library/alpine"),
            (
                "from --platform=$BUILDPLATFORM r.example/go:1 AS build\nFROM scratch\nCOPY --from=build /a /",
                "r.example/go:1",
            ),
            ("ARG VERSION=1\nARG BASE=\"r.example/x\"\nFROM ${BASE}:$VERSION", "r.example/x:2"),
            ("FROM ${MISSING:-r.example/d}:1\nFROM r.example/d:1", "r.example/d:1"),
            (
                "FROM a AS b\nFROM B\nCOPY --from=0 x /\nCOPY --chown=1 --from=r.example/tool:3 x /",
                "docker.io/library/a r.example/tool:3",
            ),
            (
                "FROM a\nRUN --mount=type=bind,from=r.example/m:1,target=/x \\\n # why\n true",
                "docker.io/library/a r.example/m:1",
            ),
            ("ARG TOKEN\nARG TOKEN=x\nFROM r.example/$TOKEN", ""),
            ("# FROM no\nRUN echo FROM x\nFROM", ""),
        ] {
            assert_eq!(names(dockerfile), want, "{dockerfile}");
        }
        let many: String = (0..100).map(|n| format!("FROM r.example/i{n}\n")).collect();
        assert_eq!(names(&many).split(' ').count(), IMAGES_MAX);
    }
}
