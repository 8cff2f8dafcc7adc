//! The playground itself: a small fleet with something going on, the console on it, and a cheat sheet of what to try.

use std::io::Write as _;
use std::process::Command;

use anyhow::Context as _;
use harness::cluster::Pace;
use harness::picture::svg;
use harness::terminal::Terminal;
use harness::world::{self, World, borrowed};
use quarterdeck_shared::status::Health;

use crate::DemoOptions;
use crate::tour::this_program;

/// Makes the world and opens the console on it.
pub(crate) async fn play(options: &DemoOptions) -> anyhow::Result<()> {
    let mut world = World::start(Pace::demo(), this_program()?).await?;
    world.engine.set_step_delay(std::time::Duration::from_millis(400));
    world.engine.set_push_delay(std::time::Duration::from_millis(30));
    fleet(&world)?;
    let notice = notice(options);
    let mut config = world.config_head(&notice);
    if let Some(engine) = &options.engine {
        config = config.replace(&world.engine.host(), engine);
    }
    match &options.context {
        Some(context) => {
            let named = format!("context = \"{context}\"");
            config = config.replace("kubeconfig = \"kubeconfig\"\ncontext = \"standin\"", &named);
        }
        None => world.secure_cluster().await?,
    }
    config += &world.application("shop", "");
    config += &world.application("cart", "");
    config += &search(&world);
    world.configure(&config)?;
    for name in ["shop", "cart", "search"] {
        world::clone(&world.forge.path(&format!("ops/{name}")), &world.path(name))?;
    }
    world::clone(&world.forge.path("ops/deploy"), &world.path("deploy"))?;
    world.start_agent().await?;
    if let Some(file) = &options.picture {
        return picture(&world, file).await;
    }
    write!(std::io::stdout(), "{}", cheat_sheet(&world, &notice))?;
    if options.no_console {
        tokio::signal::ctrl_c().await?;
    } else {
        writeln!(std::io::stdout(), "The console opens when you press Enter.")?;
        let _ = std::io::stdin().read_line(&mut String::new());
        let program = std::env::current_exe()?;
        // The console is a process of its own, as it is for everyone; the stand-ins go on in this one.
        let console = tokio::task::spawn_blocking({
            let socket = world.socket();
            move || Command::new(program).args(["console", "--socket"]).arg(socket).status()
        });
        let status = console.await?.context("cannot start the console")?;
        if !status.success() {
            anyhow::bail!("the console ended with {status}; the agent's log said:\n{}", world.log());
        }
    }
    world.stop_agent()?;
    writeln!(std::io::stdout(), "The world is gone.")?;
    Ok(())
}

/// A picture of the console on the fleet at rest: one well, one crashing, one waiting for a hand.
async fn picture(world: &World, file: &std::path::Path) -> anyhow::Result<()> {
    world.wait_for("cart to crash", "cart", |app| app.health == Health::Degraded).await?;
    world.wait_for("shop to be well", "shop", |app| app.health == Health::Healthy).await?;
    let (program, socket) = (std::env::current_exe()?, world.socket());
    let socket = socket.to_str().context("the world's folder has no name in UTF-8")?;
    let terminal = Terminal::start(&program, &["console", "--socket", socket], &[], (100, 16))?;
    let at_rest = |text: String| ["Degraded", "Missing", "Healthy"].iter().all(|word| text.contains(word));
    let screen = terminal.wait("the fleet at rest", |screen| at_rest(screen.contents())).await?;
    Ok(std::fs::write(file, svg(&screen))?)
}

/// Which parts stand in, for everyone who looks.
fn notice(options: &DemoOptions) -> String {
    let parts: Vec<&str> =
        [("engine", options.engine.is_none()), ("registry", true), ("cluster", options.context.is_none())]
            .into_iter()
            .filter_map(|(part, stands_in)| stands_in.then_some(part))
            .collect();
    format!("playground: git is real; stand-ins: {}", parts.join(", "))
}

/// An application in two environments: what reaches qa at once waits for a hand before prod.
fn search(world: &World) -> String {
    let qa = format!(
        "[[application.environment]]\nname = \"qa\"\nrepository = \"{}\"\nbranch = \"main\"\npath = \"apps/search-qa\"\ncluster = \"demo\"\n\
         namespace = \"search-qa\"\ncreate_namespace = true\n",
        world.forge.path("ops/deploy").display()
    );
    let prod = world.application("search", "[application.environment.sync]\nautomatic = false\n");
    prod.replacen("[[application.environment]]", &(qa + "[[application.environment]]"), 1)
}

/// Three applications: one that is well, one that will crash for want of a variable, one that waits for a hand.
fn fleet(world: &World) -> anyhow::Result<()> {
    let deploy = world.forge.repo("ops/deploy");
    let mut files = Vec::new();
    for name in ["shop", "cart", "search"] {
        let code = world.forge.repo(&format!("ops/{name}"));
        let mut text = world::code(name, "1.0.0");
        if name == "cart" {
            text[0].1 = text[0].1.replace("CMD", "LABEL standin.quarterdeck.dev/requires-env=\"DATABASE_URL\"\nCMD");
        }
        let commit = code.commit("main", &borrowed(&text), &format!("The first {name}"));
        code.tag("push-1.0.0", &commit);
        files.extend(world::manifests(name, &format!("{}:none", world.image(&format!("ops/{name}")))));
    }
    let of_search = files.iter().filter_map(|(path, text)| Some((path.strip_prefix("apps/search/")?, text)));
    let qa: Vec<_> = of_search.map(|(file, text)| (format!("apps/search-qa/{file}"), text.clone())).collect();
    files.extend(qa);
    deploy.commit("main", &borrowed(&files), "The fleet");
    Ok(())
}

fn cheat_sheet(world: &World, notice: &str) -> String {
    let dir = world.path("");
    let dir = dir.display().to_string();
    let dir = dir.trim_end_matches('/');
    format!(
        "\nQuarterdeck, {notice}\n\n\
         The world is in {dir} and goes when you leave. In another terminal:\n\n\
         \x20 deliver   cd {dir}/shop && echo 'COPY app.txt /srv/again' >> Dockerfile && git commit -qam 'Again' && git push -q && git tag push-1.1.0 && git push -q origin push-1.1.0\n\
         \x20 break     cd {dir}/deploy && echo 'kind: [' >> apps/shop/service.yaml && git commit -qam 'Oops' && git push -q\n\
         \x20 mend      cd {dir}/deploy && git revert --no-edit HEAD && git push -q\n\
         \x20 drift     kubectl --kubeconfig {dir}/kubeconfig -n shop scale deployment shop --replicas 5\n\
         \x20 ask       export QD_SOCKET={socket}; curl -s --unix-socket $QD_SOCKET http://qd/v1/state | jq '.objects | keys'\n\n\
         cart crashes for want of DATABASE_URL: open it and see why. search runs in qa, and waits for a hand in prod: press → on it, and S on prod.\n\
         Keys: enter open  d diff  S sync  b build  p push  R rollback  z suspend  l logs  : go to  ? all keys  q quit\n\n",
        socket = world.socket().display(),
    )
}
