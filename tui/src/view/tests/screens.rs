//! The screens.

use quarterdeck_shared::protocol::{ImageAnswer, ImageState};

use super::*;
use crate::effect::Ask;
use crate::model::link::Problem;

/// The two sizes that people have most.
const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// Holds the screen that keys lead to against its pictures.
fn check(name: &str, prepare: impl Fn(&mut Model)) {
    for size in SIZES {
        let mut model = console(size);
        prepare(&mut model);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), picture(&model));
    }
}

#[test]
fn what_is_shown_of_a_table_has_its_room() {
    use crate::column::{Column, Kind};
    use crate::paint::list::places;
    use crate::screen::{applications, events, history, pods, runs, system};

    fn fits<R>(columns: &[Column<R>]) {
        for width in 40..=300 {
            let places = places(columns, false, width);
            let (last, x, columns) = places.last().expect("a list has columns");
            let end = x + columns;
            // On a narrow terminal the last one may be a sentence, which is cut; a number never is.
            let is_cut = !matches!(last.kind, Kind::Numbers | Kind::Times);
            assert!(end <= width || (width < 80 && is_cut), "{} ends at {end} of {width}", last.title);
        }
    }
    fits(&applications::columns());
    fits(&runs::columns());
    fits(&pods::columns());
    fits(&events::columns());
    fits(&system::columns());
    fits(&history::columns());
}

#[test]
fn applications() {
    check("applications", |_| {});
    check("applications_by_trouble", |model| press(model, "s j j"));
    check("applications_filtered", |model| {
        press(model, "/");
        type_in(model, "healthy !ledger");
    });
}

/// An application with two environments, open and closed; the screens of one, and of both.
#[test]
fn environments() {
    let media = "/ m e d i a enter esc";
    check("environments", |model| press(model, &format!("{media} right j j")));
    check("environments_which", |model| press(model, &format!("{media} S")));
    check("environment_of_two", |model| press(model, &format!("{media} right j j enter")));
    check("environments_filtered", |model| press(model, &format!("{media} right / m i s s i n g enter")));
    check("environments_events", |model| press(model, &format!("{media} e")));
}

#[test]
fn environment() {
    check("environment", |model| press(model, "/ s h o p enter enter"));
    check("environment_pod", |model| press(model, "/ s h o p enter enter j j j"));
    check("environment_held", |model| press(model, "j enter"));
}

/// Names as generators make them, ages of two minutes: what tells one from the next, and the units, are seen.
#[test]
fn names_and_ages_keep_what_tells_them_apart() {
    use quarterdeck_shared::snapshot::Object;
    use quarterdeck_shared::status::Health;

    for size in [(80, 24), (120, 40)] {
        let mut model = console(size);
        let set = "checkout-worker-7b46d9f5c8";
        put(&mut model, fixture::resource(("apps", "ReplicaSet"), set, None, Health::Healthy, "2/2"));
        for pod in ["x9k2p", "x9k2q"] {
            put(&mut model, fixture::pod("shop", &format!("{set}-{pod}"), "Running", Health::Healthy, ""));
        }
        let claim = ("", "PersistentVolumeClaim");
        put(&mut model, fixture::resource(claim, "data-checkout-0", None, Health::Healthy, "10Gi"));
        let mut run = fixture::runs().swap_remove(2);
        (run.queued, run.reference) = (fixture::ago_s(119), "push-checkout-worker-1.4.0-rc.2".to_owned());
        put(&mut model, Object::Run(Box::new(run)));
        press(&mut model, "2");
        insta::assert_snapshot!(format!("long_pipelines_{}x{}", size.0, size.1), picture(&model));
        press(&mut model, "3");
        insta::assert_snapshot!(format!("long_pods_{}x{}", size.0, size.1), picture(&model));
        press(&mut model, "1 / s h o p enter enter");
        insta::assert_snapshot!(format!("long_environment_{}x{}", size.0, size.1), picture(&model));
    }
}

