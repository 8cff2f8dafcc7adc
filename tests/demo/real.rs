//! The playground on real parts: repositories on a real forge, a real engine, the forge's registry, a real Kubernetes.
//!
//! The world is `tests/real/world`'s; what is made in it here (repositories, packages, a namespace) has names of its own, so
//! that it can be shared with other trials, and is gone at the end. If no world runs, one is started and ends with us.

mod scenario;
mod soak;

use std::io::Write as _;
use std::process::Command;

use anyhow::Context as _;
pub(crate) use harness::real::{CANNOT, NoWorld};
use harness::real::{Parts, Town, code, in_town};
use harness::world::borrowed;

use crate::DemoOptions;
use crate::tour::this_program;

/// Tells the story without a terminal, or opens the console. What was made in the world goes either way.
pub(crate) async fn real(options: &DemoOptions) -> anyhow::Result<()> {
    let mut tour = crate::step::Tour::begin();
    let parts = Parts::up()?;
    let told = in_town(&parts, this_program()?, async |town| {
        let result = if options.tour {
            scenario::tell(town, &mut tour).await
        } else if options.day {
            soak::live(town, options.seed, options.minutes).await
        } else {
            play(town, options.no_console).await
        };
        if let Err(error) = &result {
            // Now, since clearing away takes a while and may fail as well.
            writeln!(std::io::stderr(), "playground: {error:#}; clearing away")?;
        }
        result
    });
    let told = told.await;
    let ended = parts.end();
    told?;
    ended?;
    if options.tour {
        tour.done("clean end", "the agent stopped cleanly; repositories, packages and namespace are gone")?;
        tour.passed()?;
    }
    Ok(())
}

async fn play(town: &mut Town, no_console: bool) -> anyhow::Result<()> {
    town.start().await?;
    town.shop.commit(&borrowed(&code("1.0.0", 0)), "The first shop")?;
    town.shop.tag("push-1.0.0")?;
    writeln!(
        std::io::stdout(),
        "\nQuarterdeck on real parts. The forge is {forge} ({user}, password in {state}/world.env).\n\
         What is made in it here goes when you leave. In another terminal:\n\n\
         \x20 first     export KUBECONFIG={kubeconfig} PATH=$PATH:{bin}\n\
         \x20 deliver   cd {folder}/shop && sed -i s/1.0.0/1.1.0/ Dockerfile index.html && git commit -qam Again && git tag push-1.1.0 && git push -q origin main push-1.1.0\n\
         \x20 break     cd {folder}/deploy && git pull -q origin main && echo 'kind: [' >> shop/service.yaml && git commit -qam Oops && git push -q origin main\n\
         \x20 mend      cd {folder}/deploy && git revert --no-edit HEAD && git push -q origin main\n\
         \x20 drift     kubectl -n {namespace} scale deployment shop --replicas 5\n\
         \x20 see it    curl http://$(kubectl -n {namespace} get service shop -o jsonpath={{.spec.clusterIP}})/\n\
         \x20 ask       curl -s --unix-socket {socket} http://qd/v1/state | jq '.objects | keys'\n\n\
         Keys: enter open  d diff  S sync  b build  p push  R rollback  z suspend  l logs  : go to  ? all keys  q quit\n",
        forge = town.parts.get("FORGE_URL"),
        user = town.parts.get("FORGE_USER"),
        state = town.parts.get("WORLD_STATE"),
        kubeconfig = town.parts.get("KUBECONFIG"),
        bin = town.parts.get("WORLD_BIN"),
        folder = town.agent.path("").display().to_string().trim_end_matches('/'),
        namespace = town.namespace,
        socket = town.agent.socket().display(),
    )?;
    if no_console {
        tokio::signal::ctrl_c().await?;
    } else {
        writeln!(std::io::stdout(), "The console opens when you press Enter.")?;
        let _ = std::io::stdin().read_line(&mut String::new());
        let program = std::env::current_exe()?;
        let status = Command::new(program).args(["console", "--socket"]).arg(town.agent.socket()).status();
        let status = status.context("cannot start the console")?;
        anyhow::ensure!(
            status.success(),
            "the console ended with {status}; the agent's log said:\n{}",
            town.agent.log()
        );
    }
    town.agent.stop_agent().map(drop)
}
