//! What is known of the selected object: of the environment its conditions, of a pod its containers, of anything else
//! why it is as it is.

use quarterdeck_shared::error::hint_line;
use quarterdeck_shared::snapshot::{
    EnvironmentStatus, Object, Pending, PodStatus, Progress, RenderedFrom, ResourceStatus, Unseen,
};
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::World;
use crate::model::store::Slot;
use crate::model::timeline::{self, State, short_digest};
use crate::paint::painter::Painter;
use crate::status_style::{Tone, of_health, of_phase, of_sync};
use crate::text;
use crate::unseen;

/// Writes lines downwards until there is no room.
struct Page<'p, 'b> {
    painter: &'p mut Painter<'b>,
    left: Rect,
}

impl Page<'_, '_> {
    /// A line of its own, broken where it is long.
    fn say(&mut self, text: &str, tone: Tone) {
        let style = self.painter.theme.tone(tone);
        for line in text::broken(text, self.left.width) {
            self.put(&[(&line, style)]);
        }
    }

    /// A fact: its name in a column of its own.
    fn fact(&mut self, name: &str, value: &str, tone: Tone) {
        const NAME: u16 = 10;
        if value.is_empty() {
            return;
        }
        let (quiet, style) = (self.painter.theme.tone(Tone::Quiet), self.painter.theme.tone(tone));
        let room = self.left.width.saturating_sub(NAME);
        for (nth, line) in text::broken(value, room).into_iter().enumerate() {
            let name = if nth == 0 { name } else { "" };
            self.put(&[(&format!("{name:<width$}", width = usize::from(NAME)), quiet), (&line, style)]);
        }
    }

    /// What to do about what was said before.
    fn hint(&mut self, hint: &str) {
        if !hint.is_empty() {
            self.say(&hint_line(hint), Tone::Plain);
        }
    }

    fn blank(&mut self) {
        self.put(&[]);
    }

    fn put(&mut self, texts: &[(&str, Style)]) {
        if self.left.height > 0 {
            self.painter.texts(Rect { height: 1, ..self.left }, texts.iter().copied());
            self.left.y += 1;
            self.left.height -= 1;
        }
    }
}

/// Draws what is known of an object; of the environment where there is none.
pub(super) fn draw(
    painter: &mut Painter,
    world: &World,
    environment: &EnvironmentStatus,
    slot: Option<Slot>,
    area: Rect,
) {
    let mut page = Page { painter, left: area };
    match slot.and_then(|slot| world.fleet.object(slot)) {
        Some(Object::Pod(one)) => {
            pod(&mut page, one);
            last_seen(&mut page, unseen::over_pod(environment, one));
        }
        Some(Object::Resource(one)) => {
            resource(&mut page, one);
            last_seen(&mut page, unseen::over_resource(environment, &one.resource));
        }
        _ => conditions(&mut page, world, environment),
    }
}

/// Of an object that cannot be seen: why, and since when what is shown of it is old.
fn last_seen(page: &mut Page, over: Option<&Unseen>) {
    if let Some(over) = over {
        let line = unseen::line(over, |at| page.painter.ago(at));
        page.blank();
        page.say(&line, Tone::Warning);
    }
}

