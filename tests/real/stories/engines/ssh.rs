//! A real ssh agent in the steps of a real BuildKit: they list its keys and sign with them, and do no more.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::*;

/// What a step needs to speak to an agent.
const PROGRAMS: [&str; 2] = ["/usr/bin/ssh-add", "/usr/bin/ssh-keygen"];

/// An ssh agent with one key; it ends when this is dropped.
struct SshAgent(Child);

impl SshAgent {
    fn with_key(socket: &Path, key: &Path) -> anyhow::Result<Self> {
        said(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "of a story", "-f"]).arg(key))?;
        let mut agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::piped()).spawn()?;
        // It says where it listens once it does.
        BufReader::new(agent.stdout.take().context("its output")?).read_line(&mut String::new())?;
        let agent = Self(agent);
        said(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", socket))?;
        Ok(agent)
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Gives the engine an image with the programs and the libraries that they are linked to.
fn make_image(town: &Town, name: &str) -> anyhow::Result<()> {
    let folder = town.agent.path("ssh-image");
    let linked = said(Command::new("ldd").args(PROGRAMS))?;
    let linked = String::from_utf8(linked.stdout)?;
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    for file in libraries.chain(PROGRAMS) {
        let to = folder.join("root").join(file.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().context("a folder")?)?;
        std::fs::copy(file, to)?;
    }
    std::fs::write(folder.join("Dockerfile"), "FROM world/busybox:1\nCOPY root /\n")?;
    town.parts.docker(&["build", "--quiet", "--tag", name, &folder.display().to_string()]).map(drop)
}

#[tokio::test]
async fn a_step_uses_the_keys_of_an_ssh_agent_and_no_more() -> anyhow::Result<()> {
    story(async |town| {
        town.image = format!("{}/{}", Place::open(town).host, town.name);
        let base = format!("{}-ssh:1", town.name);
        make_image(town, &base)?;
        let (socket, key): (PathBuf, PathBuf) = (town.agent.path("ssh.sock"), town.agent.path("id_story"));
        let agent = SshAgent::with_key(&socket, &key)?;
        let listed = |command: &mut Command| anyhow::Ok(String::from_utf8(said(command)?.stdout)?.trim().to_owned());
        let fingerprint = listed(Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &socket))?;
        let public = std::fs::read_to_string(key.with_extension("pub"))?;

        let dockerfile = format!(
            "FROM {base}\nCOPY key.pub /\n\
             RUN --mount=type=ssh,required=true ssh-add -l && ssh-keygen -q -Y sign -f /key.pub -n story < /key.pub\n\
             RUN --mount=type=ssh ssh-add -D || echo refused\n\
             RUN test -z \"$SSH_AUTH_SOCK\" && echo \"no agent without a mount\"\n"
        );
        town.agent.configure(&config(
            town,
            &format!("address = \"{}\"", town.parts.get("DOCKER_HOST")),
            "ssh = true\n",
        ))?;
        town.shop.commit(&[("Dockerfile", &dockerfile), ("key.pub", &public)], "With ssh")?;
        town.agent.start_agent_with(&[("SSH_AUTH_SOCK", socket.clone().into())]).await?;
        town.shop.tag("build-1.4.0")?;
        let run = town.agent.wait_run("the end of build-1.4.0", |run| run.phase.is_final()).await?;
        let log = town.log(run.id).await?.join("\n");
        for line in [&*fingerprint, "-----BEGIN SSH SIGNATURE-----", "refused", "no agent without a mount"] {
            ensure!(log.contains(line), "{line}: {} {}\n{log}", run.phase, run.message);
        }
        ensure!(run.phase == Phase::Succeeded, "{}", run.message);
        let left = listed(Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &socket))?;
        ensure!(left == fingerprint, "the agent has its key: {left}");

        // An agent that is gone is named before the next build.
        drop(agent);
        std::fs::remove_file(&socket)?;
        town.shop.commit(&[("key.pub", "another")], "Without")?;
        town.shop.tag("build-1.5.0")?;
        let ended = |run: &RunStatus| run.reference == "build-1.5.0" && run.phase.is_final();
        let run = town.agent.wait_run("the end of build-1.5.0", ended).await?;
        let words =
            format!("the build has no ssh agent: SSH_AUTH_SOCK names {}, which does not exist", socket.display());
        ensure!(run.message == words, "{}", run.message);
        town.parts.docker(&["rmi", &base]).map(drop)
    })
    .await
}