/// A build that failed and manifests that cannot be: both are told whole at 80 columns, each once.
#[test]
fn what_stopped_an_application_is_told_whole() {
    use quarterdeck_shared::snapshot::{EnvironmentStatus, Object};
    use quarterdeck_shared::status::{Phase, SyncStatus};

    let mut model = console((80, 24));
    let why = "cannot render main@1f3c2a9: apps/mail/service.yaml: document 1, line 10, column 1: the key \"kind\" is defined twice";
    let is_mail = |one: &EnvironmentStatus| one.environment == fixture::id("mail/prod");
    let mut mail = fixture::environments().into_iter().find(is_mail).expect("it is there");
    (mail.sync, mail.message) = (SyncStatus::Unknown, why.to_owned());
    mail.hint = "keep one of the two".to_owned();
    mail.last_sync = Some(fixture::sync("mail/prod", Phase::Failed, why));
    put(&mut model, Object::Environment(Box::new(mail)));
    let mut run = fixture::runs().swap_remove(1);
    run.application = fixture::name("mail");
    run.message =
        "building registry.example/ops/mail:1.4.0 failed: The command '/bin/sh -c cargo build --release --locked' \
                   returned a non-zero code: 101"
            .to_owned();
    put(&mut model, Object::Run(Box::new(run)));
    press(&mut model, "/ m a i l enter");
    insta::assert_snapshot!("stopped_applications", picture(&model));
    press(&mut model, "enter");
    insta::assert_snapshot!("stopped_environment", picture(&model));
    press(&mut model, "e");
    insta::assert_snapshot!("stopped_events", picture(&model));
    press(&mut model, "esc b");
    insta::assert_snapshot!("stopped_build", picture(&model));
}

#[test]
fn pipelines() {
    check("pipelines", |model| press(model, "2"));
}

/// Of a run that was scanned, also scrolled to the side, and of one that was not.
#[test]
fn scans() {
    check("scan", |model| press(model, "2 j j j v"));
    check("scan_scrolled", |model| press(model, "2 j j j v right j"));
    check("scan_none", |model| press(model, "2 v"));
}

/// All of them, and those that hold a word.
#[test]
fn packages() {
    check("packages", |model| press(model, "2 V"));
    check("packages_filtered", |model| press(model, "2 V / d e b enter"));
}

#[test]
fn pods() {
    check("pods", |model| press(model, "3"));
}

#[test]
fn events() {
    check("events", |model| press(model, "4 j"));
}

/// The newest commit is wrong: the line below the first one says so on each screen, the system screen which is in use.
#[test]
fn configuration_in_git() {
    use quarterdeck_shared::snapshot::{AgentStatus, ConfigurationStatus};

    check("configuration_in_git", |model| {
        let Object::Agent(agent) = fixture::agent() else { panic!("an agent") };
        let in_git = ConfigurationStatus {
            repository: "ssh://git@forge/ops/fleet.git".to_owned(),
            branch: String::new(),
            path: "quarterdeck.toml".to_owned(),
            commit: Some(fixture::commit('4')),
            signer: String::new(),
            files: vec!["quarterdeck.toml".to_owned()],
            since: None,
            kept: false,
            error: Some("ssh://git@forge/ops/fleet.git@5f3c2a9:quarterdeck.toml:7:1: unknown field `nmae`".to_owned()),
        };
        put(model, Object::Agent(AgentStatus { configuration_in_git: Some(Box::new(in_git)), banner: None, ..agent }));
        press(model, "5");
    });
}

#[test]
fn system() {
    check("system", |model| press(model, "5"));
}

#[test]
fn logs() {
    check("logs", |model| press(model, "l"));
    check("logs_read", |model| {
        press(model, "l w g");
        press(model, "/ s e a r c h enter");
    });
}

