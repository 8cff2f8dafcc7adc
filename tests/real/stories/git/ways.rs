//! The ways into a repository: keys, agents, tokens and helpers that are right or wrong. Each has a door of its own to the
//! forge, so that what it costs is counted.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::real::{Forward, said};

use super::*;

/// Polls that a way that is refused may cost until it is left alone for minutes: four, each with a connection that asks
/// without and one that asks with credentials.
const REFUSED_COST: u64 = 8;

/// One way: how it is written in the configuration, and what a person reads where it does not lead in.
struct Row {
    name: &'static str,
    ssh: bool,
    options: String,
    told: &'static [&'static str],
    door: Forward,
}

#[tokio::test]
async fn each_way_in_is_taken_or_told_and_none_is_hammered() -> anyhow::Result<()> {
    story(async |town| {
        let keys = Keys::make(town)?;
        let rows = rows(town).await?;
        configure(town, &rows)?;
        let helper = &door(&rows, "helper").door;
        write_helper(town, &helper.port().to_string())?;
        town.agent.set("SSH_AUTH_SOCK", keys.socket.clone());
        town.agent.set("GIT_CONFIG_GLOBAL", town.agent.path("gitconfig"));
        town.agent.start_agent().await?;

        let settled = |state: &State| {
            let done = |row: &&Row| {
                repository(state, &format!(":{}/", row.door.port())).is_some_and(|seen| match row.told {
                    [] => seen.error.is_none() && seen.tags == 1,
                    _ => seen.failures >= 4,
                })
            };
            rows.iter().all(|row| done(&row)).then(|| state.clone())
        };
        town.shop.commit(&[("a", "a")], "Code")?;
        town.shop.tag("v1")?;
        let state = town.agent.wait("each way to be taken or left", settled).await?;
        for row in &rows {
            let seen = repository(&state, &format!(":{}/", row.door.port())).context("it was seen")?;
            let said = format!("{} {}", seen.error.as_deref().unwrap_or_default(), seen.hint);
            let said = said.trim();
            ensure!(row.told.iter().all(|word| said.contains(word)), "{}: {said}", row.name);
            ensure!(row.told.is_empty() == said.is_empty(), "{}: {said}", row.name);
            if !row.told.is_empty() {
                let traffic = row.door.traffic();
                ensure!(traffic.connections <= REFUSED_COST, "{}: {traffic:?}", row.name);
                let next = seen.next_poll.context("a next poll")?;
                let wait = Duration::try_from(next.duration_since(jiff::Timestamp::now()))?;
                ensure!(wait > Duration::from_secs(300), "{} is asked again in {wait:?}", row.name);
            }
        }
        let asked = std::fs::read_to_string(town.agent.path("helper.log"))?;
        ensure!(asked == "get\nstore\n", "the helper was asked more than once: {asked:?}");
        // ssh shares one connection between polls, http keeps its own open.
        for name in ["ssh-agent", "ssh-key", "token", "helper"] {
            let traffic = door(&rows, name).door.traffic();
            ensure!(traffic.connections <= 3, "{name} connects anew for each poll: {traffic:?}");
        }
        Ok(())
    })
    .await
}

async fn rows(town: &Town) -> anyhow::Result<Vec<Row>> {
    let key = format!("ssh_key = \"{}\"\n", town.parts.get("FORGE_SSH_KEY"));
    let user = town.parts.get("FORGE_USER");
    let token = |file: &str| format!("username = \"{user}\"\ntoken_file = \"{file}\"\n");
    let refused: &[&str] = &["is refused", "401", "check the credentials"];
    let mut rows = Vec::new();
    for (name, ssh, options, told) in [
        ("ssh-agent", true, String::new(), &[][..]),
        ("ssh-key", true, key.clone(), &[]),
        ("other-key", true, "ssh_key = \"other-key\"\n".to_owned(), &["is refused", "Permission denied (publickey)"]),
        ("unknown-host", true, key.clone(), &["host key", "is not trusted", "add it to known_hosts"]),
        ("changed-host", true, key, &["host key", "is not trusted", "HAS CHANGED", "verify the key"]),
        ("token", false, token("forge-token"), &[]),
        ("wrong-token", false, token("wrong-token"), refused),
        ("helper", false, String::new(), &[]),
        ("nothing", false, String::new(), &["is refused", "401", "no credentials are configured"]),
    ] {
        let url = town.parts.get(if ssh { "FORGE_SSH" } else { "FORGE_URL" });
        let address = url.rsplit(['/', '@']).next().context("an address has a host")?;
        rows.push(Row { name, ssh, options, told, door: Forward::to(address).await? });
    }
    Ok(rows)
}

