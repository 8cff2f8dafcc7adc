//! Which images a Dockerfile builds on (pure), so that the engine can be given the logins for their registries, and no others.
//!
//! This is no parser of Dockerfiles: what the engine would not find here it pulls without a login, and says so itself. `lines`
//! reads what BuildKit reads as lines, `expand` what it makes of variables.

use std::collections::{BTreeMap, BTreeSet};

use super::GivenValue;
use lines::Lines;
use quarterdeck_core::image_ref::ImageRef;

mod expand;
mod lines;

/// A Dockerfile names a handful of images; a hostile one could name more, and each may cost a credential helper.
const IMAGES_MAX: usize = 32;

/// Global `ARG`s that are read; each may cost a pattern.
const ARGUMENTS_MAX: usize = 256;

/// The build argument that names another frontend than `# syntax=` does.
const SYNTAX_ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// The images named by `# syntax=` (the frontend, which BuildKit asks for first), `FROM`, `COPY --from=` and
/// `RUN --mount=…,from=…`, without stages and `scratch`. Variables take their value from `args`, else their default.
pub fn base_images(dockerfile: &str, args: &BTreeMap<String, GivenValue>) -> Vec<ImageRef> {
    let Lines { syntax, escape, lines } = Lines::of(dockerfile);
    let mut variables = platform();
    let mut arguments = 0;
    let mut stages: BTreeSet<String> = BTreeSet::new();
    let mut images: Vec<ImageRef> = Vec::new();
    let frontend = match args.get(SYNTAX_ARGUMENT) {
        Some(GivenValue::Plain(image)) => Some(image.clone()),
        _ => syntax,
    };
    images.extend(frontend.and_then(|name| ImageRef::parse(&name).ok()));
    for line in lines {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let names: Vec<String> = match word.to_ascii_uppercase().as_str() {
            "ARG" if stages.is_empty() => {
                for word in expand::words(rest, escape).iter().take(ARGUMENTS_MAX.saturating_sub(arguments)) {
                    arguments += 1;
                    let (name, default) = word.split_once('=').map_or((&**word, None), |(n, d)| (n, Some(d)));
                    let value = match args.get(name) {
                        Some(GivenValue::Plain(value)) => Some(value.clone()),
                        // A secret in the name of an image would be shown by every message about it.
                        Some(GivenValue::Secret(_)) => None,
                        None => default.and_then(|default| expand::word(default, escape, &variables)),
                    };
                    match value {
                        Some(value) => drop(variables.insert(name.to_owned(), value)),
                        None if default.is_some() => drop(variables.remove(name)),
                        None => {}
                    }
                }
                continue;
            }
            "FROM" => {
                let words = expand::words(rest, escape);
                let words: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
                let name = words.first().and_then(|name| expand::word(name, escape, &variables));
                let stage = words.get(2).filter(|_| words[1].eq_ignore_ascii_case("as"));
                let found = name.filter(|name| name != "scratch" && !stages.contains(&name.to_ascii_lowercase()));
                // A stage without a name is one all the same: an `ARG` after it is its own.
                stages.insert(stage.map_or_else(|| stages.len().to_string(), |stage| stage.to_ascii_lowercase()));
                found.into_iter().collect()
            }
            "COPY" | "ADD" => {
                rest.split_whitespace().filter_map(|word| word.strip_prefix("--from=")).map(str::to_owned).collect()
            }
            "RUN" => {
                let mounts = rest.split_whitespace().filter_map(|word| word.strip_prefix("--mount="));
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
                && name != "scratch"
                && !images.contains(&image)
                && images.len() < IMAGES_MAX
            {
                images.push(image);
            }
        }
    }
    images
}

/// What the frontend sets by itself before the first `FROM`
/// (<https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope>), as of this machine: who may
/// pull an image does not depend on it.
fn platform() -> BTreeMap<String, String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let of = |side: &str| {
        [
            (format!("{side}PLATFORM"), format!("linux/{arch}")),
            (format!("{side}OS"), "linux".to_owned()),
            (format!("{side}ARCH"), arch.to_owned()),
            (format!("{side}VARIANT"), String::new()),
        ]
    };
    ["BUILD", "TARGET"].into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dockerfile: &str) -> String {
        let args = BTreeMap::from([
            ("VERSION".to_owned(), GivenValue::Plain("2".to_owned())),
            ("TOKEN".to_owned(), GivenValue::Secret("hunter2".into())),
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
            ("ARG VERSION\nFROM r.example/x:$VERSION", "r.example/x:2"),
            ("ARG A=1 REGISTRY=r.example\nARG BASE=${REGISTRY}/ops/base:$A\nFROM ${BASE}", "r.example/ops/base:1"),
            ("ARG A=$B\nARG B=$A$A\nFROM r.example/x$B:1", "r.example/x:1"),
            ("ARG E='r.example/a:1' \\\n F=\"r.example/b:1\"\nFROM $E\nFROM \"$F\"", "r.example/a:1 r.example/b:1"),
            ("FROM --platform=$BUILDPLATFORM r.example/x-$TARGETOS:1", "r.example/x-linux:1"),
            ("FROM a\nRUN --mount=from=scratch,target=/x true\nCOPY --from=scratch a b", "docker.io/library/a"),
            ("# FROM no\nRUN echo FROM x\nFROM", ""),
        ] {
            assert_eq!(names(dockerfile), want, "{dockerfile}");
        }
        let built = |dockerfile: &str, name: &str, value: &str| {
            let args = BTreeMap::from([(name.to_owned(), GivenValue::Plain(value.to_owned()))]);
            base_images(dockerfile, &args).iter().map(ImageRef::to_string).collect::<Vec<_>>().join(" ")
        };
        let file = "ARG REGISTRY=private.example\nARG BASE=${REGISTRY}/ops/base:1\nARG TOOL=\"$REGISTRY/ops/tool\"\n\
                    FROM ${TOOL}:${TOOL_TAG:-2} AS tool\nFROM ${BASE}\nCOPY --from=tool /bin/tool /bin/tool\n";
        assert_eq!(built(file, "OTHER", ""), "private.example/ops/tool:2 private.example/ops/base:1");
        assert_eq!(built(file, "REGISTRY", "other.example"), "other.example/ops/tool:2 other.example/ops/base:1");
        assert_eq!(
            built("# syntax=a/b\nFROM c", SYNTAX_ARGUMENT, "r.example/d:1"),
            "r.example/d:1 docker.io/library/c"
        );
        let many: String = (0..100).map(|n| format!("FROM r.example/i{n}\n")).collect();
        assert_eq!(names(&many).split(' ').count(), IMAGES_MAX);
    }
}