/// What a build of a run wrote: closed, with a step opened and marked, and with a line that was searched in a closed one.
#[test]
fn a_build_folds_by_step() {
    use quarterdeck_shared::protocol::LogRecord;

    let lines = [
        ("checkout", "1f3c2a9 Count the cart"),
        ("build", "#1 [internal] load build definition from Dockerfile"),
        ("build", "#1 DONE 0.1s"),
        (
            "build",
            "#2 [1/4] FROM docker.io/library/rust:1.91-slim-bookworm@sha256:1f3c2a9b0d4e1f3c2a9b0d4e1f3c2a9b0d4e",
        ),
        ("build", "#2 CACHED"),
        ("build", "#3 [2/4] COPY . ."),
        ("build", "#3 DONE 1.3s"),
        ("build", "#4 [3/4] RUN cargo build --release --locked"),
        ("build", "#4   Compiling shop v1.4.0"),
        ("build", "#4 warning: unused variable: `left`"),
        ("build", "#4   Finished release profile in 1m 12s"),
        ("build", "#4 DONE 72.4s"),
        ("build", "#5 [4/4] RUN cargo test --release --locked --workspace --all-targets -- --test-threads 2"),
        ("build", "#5 running 2 tests"),
        ("build", "#5 test cart::adds ... FAILED"),
        ("build", "#5 ERROR: process \"/bin/sh -c cargo test\" did not complete successfully: exit code: 101"),
        ("build", "error: building registry.example/ops/shop:1.4.0 failed"),
    ];
    let written = |(second, (from, text)): (usize, &(&str, &str))| LogRecord::Line {
        at: Some(fixture::ago_s(100 - second as i64)),
        from: (*from).into(),
        text: (*text).into(),
    };
    let records: Vec<LogRecord> = lines.iter().enumerate().map(written).collect();
    let open = |model: &mut Model| {
        press(model, "2");
        for effect in update(model, Message::Key("enter".parse().unwrap())) {
            if let Effect::Follow(ticket, ..) = effect {
                update(model, Message::Lines(ticket, records.clone()));
            }
        }
    };
    check("build_log", open);
    check("build_log_opened", |model| {
        open(model);
        press(model, "g ] ] ] ] space");
    });
    check("build_log_closed", |model| {
        open(model);
        press(model, "f w");
    });
    check("build_log_searched", |model| {
        open(model);
        press(model, "/ u n u s e d enter");
    });
}

#[test]
fn diff() {
    check("diff", |model| press(model, "d"));
}

#[test]
fn history() {
    check("history", |model| press(model, "h"));
    check("rollback", |model| press(model, "h j j R"));
}

#[test]
fn images_that_a_registry_deleted() {
    // Each answer leads to the next question: the syncs, then their images.
    let then = |model: &mut Model, message: Message| {
        update(model, message)
            .into_iter()
            .find_map(|effect| if let Effect::Ask(ticket, ask) = effect { Some((ticket, ask)) } else { None })
    };
    let missing = |model: &mut Model| {
        let (ticket, ask) = then(model, Message::Key("h".parse().unwrap())).expect("syncs are asked for");
        assert!(matches!(ask, Ask::History(_)), "{ask:?}");
        let answer = Answer::History(fixture::syncs());
        let (ticket, ask) = then(model, Message::Answered(ticket, Ok(answer))).expect("images are asked for");
        assert!(matches!(ask, Ask::Images(_)), "{ask:?}");
        let states = [ImageState::Present, ImageState::Missing, ImageState::Unknown];
        let answers = fixture::syncs().into_iter().zip(states).map(|(sync, state)| {
            let reason = if state == ImageState::Unknown { "away" } else { "" };
            ImageAnswer { image: sync.images[0].clone(), state, reason: reason.to_owned() }
        });
        let answer = Answer::Images(answers.collect());
        assert!(then(model, Message::Answered(ticket, Ok(answer))).is_none(), "and nothing more");
    };
    check("history_missing", missing);
    check("rollback_missing", |model| {
        missing(model);
        press(model, "j R");
    });
    // An agent that cannot say it costs nothing but the marks.
    let mut model = console(SIZES[0]);
    let (ticket, _) = then(&mut model, Message::Key("h".parse().unwrap())).unwrap();
    let (ticket, _) = then(&mut model, Message::Answered(ticket, Ok(Answer::History(fixture::syncs())))).unwrap();
    let before = picture(&model);
    let problem = Problem { message: "not found".to_owned(), hints: Vec::new() };
    assert!(then(&mut model, Message::Answered(ticket, Err(problem))).is_none());
    assert!(!picture(&model).contains("not found"), "{before}");
}