fn door<'a>(rows: &'a [Row], name: &str) -> &'a Row {
    rows.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("there is no way {name}"))
}

/// An application a way: all of them the same code, each by an address of its own.
fn configure(town: &Town, rows: &[Row]) -> anyhow::Result<()> {
    let hosts = std::fs::read_to_string(town.parts.get("FORGE_KNOWN_HOSTS"))?;
    let known = town.parts.get("FORGE_SSH").rsplit(':').next().context("a port")?.to_owned();
    let other = std::fs::read_to_string(town.agent.path("other-key.pub"))?;
    town.write_secret("wrong-token", "0123456789abcdef0123456789abcdef01234567")?;
    let config = town.config();
    let (head, _) = config.split_once("[[registry]]").context("the configuration begins with the agent")?;
    let mut text = head.to_owned();
    for Row { name, ssh, options, door, .. } in rows {
        let (port, user) = (door.port(), town.parts.get("FORGE_USER"));
        let base = if *ssh { format!("ssh://git@127.0.0.1:{port}") } else { format!("http://127.0.0.1:{port}") };
        let trusted = match *name {
            "unknown-host" => String::new(),
            "changed-host" => format!("[127.0.0.1]:{port} {other}"),
            _ => hosts.replace(&format!(":{known}"), &format!(":{port}")),
        };
        std::fs::write(town.agent.path(&format!("hosts-{name}")), trusted)?;
        let hosts = if *ssh { format!("known_hosts = \"hosts-{name}\"\n") } else { String::new() };
        text.push_str(&format!(
            "[[repository]]\nurl = \"{base}\"\n{options}{hosts}\n[[application]]\nname = \"{name}\"\n\
             [application.code]\nrepository = \"{base}/{user}/{}.git\"\n[[application.image]]\nname = \"{}\"\n\n",
            town.name, town.image
        ));
    }
    town.agent.configure(&text)
}

/// A credential helper as git knows them: a program that is told the host and prints user and password.
pub(super) fn write_helper(town: &Town, port: &str) -> anyhow::Result<()> {
    let (program, log) = (town.agent.path("helper"), town.agent.path("helper.log"));
    let script = format!(
        "#!/bin/sh\ngrep -qx 'host=127.0.0.1:{port}' || exit 0\necho \"$1\" >>'{}'\n[ \"$1\" = get ] || exit 0\n\
         echo username={}\necho password=$(cat '{}')\n",
        log.display(),
        town.parts.get("FORGE_USER"),
        town.agent.path("forge-token").display(),
    );
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let config = format!("[credential]\n\thelper = {}\n", program.display());
    Ok(std::fs::write(town.agent.path("gitconfig"), config)?)
}

/// A running ssh-agent with the forge user's key in it, and a key that the forge does not know.
struct Keys {
    agent: Child,
    socket: std::path::PathBuf,
}

impl Keys {
    fn make(town: &Town) -> anyhow::Result<Self> {
        let socket = town.agent.path("ssh-agent");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let keys = Self { agent: agent.spawn().context("ssh-agent")?, socket };
        let other = town.agent.path("other-key");
        said(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other))?;
        keys.add(Path::new(town.parts.get("FORGE_SSH_KEY")))?;
        Ok(keys)
    }

    /// The socket is there a moment after the agent.
    fn add(&self, key: &Path) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            match said(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket)) {
                Ok(_) => return Ok(()),
                Err(error) if begun.elapsed() > Duration::from_secs(20) => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}
