//! The console in a real terminal, on a real agent: what a person sees, and what is left when it ends.

use std::path::Path;
use std::time::Duration;

use harness::cluster::Pace;
use harness::terminal::{Ended, Terminal};
use harness::world::{World, borrowed, code, manifests};
use quarterdeck_shared::status::Health;
use rustix::process::Signal;
use vt100::{Color, Screen};

const PROGRAM: &str = env!("CARGO_BIN_EXE_playground");
const USUAL: (u16, u16) = (80, 24);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_the_fleet_opens_one_and_follows_its_logs() {
    let world = world_with_shop().await;
    world.wait_for("shop to be well", "shop", |app| app.health == Health::Healthy).await.unwrap();
    let console = console(&world, &[], USUAL);
    let screen = console.wait("shop to be well", |screen| line(screen, "shop").contains("Healthy")).await.unwrap();
    assert!(line(&screen, "shop").contains("Synced"), "{}", screen.contents());
    assert!(screen.contents().contains("live"), "{}", screen.contents());
    assert!(screen.alternate_screen() && screen.hide_cursor() && is_coloured(&screen));

    console.type_keys("\r").unwrap();
    let screen = console.wait_text("Deployment shop").await.unwrap();
    assert!(screen.contents().contains("Pod shop-"), "{}", screen.contents());

    console.type_keys("l").unwrap();
    console.wait_text("GET / 200 1.0.0").await.unwrap();
    console.wait_text("following").await.unwrap();
    assert_whole(&quit(console).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_goes_is_missed_and_one_that_comes_is_found() {
    let mut world = world_with_shop().await;
    let console = console(&world, &[], USUAL);
    console.wait_text("live").await.unwrap();

    world.kill_agent();
    let screen = console.wait("the loss", |screen| screen.contents().contains("reconnecting")).await.unwrap();
    assert!(screen.contents().contains("stale"), "{}", screen.contents());
    assert!(!line(&screen, "shop").is_empty(), "the last state stays:\n{}", screen.contents());

    world.start_agent().await.unwrap();
    let is_back = |screen: &Screen| screen.contents().contains("live") && !screen.contents().contains("stale");
    console.wait("the agent to be found again", is_back).await.unwrap();
    assert_whole(&quit(console).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_leave_the_terminal_whole() {
    let world = world_with_shop().await;
    for (signal, code) in [(Signal::TERM, 128 + 15), (Signal::HUP, 128 + 1)] {
        let console = console(&world, &[], USUAL);
        console.wait_text("live").await.unwrap();
        console.signal(signal).unwrap();
        let ended = console.ended().await.unwrap();
        assert_eq!(ended.code, code, "after {signal:?}");
        assert_left(&ended);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_size_is_drawn_on_and_colours_can_be_refused() {
    let world = world_with_shop().await;
    let console = console(&world, &[("NO_COLOR", "1")], USUAL);
    console.wait_text("live").await.unwrap();
    for size in [(1, 1), (40, 10), (300, 2), (2, 100)] {
        let bytes = console.bytes();
        console.resize(size).unwrap();
        console.wait("the size to be drawn", |_| console.bytes() > bytes).await.unwrap();
    }
    console.resize((200, 60)).unwrap();
    let screen = console.wait("shop again", |screen| line(screen, "shop").contains("main")).await.unwrap();
    assert!(!is_coloured(&screen), "{}", String::from_utf8_lossy(screen.contents_formatted().as_bytes()));
    assert_whole(&quit(console).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_change_nothing_write_nothing() {
    let world = world_with_shop().await;
    world.wait_for("shop to be well", "shop", |app| app.health == Health::Healthy).await.unwrap();
    let console = console(&world, &[], USUAL);
    console.wait("shop to be well", |screen| line(screen, "shop").contains("Healthy")).await.unwrap();
    // Keys do not age, as the applications do.
    console.type_keys("?").unwrap();
    // The agent polls each half second: this is quiet over several polls.
    let before = console.wait_quiet(Duration::from_secs(2)).await.unwrap();
    let after = console.wait_quiet(Duration::from_secs(2)).await.unwrap();
    assert_eq!(after, before);
}

/// A cursor that moves draws two lines anew, not a screen: over a slow line each key is a round trip, and no more than that.
const MOVE_BYTES_MAX: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_moves_writes_little() {
    let mut world = World::start(Pace::default(), (PROGRAM.into(), vec!["agent".to_owned()])).await.unwrap();
    let names = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"];
    let file = |name: &&str| {
        (format!("apps/{name}/a.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n".to_owned())
    };
    world.forge.repo("ops/deploy").commit("main", &borrowed(&names.iter().map(file).collect::<Vec<_>>()), "The fleet");
    let repository = world.forge.path("ops/deploy").display().to_string();
    let applications = names.map(|name| {
        format!(
            "\n[[application]]\nname = \"{name}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"{repository}\"\nbranch = \"main\"\n\
             path = \"apps/{name}\"\ncluster = \"demo\"\nnamespace = \"{name}\"\ncreate_namespace = true\n"
        )
    });
    world.configure(&(world.config_head("a test") + &applications.concat())).unwrap();
    world.start_agent().await.unwrap();
    for name in names {
        world.wait_for("the fleet to be well", name, |app| app.health == Health::Healthy).await.unwrap();
    }
    let console = console(&world, &[], USUAL);
    console.wait("the fleet", |screen| names.iter().all(|name| line(screen, name).contains("Synced"))).await.unwrap();
    console.wait_quiet(Duration::from_millis(100)).await.unwrap();
    let mut moves = Vec::new();
    for key in ["j", "j", "j", "k", "j", "k", "k", "j"] {
        let (before, was) = (console.bytes(), marked(&console.screen()));
        console.type_keys(key).unwrap();
        console.wait("the cursor to move", |screen| marked(screen) != was).await.unwrap();
        moves.push(console.wait_quiet(Duration::from_millis(30)).await.unwrap() - before);
    }
    // Beside some of them the applications age by a second, or an agent is polled.
    let least = moves.iter().min().copied().unwrap();
    assert!((1..=MOVE_BYTES_MAX).contains(&least), "{moves:?}");
    assert_whole(&quit(console).await);
}

/// The line that the cursor is on.
fn marked(screen: &Screen) -> Option<String> {
    screen.contents().lines().find(|line| line.starts_with('▌')).map(|line| line.chars().take(20).collect())
}

#[tokio::test]
async fn without_an_agent_it_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let console = Terminal::start(
        Path::new(PROGRAM),
        &["console", "--socket", socket.to_str().expect("a temporary folder has a plain name")],
        &[],
        USUAL,
    )
    .unwrap();
    let screen = console.wait_text("qd-agent").await.unwrap();
    assert!(screen.contents().contains("agent.sock"), "{}", screen.contents());
    assert_whole(&quit(console).await);
}

/// A world with one application on its way, and the agent on it.
async fn world_with_shop() -> World {
    let mut world = World::start(Pace::default(), (PROGRAM.into(), vec!["agent".to_owned()])).await.unwrap();
    let shop = world.forge.repo("ops/shop");
    let commit = shop.commit("main", &borrowed(&code("shop", "1.0.0")), "The first shop");
    shop.tag("push-1.0.0", &commit);
    let text = manifests("shop", &format!("{}:none", world.image("ops/shop")));
    world.forge.repo("ops/deploy").commit("main", &borrowed(&text), "The fleet");
    world.configure(&(world.config_head("a test") + &world.application("shop", ""))).unwrap();
    world.start_agent().await.unwrap();
    world
}

fn console(world: &World, environment: &[(&str, &str)], size: (u16, u16)) -> Terminal {
    let socket = world.socket();
    let socket = socket.to_str().expect("a temporary folder has a plain name");
    Terminal::start(Path::new(PROGRAM), &["console", "--socket", socket], environment, size).unwrap()
}

async fn quit(console: Terminal) -> Ended {
    console.type_keys("q").unwrap();
    console.ended().await.unwrap()
}

/// The line of an application in the list of applications.
fn line(screen: &Screen, application: &str) -> String {
    let all = screen.contents();
    let mut lines = all.lines().map(|line| line.trim_start_matches(['▌', ' ']));
    lines.find(|line| line.split(' ').next() == Some(application)).unwrap_or_default().to_owned()
}

fn is_coloured(screen: &Screen) -> bool {
    let (rows, columns) = screen.size();
    (0..rows.get())
        .flat_map(|row| (0..columns.get()).filter_map(move |column| screen.cell(row, column)))
        .any(|cell| cell.fgcolor() != Color::Default || cell.bgcolor() != Color::Default)
}

/// It ended well and left all as it was.
fn assert_whole(ended: &Ended) {
    assert_eq!(ended.code, 0, "{}", ended.screen.contents());
    assert_left(ended);
}

/// It left the terminal as it was.
fn assert_left(ended: &Ended) {
    let screen = &ended.screen;
    assert!(!screen.alternate_screen(), "the alternate screen is left");
    assert!(!screen.hide_cursor(), "the cursor is shown");
    assert!(!screen.bracketed_paste(), "pasting is plain again");
    assert!(ended.discipline_restored, "the line discipline is as it was");
}