#[test]
fn yaml() {
    check("yaml", |model| press(model, "/ s h o p enter enter j y"));
}

#[test]
fn questions() {
    check("sync", |model| press(model, "S"));
    check("suspend", |model| {
        press(model, "z");
        type_in(model, "releasing by hand");
    });
    check("cancel", |model| press(model, "2 x"));
}

#[test]
fn palette_and_keys() {
    check("palette", |model| {
        press(model, ":");
        type_in(model, "sh");
    });
    check("keys", |model| press(model, "?"));
}

#[test]
fn away() {
    use crate::model::link::Problem;
    let problem = || Problem {
        message: "no agent answers: /run/user/1000/quarterdeck/agent.sock (nothing listens)".to_owned(),
        hints: vec![
            "start one: qd-agent run".to_owned(),
            "or as a service: systemctl --user start quarterdeck".to_owned(),
        ],
    };
    check("stale", |model| {
        let later = fixture::ago_s(-133);
        answer(model, Message::Time(later));
        tell(model, LinkMessage::Lost { attempts: 3, problem: problem() });
    });
    let mut model = Model::new(fixture::now(), (80, 24), Capabilities::default());
    insta::assert_snapshot!("asking", picture(&model));
    tell(&mut model, LinkMessage::Lost { attempts: 3, problem: problem() });
    insta::assert_snapshot!("no_agent", picture(&model));
}

#[test]
fn what_was_seen_before_its_cluster_went_away_is_dimmed() {
    use ratatui::style::Modifier;

    // Whether all that stands in the first row with this word is dim.
    let is_dim = |model: &Model, word: &str| {
        let (cells, picture) = (cells(model), picture(model));
        let y = picture.lines().position(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}\n{picture}"));
        let half = cells.area.width / 2;
        let row = (2..half).map(|x| &cells[(x, u16::try_from(y).unwrap())]).filter(|cell| cell.symbol() != " ");
        row.into_iter().all(|cell| cell.modifier.contains(Modifier::DIM))
    };
    for (keys, word) in [("", "shop "), ("3", "shop-"), ("/ s h o p enter enter", "Deployment")] {
        let mut model = console((120, 40));
        press(&mut model, keys);
        for away in [false, true, false] {
            set_cluster(&mut model, !away);
            assert_eq!(is_dim(&model, word), away, "{word:?}, away: {away}\n{}", picture(&model));
        }
    }
}

/// What cannot be seen of these: a kind of objects of `shop`, the cluster of `gateway`, the repository of `ledger`.
fn blind(model: &mut Model) {
    use quarterdeck_shared::snapshot::{Cover, EnvironmentStatus};

    let watch = |what: &str| fixture::unseen(Cover::Watch, what, "forbidden", 40);
    let refused = fixture::unseen(Cover::Cluster, "cluster prod", "connection refused", 400);
    let gone =
        fixture::unseen(Cover::Repository, "repository ssh://git@forge/ops/deploy.git", "it was not found", 7_000);
    for (address, unseen) in [
        ("shop/prod", vec![watch("ConfigMaps in namespace shop"), watch("pods in namespace shop")]),
        ("gateway/prod", vec![refused]),
        ("ledger/prod", vec![gone]),
    ] {
        let health = quarterdeck_shared::status::Health::Healthy;
        let status = EnvironmentStatus { unseen, ..fixture::environment(address, health) };
        put(model, Object::Environment(Box::new(status.shown())));
    }
}

