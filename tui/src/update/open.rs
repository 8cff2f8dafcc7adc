//! Opening what is selected: which screen, about which object.

use quarterdeck_shared::application::ApplicationName;
use quarterdeck_shared::event::Event;
use quarterdeck_shared::resource::ResourceRef;
use quarterdeck_shared::snapshot::Object;

use crate::effect::{Ask, Effect};
use crate::keymap::Command;
use crate::model::Model;
use crate::model::diff::DiffScreen;
use crate::model::fetched::Fetched;
use crate::model::log::Source;
use crate::model::records::Records;
use crate::model::screen::{EventsScreen, HistoryScreen, Place};
use crate::model::table::{Listing, Table};
use crate::model::text::{Subject, TextScreen};
use crate::model::toast::Said;
use crate::update::go;

/// The application that is selected or shown.
pub(super) fn subject(model: &Model) -> Option<ApplicationName> {
    let place = &model.screen().place;
    let selected = match (place, selected_object(model)) {
        (_, Some(Object::Application(application))) => Some(&application.name),
        (_, Some(Object::Pod(pod))) => Some(&pod.application),
        (_, Some(Object::Run(run))) => Some(&run.application),
        (Place::Events(screen), _) => screen.records.current().and_then(|record| record.application.as_ref()),
        _ => None,
    };
    selected.or(place.application()).cloned()
}

/// Opens what is selected.
pub(super) fn selected(model: &mut Model, effects: &mut Vec<Effect>) {
    match &model.screen().place {
        Place::Table(_) => match selected_object(model) {
            Some(Object::Application(application)) => {
                let name = application.name.clone();
                go::push_application(model, name, effects);
            }
            Some(Object::Run(run)) => {
                let source = Source::Run { of: run.application.clone(), run: run.id };
                go::push_log(model, source, effects);
            }
            Some(Object::Pod(_)) => about(model, Command::Logs, effects),
            _ => {}
        },
        Place::Application(_) => match selected_object(model) {
            Some(Object::Pod(_)) | None => about(model, Command::Logs, effects),
            Some(_) => about(model, Command::Yaml, effects),
        },
        Place::History(screen) => {
            let Some(sync) = screen.records.current() else { return };
            let (of, commit) = (screen.of.clone(), sync.revision.commit.to_string());
            diff(model, of, Some(commit), effects);
        }
        Place::Events(_) => event(model, effects),
        Place::Logs(_) | Place::Diff(_) | Place::Text(_) | Place::ConsoleLog => {}
    }
}

/// Opens what an event is about: a run's output, else the application.
fn event(model: &mut Model, effects: &mut Vec<Effect>) {
    let Place::Events(screen) = &model.screen().place else { return };
    let Some(record) = screen.records.current() else { return };
    let run = match &record.event {
        Event::RunQueued { run } | Event::StageChanged { run, .. } | Event::RunFinished { run, .. } => Some(*run),
        _ => None,
    };
    match (record.application.clone(), run) {
        (Some(of), Some(run)) => go::push_log(model, Source::Run { of, run }, effects),
        (Some(name), None) if model.fleet.application(&name).is_some() => go::push_application(model, name, effects),
        (Some(name), None) => model.toast(Said::Note, format!("{name} is no longer configured")),
        (None, _) => model.toast(Said::Note, "this event is of the agent as a whole"),
    }
}

/// Opens a screen about the application that is selected or shown.
pub(super) fn about(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    let Some(of) = subject(model) else {
        return model.toast(Said::Note, "no application is selected here");
    };
    match command {
        Command::Diff => diff(model, of, None, effects),
        Command::Logs => {
            let pod = match selected_object(model) {
                Some(Object::Pod(pod)) => Some(pod.name.clone()),
                _ => None,
            };
            go::push_log(model, Source::Pods { of, pod, previous: false }, effects);
        }
        Command::Events => {
            let number = model.number();
            let ask = Ask::Events(Some(of.clone()), None);
            let place = Place::Events(EventsScreen { of: Some(of), records: Records::asked(number) });
            go::push_asking(model, number, ask, place, effects);
        }
        Command::History => history(model, of, effects),
        Command::Yaml => {
            let subject = selected_resource(model).map_or(Subject::Manifests(None), Subject::Live);
            text(model, of, subject, effects);
        }
        Command::Manifests => {
            let revision = match &model.screen().place {
                Place::History(screen) => screen.records.current().map(|sync| sync.revision.commit.to_string()),
                _ => None,
            };
            text(model, of, Subject::Manifests(revision), effects);
        }
        Command::Pods => {
            go::push(model, Place::Table(Table::new(Listing::Pods(Some(of)))), effects);
        }
        Command::Runs => {
            go::push(model, Place::Table(Table::new(Listing::Runs(Some(of)))), effects);
        }
        _ => {}
    }
}

/// Opens the syncs of an application.
pub(super) fn history(model: &mut Model, of: ApplicationName, effects: &mut Vec<Effect>) {
    let number = model.number();
    let ask = Ask::History(of.clone());
    let place = Place::History(HistoryScreen { of, records: Records::asked(number) });
    go::push_asking(model, number, ask, place, effects);
}

/// Opens what a sync to a revision would change.
pub(super) fn diff(model: &mut Model, of: ApplicationName, revision: Option<String>, effects: &mut Vec<Effect>) {
    let number = model.number();
    let ask = Ask::Diff(of.clone(), revision.clone());
    let screen = DiffScreen { document: Fetched::asked(number), ..DiffScreen::new(of, revision) };
    let place = Place::Diff(Box::new(screen));
    go::push_asking(model, number, ask, place, effects);
}

fn text(model: &mut Model, of: ApplicationName, subject: Subject, effects: &mut Vec<Effect>) {
    let number = model.number();
    let ask = text_ask(&of, &subject);
    let place = Place::Text(Box::new(TextScreen::asked(of, subject, number)));
    go::push_asking(model, number, ask, place, effects);
}

/// What a text screen asks for.
pub(super) fn text_ask(of: &ApplicationName, subject: &Subject) -> Ask {
    match subject {
        Subject::Live(resource) => Ask::Object(of.clone(), resource.clone()),
        Subject::Manifests(revision) => Ask::Manifests(of.clone(), revision.clone()),
    }
}

/// The object under the cursor.
pub(super) fn selected_object(model: &Model) -> Option<&Object> {
    let slot = match &model.screen().place {
        Place::Table(table) => table.slot(),
        Place::Application(screen) => screen.tree.slot(),
        _ => None,
    };
    model.fleet.object(slot?)
}

fn selected_resource(model: &Model) -> Option<ResourceRef> {
    match selected_object(model)? {
        Object::Pod(pod) => Some(pod_ref(&pod.namespace, &pod.name)),
        Object::Resource(resource) => Some(resource.resource.clone()),
        _ => None,
    }
}

/// A pod as an object of Kubernetes.
pub(super) fn pod_ref(namespace: &str, name: &str) -> ResourceRef {
    ResourceRef::new("", "Pod", Some(namespace), name)
}
