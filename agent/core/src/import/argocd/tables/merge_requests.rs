//! The pullRequest generator: open merge requests of a forge.

use serde_json::Value;

use super::super::super::source_draft::Generate;
use super::super::text;

/// The table that lists them.
///
/// # Errors
/// Why none does.
pub(super) fn read(of: &Value) -> Result<Generate, String> {
    let forges = ["github", "gitlab", "gitea"];
    let Some((forge, at)) = forges.iter().find_map(|forge| Some((*forge, of[*forge].as_object()?))) else {
        return Err("only merge requests of GitHub, GitLab and Gitea are listed".to_owned());
    };
    if at.get("labels").and_then(Value::as_array).is_some_and(|labels| !labels.is_empty()) {
        return Err("merge requests are not selected by labels".to_owned());
    }
    let get = |key: &str| at.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if get("pullRequestState").is_some_and(|state| state != "opened") {
        return Err("only open merge requests are listed".to_owned());
    }
    let project = match (forge, get("project"), get("owner").zip(get("repo"))) {
        ("gitlab", Some(project), _) if !project.bytes().all(|byte| byte.is_ascii_digit()) => project.to_owned(),
        ("gitlab", ..) => return Err("the project is a number: its path is wanted".to_owned()),
        (_, _, Some((owner, repository))) => format!("{owner}/{repository}"),
        _ => return Err("its repository is not named".to_owned()),
    };
    let usual = match forge {
        "github" => "https://github.com",
        "gitlab" => "https://gitlab.com",
        _ => "https://gitea.com",
    };
    let server = get("api").unwrap_or(usual).trim_end_matches('/');
    let repository = format!("{server}/{project}.git");
    let into = match of["filters"].as_array().map(Vec::as_slice).unwrap_or_default() {
        [] => "*".to_owned(),
        [filter] if filter.as_object().is_some_and(|all| all.len() == 1) => {
            let target = text(filter, "targetBranchMatch").and_then(literal);
            target.ok_or("its filter has no equal: merge_requests is a pattern of the target branch")?
        }
        _ => return Err("its filters have no equal: merge_requests is a pattern of the target branch".to_owned()),
    };
    Ok(Generate { merge_requests: Some(into), repository: Some(repository), ..Generate::default() })
}

/// A regular expression that is a name, as a pattern.
fn literal(expression: &str) -> Option<String> {
    let (start, inside) = expression.strip_prefix('^').map_or(("*", expression), |inside| ("", inside));
    let (end, inside) = inside.strip_suffix('$').map_or(("*", inside), |inside| ("", inside));
    let is_plain =
        !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte));
    is_plain.then(|| format!("{start}{inside}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_a_pattern_where_it_is_a_name() {
        for (expression, wanted) in [
            ("^main$", Some("main")),
            ("main", Some("*main*")),
            ("^release/", Some("release/*")),
            ("^release-.*$", None),
            ("", None),
        ] {
            assert_eq!(literal(expression).as_deref(), wanted, "{expression}");
        }
    }
}