#[test]
fn what_cannot_be_seen_is_told_at_any_width() {
    for size in [(60, 24), (80, 24), (120, 30), (200, 40)] {
        let mut model = console(size);
        blind(&mut model);
        let name = |screen: &str| format!("unseen_{screen}_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name("applications"), picture(&model));
        press(&mut model, "/ s h o p enter enter");
        insta::assert_snapshot!(name("environment"), picture(&model));
        press(&mut model, "j j j");
        insta::assert_snapshot!(name("pod"), picture(&model));
    }
}

#[test]
fn what_no_watch_tells_of_is_dimmed_and_nothing_else() {
    use ratatui::style::Modifier;

    let mut model = console((120, 40));
    press(&mut model, "/ s h o p enter enter");
    for is_blind in [false, true] {
        if is_blind {
            blind(&mut model);
        }
        let (cells, picture) = (cells(&model), picture(&model));
        for (word, old) in [("Deployment", false), ("shop-7b46d9-p2m4q", true), ("flags", true), ("Service", false)] {
            let y = picture.lines().position(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}\n{picture}"));
            let line = picture.lines().nth(y).unwrap();
            let x = crate::text::columns(&line[..line.find(word).unwrap()]);
            // A name of what is seen is not dim.
            let at = x + if word.starts_with(char::is_uppercase) { word.len() + 1 } else { 0 };
            let cell = &cells[(u16::try_from(at).unwrap(), u16::try_from(y).unwrap())];
            assert_eq!(cell.modifier.contains(Modifier::DIM), is_blind && old, "{word} {is_blind}\n{picture}");
        }
    }
}

#[test]
fn an_agent_that_keeps_a_person_waiting_is_told() {
    let mut model = console((80, 24));
    answer(&mut model, Message::Waiting("the agent has not answered for 5 s; waiting up to 120 s".to_owned()));
    assert!(picture(&model).contains("the agent has not answered for 5 s"), "{}", picture(&model));
}

#[test]
fn a_log_without_lines_says_that_its_cluster_is_away() {
    let mut model = console((80, 24));
    for effect in update(&mut model, Message::Key("l".parse().unwrap())) {
        if let Effect::Follow(ticket, ..) = effect {
            update(&mut model, Message::Lines(ticket, Vec::new()));
        }
    }
    assert!(picture(&model).contains("Nothing was written yet."), "{}", picture(&model));
    set_cluster(&mut model, false);
    assert!(
        picture(&model).contains("Cluster prod is unreachable. Lines appear when it is back."),
        "{}",
        picture(&model)
    );
}

fn set_cluster(model: &mut Model, reachable: bool) {
    use quarterdeck_shared::snapshot::{ConnectionKind, ConnectionStatus};

    for object in fixture::connections() {
        if let Object::Connection(one) = object
            && one.to == ConnectionKind::Cluster
        {
            put(model, Object::Connection(ConnectionStatus { reachable, ..one }));
        }
    }
}

#[test]
fn nothing_yet() {
    let mut model = Model::new(fixture::now(), (80, 24), Capabilities::default());
    let mut state = fixture::state();
    state.objects.retain(|key, _| &*key.0 == "agent");
    tell(&mut model, LinkMessage::State(Box::new(state)));
    insta::assert_snapshot!("no_applications", picture(&model));
    press(&mut model, "2");
    insta::assert_snapshot!("no_runs", picture(&model));
}

#[test]
fn without_unicode_and_colour() {
    let mut model = console((80, 24));
    model.world.capabilities = Capabilities { colour: false, unicode: false };
    let ascii = picture(&model);
    assert!(ascii.is_ascii(), "{ascii}");
    insta::assert_snapshot!("applications_ascii", ascii);
    press(&mut model, "/ s h o p enter enter j");
    insta::assert_snapshot!("environment_ascii", picture(&model));
}

/// The clock goes an hour back, and a day forward: ages are ages all the same.
#[test]
fn a_clock_that_jumps_shows_no_negative_time() {
    let negative =
        |word: &str| word.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    for keys in ["", "/ s h o p enter enter", "j enter", "2", "3", "4", "5", "h", "l"] {
        for jump in [3_600, -86_400] {
            let mut model = console((200, 60));
            press(&mut model, keys);
            answer(&mut model, Message::Time(fixture::ago_s(jump)));
            let picture = picture(&model);
            assert!(!picture.split_whitespace().any(negative), "{keys} {jump}:\n{picture}");
        }
    }
}