fn conditions(page: &mut Page, world: &World, environment: &EnvironmentStatus) {
    let told = unseen::cause(environment);
    if !environment.message.is_empty() {
        // Of one that is well, it is something to look at.
        let tone = of_health(environment.health).tone;
        let message = unseen::message(environment, |at| page.painter.ago(at));
        page.say(&message, if tone == Tone::Good || told.is_some() { Tone::Warning } else { tone });
        page.hint(if told.is_some() { "" } else { &environment.hint });
        page.blank();
    }
    let application = world.fleet.application(&environment.environment.application);
    if let Some(application) = application {
        let own = unseen::of_application(application, |at| page.painter.ago(at));
        page.fact("delivery", &own, Tone::Warning);
    }
    let others = environment.unseen.iter().filter(|unseen| told.is_none_or(|told| told != *unseen));
    for unseen in others {
        let line = unseen::line(unseen, |at| page.painter.ago(at));
        page.fact("unseen", &line, Tone::Warning);
    }
    if told.is_none() {
        page.fact("", &unseen::was(environment).unwrap_or_default(), Tone::Quiet);
    }
    // What stopped the newest delivery, where the line below the steps had no room for it.
    let (state, caption) = timeline::caption(&world.fleet, environment);
    let cut = state == State::Failed && text::columns(&caption) + 4 > usize::from(world.size.0);
    if cut {
        page.say(&caption, Tone::Bad);
        page.blank();
    }
    let progress = environment.progress.as_ref().map(Progress::describe).unwrap_or_default();
    if let Some(tests) = environment.tests.as_ref().filter(|tests| tests.phase.is_final()) {
        page.fact("tests", &tests.message, of_phase(tests.phase).tone);
    }
    page.fact("now", if progress == environment.message { "" } else { &progress }, Tone::Busy);
    if let Some(hold) = &environment.suspension {
        let ago = page.painter.ago(hold.at);
        page.fact("suspended", &format!("{ago} by {}: {}", hold.cause.describe(), reason(&hold.reason)), Tone::Warning);
    }
    if let Some(pin) = &environment.pin {
        let (to, by) = (pin.revision.short_content(), pin.hold.cause.describe());
        page.fact("pinned", &format!("to {to} by {by}: {}", reason(&pin.hold.reason)), Tone::Warning);
    }
    let pending = environment.pending.as_ref().map(Pending::describe).unwrap_or_default();
    page.fact("pending", &pending, Tone::Warning);
    let revision = environment.revision.as_ref().map(|revision| revision.short()).unwrap_or_default();
    page.fact("revision", &revision, Tone::Plain);
    let target = environment.target.as_ref().filter(|target| Some(*target) != environment.revision.as_ref());
    page.fact("git says", &target.map(|target| target.short()).unwrap_or_default(), Tone::Warning);
    for image in &environment.images {
        let short = image.split_once('@').map(|(name, digest)| format!("{name} {}", short_digest(digest)));
        page.fact("image", short.as_deref().unwrap_or(image), Tone::Plain);
    }
    if let Some(sync) = &environment.last_sync {
        let took = page.painter.span(Some(sync.started), sync.finished);
        let ago = page.painter.ago(sync.finished.unwrap_or(sync.started));
        let words = format!("{} {} in {took}, {ago}, by {}", sync.id.number, sync.phase, sync.cause.describe());
        page.fact("last sync", &words, of_phase(sync.phase).tone);
        // Told at the top where it is why the environment is as it is.
        let is_told = sync.message == environment.message;
        page.fact("", if is_told { "" } else { &sync.message }, Tone::Plain);
        page.fact("hint", if is_told { "" } else { &sync.hint }, Tone::Plain);
    }
    if let Some(run) = world.fleet.newest_run(&environment.environment.application) {
        let ago = page.painter.ago(run.finished.or(run.started).unwrap_or(run.queued));
        let words = format!("{} {} {}, {ago}, by {}", run.id.number, run.goal.word(), run.phase, run.cause.describe());
        page.fact("last run", &words, of_phase(run.phase).tone);
        page.fact("", if cut { "" } else { &run.message }, Tone::Plain);
        page.fact("hint", &run.hint, Tone::Plain);
    }
    if environment.drifted > 0 {
        page.fact("drift", &format!("{} of {} objects", environment.drifted, environment.resources), Tone::Warning);
    }
    let spec = &environment.spec;
    let on = |on: bool, word: &str, off: &str| if on { word.to_owned() } else { off.to_owned() };
    let policy = [
        on(spec.automatic, "syncs by itself", "syncs when asked"),
        on(spec.prune, "prunes", "prunes nothing"),
        on(spec.self_heal, "heals drift", "leaves drift"),
    ];
    page.fact("policy", &policy.join(", "), Tone::Plain);
    page.fact("protected", if spec.protected { "requires role approver" } else { "" }, Tone::Plain);
    let code = application.and_then(|application| application.code.as_deref());
    page.fact("code", code.unwrap_or_default(), Tone::Plain);
    page.fact("manifests", format!("{} {}", spec.repository, spec.path).trim(), Tone::Plain);
    spec.sources.iter().for_each(|source| page.fact("source", &source.describe(), Tone::Plain));
    let rendered = environment.rendered.map(RenderedFrom::describe).unwrap_or_default();
    let tone = if environment.rendered == Some(RenderedFrom::Kept) { Tone::Warning } else { Tone::Plain };
    page.fact("rendered", rendered, tone);
    page.fact("follows", &spec.chart, Tone::Plain);
}

fn reason(reason: &str) -> &str {
    if reason.is_empty() { "no reason given" } else { reason }
}

fn pod(page: &mut Page, pod: &PodStatus) {
    page.say(&pod.name, Tone::Strong);
    let age = pod.created.map(|created| page.painter.age(created)).unwrap_or_default();
    let (ready, of) = pod.ready();
    page.say(&format!("{} {ready}/{of} {age}", pod.status), of_health(pod.health).tone);
    if !pod.message.is_empty() {
        page.say(&pod.message, of_health(pod.health).tone);
    }
    page.fact("node", &pod.node, Tone::Plain);
    page.fact("address", &pod.ip, Tone::Plain);
    for container in &pod.containers {
        page.blank();
        let init = if container.init { " (init)" } else { "" };
        let tone = if container.ready || container.init { Tone::Plain } else { Tone::Warning };
        page.say(&format!("{}{init}: {}", container.name, container.state), tone);
        page.say(&container.image, Tone::Quiet);
        if container.restarts > 0 {
            page.say(&format!("{} restarts", container.restarts), Tone::Warning);
        }
    }
}

fn resource(page: &mut Page, resource: &ResourceStatus) {
    page.say(&resource.resource.short(), Tone::Strong);
    let group = if resource.resource.group.is_empty() { "core" } else { &resource.resource.group };
    let place = resource.resource.namespace.as_deref().map(|namespace| format!(" in {namespace}")).unwrap_or_default();
    page.say(&format!("{group}{place}"), Tone::Quiet);
    page.blank();
    page.fact("health", resource.health.word(), of_health(resource.health).tone);
    page.fact("", &resource.message, of_health(resource.health).tone);
    page.fact("rule", &resource.rule, Tone::Quiet);
    page.fact("sync", resource.sync.word(), of_sync(resource.sync).tone);
    page.fact("state", &resource.summary, Tone::Plain);
    let age = resource.created.map(|created| page.painter.age(created)).unwrap_or_default();
    page.fact("age", &age, Tone::Plain);
    if let Some(owner) = &resource.owner {
        page.fact("owner", &owner.short(), Tone::Plain);
    }
}
