//! What a container does once it runs: what it prints, when it ends, and how. Pure.
//!
//! Nothing is executed. What it does is read off, the later taking precedence:
//! - the image's labels, then the pod's annotations: `standin.quarterdeck.dev/log` (lines printed at the start),
//!   `…/log-every-ms` with `…/line` (a numbered line again and again), `…/exit` with `…/exit-after-ms`, `…/unready`,
//!   `…/requires-env` (names without which it says so and exits with 1), `…/container` (only that container is meant);
//! - the container's environment: `STANDIN_LOG`, `STANDIN_LOG_EVERY_MS`, `STANDIN_LINE`, `STANDIN_EXIT`, `STANDIN_EXIT_AFTER_MS`;
//! - its command, where that is `true`, `false`, `sleep N`, or a shell with `-c` and a line of `echo`, `sleep`, `exit`,
//!   `true` and `false`: so manifests for a real busybox do the same here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::store::{items, text};

/// What all names of annotations and labels start with.
pub const PREFIX: &str = "standin.quarterdeck.dev/";

/// What a container does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behaviour {
    /// Lines printed when it starts.
    pub log: Vec<String>,
    /// How often it prints `line`.
    pub every: Option<Duration>,
    /// The line printed again and again, with a number behind it.
    pub line: String,
    /// The code that it ends with; `None` if it runs on.
    pub exit: Option<i32>,
    /// When it ends.
    pub exit_after: Duration,
    /// It runs and never becomes ready.
    pub unready: bool,
}

impl Behaviour {
    /// Reads it off a pod's container, `image` being the labels of its image. `finite`: what says nothing about its
    /// end comes to a good one, as a Job needs it.
    pub fn of(pod: &Value, container: &Value, image: &BTreeMap<String, String>, finite: bool) -> Behaviour {
        let name = text(container, "/name");
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        let own = |key: &str| key.strip_prefix(PREFIX).map(str::to_owned);
        said.extend(image.iter().filter_map(|(key, value)| Some((own(key)?, value.clone()))));
        let annotations = pod.pointer("/metadata/annotations").and_then(Value::as_object);
        let annotations = annotations.into_iter().flatten();
        let annotated: BTreeMap<String, String> =
            annotations.filter_map(|(key, value)| Some((own(key)?, value.as_str()?.to_owned()))).collect();
        if annotated.get("container").is_none_or(|only| only == name) {
            said.extend(annotated);
        }
        for (key, value) in environment(container) {
            if let Some(key) = key.strip_prefix("STANDIN_") {
                said.insert(key.to_lowercase().replace('_', "-"), value);
            }
        }
        let mut behaviour = Behaviour::said(&said, container);
        let scripted = command(container, &mut behaviour);
        if behaviour.log.is_empty() && !scripted {
            behaviour.log.push(format!("{name}: started {}", text(container, "/image")));
        }
        if finite && behaviour.exit.is_none() && behaviour.every.is_none() {
            behaviour.exit = Some(0);
        }
        behaviour
    }

    fn said(said: &BTreeMap<String, String>, container: &Value) -> Behaviour {
        let number =
            |key: &str| said.get(key).and_then(|value| value.parse::<f64>().ok()).filter(|value| *value >= 0.0);
        let milliseconds = |key: &str| number(key).and_then(|value| Duration::try_from_secs_f64(value / 1_000.0).ok());
        let mut behaviour = Behaviour {
            log: said.get("log").map(|log| log.lines().map(str::to_owned).collect()).unwrap_or_default(),
            // A line each 10 µs is more than anyone reads; faster would only heat the machine.
            every: milliseconds("log-every-ms").map(|every| every.max(Duration::from_micros(10))),
            line: said.get("line").cloned().unwrap_or_else(|| "tick".to_owned()),
            exit: said.get("exit").and_then(|code| code.parse().ok()),
            exit_after: milliseconds("exit-after-ms").unwrap_or_default(),
            unready: said.get("unready").is_some_and(|value| value != "false"),
        };
        let given: Vec<String> = environment(container).into_iter().map(|(name, _)| name).collect();
        let wanted = said.get("requires-env").map(String::as_str).unwrap_or_default();
        let missing =
            wanted.split(',').map(str::trim).find(|name| !name.is_empty() && !given.contains(&(*name).to_owned()));
        if let Some(missing) = missing {
            behaviour.log.push(format!("missing {missing}"));
            behaviour.exit = Some(1);
        }
        behaviour
    }

    /// How many lines it has printed this long after its start.
    pub fn printed(&self, after: Duration) -> u64 {
        let first = self.log.len() as u64;
        let last = self.exit.map_or(after, |_| after.min(self.exit_after));
        first + self.every.map_or(0, |every| (last.as_nanos() / every.as_nanos().max(1)) as u64)
    }

    /// The line of this number (from 0), and how long after the start it is printed.
    pub fn line(&self, index: u64) -> (Duration, String) {
        match self.log.get(index as usize) {
            Some(line) => (Duration::from_micros(index), line.clone()),
            None => {
                let tick = index - self.log.len() as u64 + 1;
                let every = self.every.unwrap_or_default().as_nanos() * u128::from(tick);
                (Duration::from_nanos(every as u64), format!("{} {tick}", self.line))
            }
        }
    }
}

/// The variables that the container names itself, and those of whole maps by their prefix alone.
fn environment(container: &Value) -> Vec<(String, String)> {
    let plain = items(container, "/env").map(|variable| (text(variable, "/name"), text(variable, "/value")));
    plain.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Reads a command that we understand. Whether it was one.
fn command(container: &Value, behaviour: &mut Behaviour) -> bool {
    let words = |name: &str| items(container, name).filter_map(Value::as_str).collect::<Vec<_>>();
    let all: Vec<&str> = words("/command").into_iter().chain(words("/args")).collect();
    let Some((program, arguments)) = all.split_first() else { return false };
    let script = match (program.rsplit('/').next().unwrap_or_default(), arguments) {
        ("sh" | "bash" | "ash", ["-c" | "-ec" | "-ce", script, ..]) => (*script).to_owned(),
        ("true" | "false" | "sleep" | "echo", _) => all.join(" ").rsplit('/').next().unwrap_or_default().to_owned(),
        _ => return false,
    };
    script_behaviour(&script, behaviour);
    true
}

fn script_behaviour(script: &str, behaviour: &mut Behaviour) {
    for step in script.split([';', '\n']).flat_map(|part| part.split("&&")).map(str::trim) {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        match word {
            "echo" => behaviour.log.push(rest.trim_matches(['"', '\'']).to_owned()),
            "sleep" => match rest.trim_end_matches('s').parse().map(Duration::try_from_secs_f64) {
                Ok(Ok(sleep)) => behaviour.exit_after += sleep,
                _ => return, // it sleeps on, as for `infinity`
            },
            "exit" => return behaviour.exit = Some(rest.parse().unwrap_or(0)),
            "false" => return behaviour.exit = Some(1),
            "true" | "" | ":" => {}
            _ => return, // something that runs on
        }
    }
    behaviour.exit.get_or_insert(0);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(pod: Value) -> Behaviour {
        Behaviour::of(&pod, &pod["spec"]["containers"][0].clone(), &BTreeMap::new(), false)
    }

    #[test]
    fn commands() {
        let table = [
            (json!(["sh", "-c", "echo hi; sleep 2; exit 3"]), vec!["hi"], Some(3), 2),
            (json!(["/bin/sh", "-c", "echo \"a b\" && sleep infinity"]), vec!["a b"], None, 0),
            (json!(["false"]), vec![], Some(1), 0),
            (json!(["/bin/true"]), vec![], Some(0), 0),
            (json!(["sleep", "5"]), vec![], Some(0), 5),
            (json!(["/web", "--port", "80"]), vec!["web: started r/web:1"], None, 0),
        ];
        for (command, log, exit, after) in table {
            let found = of(json!({"spec": {"containers": [{"name": "web", "image": "r/web:1", "command": command}]}}));
            assert_eq!(
                (found.log, found.exit, found.exit_after.as_secs()),
                (log.into_iter().map(str::to_owned).collect(), exit, after)
            );
        }
    }

    #[test]
    fn annotations_and_environment() {
        let pod = json!({
            "metadata": {"annotations": {"standin.quarterdeck.dev/log": "a\nb", "standin.quarterdeck.dev/log-every-ms": "100",
                                         "standin.quarterdeck.dev/requires-env": "DATABASE_URL"}},
            "spec": {"containers": [{"name": "web", "env": [{"name": "STANDIN_EXIT", "value": "7"}]}]},
        });
        let found = of(pod.clone());
        assert_eq!(found.log, ["a", "b", "missing DATABASE_URL"]);
        assert_eq!(found.exit, Some(1));
        let mut whole = pod;
        whole["spec"]["containers"][0]["env"] = json!([{"name": "DATABASE_URL", "value": "x"}]);
        let found = of(whole);
        assert_eq!((found.exit, found.printed(Duration::from_millis(250))), (None, 4));
        assert_eq!(found.line(1), (Duration::from_micros(1), "b".into()));
        assert_eq!(found.line(3), (Duration::from_millis(200), "tick 2".into()));
    }
}
