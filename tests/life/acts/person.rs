//! What people do who write code and manifests.

use crate::dice::Dice;
use crate::things::{App, SHOP, Thing};
use crate::town::Town;

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Person {
    /// Commits another value.
    Commit(Thing, u8),
    /// Removes an object from git.
    Take(Thing),
    /// Puts it back.
    Give(Thing),
    /// Moves an object between `sea` and `pier`, in one commit.
    Move(Thing),
    /// Commits what is no YAML.
    Break(App),
    /// Takes that out again.
    Repair(App),
    /// Commits code, and a tag that pushes it.
    TagPush,
    /// Commits code, and a tag that builds it.
    TagBuild,
    /// Several push tags at once, of commits in order.
    TagsAtOnce(u8),
    /// The same, all within one second.
    TagsTied(u8),
    /// Takes the newest promotion back.
    Revert,
}

impl Person {
    pub(super) fn draw(dice: &mut Dice) -> Person {
        let (thing, movable, app) = (Thing::draw(dice), dice.pick(&Thing::MOVABLE), App::draw(dice));
        match dice.below(20) {
            0..6 => Person::Commit(thing, dice.below(100) as u8),
            6 | 7 => Person::Take(thing),
            8 | 9 => Person::Give(thing),
            10 | 11 => Person::Move(movable),
            12 => Person::Break(app),
            13 => Person::Repair(app),
            14 | 15 => Person::TagPush,
            16 => Person::TagBuild,
            17 => Person::TagsAtOnce(2 + dice.below(6) as u8),
            18 => Person::TagsTied(2 + dice.below(4) as u8),
            _ => Person::Revert,
        }
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        match self {
            Person::TagPush => return town.tag(1, true, false).await,
            Person::TagBuild => return town.tag(1, false, false).await,
            Person::TagsAtOnce(count) => return town.tag(count, true, false).await,
            Person::TagsTied(count) => return town.tag(count, true, true).await,
            _ if !town.has_deploy() => return Ok(()),
            _ => {}
        }
        match self {
            Person::Commit(thing, value) => {
                if let Some(app) = town.owner(thing) {
                    town.commit(&format!("{thing:?} is {value}"), |c| c.write(thing.file(app), thing.manifest(value)));
                }
            }
            Person::Take(thing) => {
                if let Some(app) = town.owner(thing) {
                    town.ledger.touch(thing);
                    town.commit(&format!("without {thing:?}"), |c| c.remove(thing.file(app)));
                }
            }
            Person::Give(thing) if town.owner(thing).is_none() => {
                town.commit(&format!("{thing:?} again"), |c| c.write(thing.file(thing.home()), thing.manifest(1)));
            }
            Person::Move(thing) => {
                let Some(from) = town.owner(thing) else { return Ok(()) };
                let to = if from == App::Sea { App::Pier } else { App::Sea };
                let text = town.deploy.file("main", &thing.file(from));
                town.ledger.moves(thing);
                town.commit(&format!("{thing:?} moves"), |c| c.remove(thing.file(from)).write(thing.file(to), text));
            }
            Person::Break(app) => {
                town.ledger.slipped();
                town.commit("a slip", |c| c.write(bad(app), "kind: {{{ no yaml\n"));
            }
            Person::Repair(app) if town.has_file(&bad(app)) => town.commit("the slip is out", |c| c.remove(bad(app))),
            Person::Revert => town.revert(),
            _ => {}
        }
        Ok(())
    }
}

/// The file that is no YAML.
pub(super) fn bad(app: App) -> String {
    format!("apps/{}/slip.yaml", app.name())
}

impl Town {
    /// Commits code and tags, oldest first. Those that are tied have one second for all.
    async fn tag(&mut self, count: u8, push: bool, tied: bool) -> anyhow::Result<()> {
        if !self.has_code() {
            return Ok(());
        }
        self.ledger.lost &= !self.has_looked().await;
        let second = self.code.git(&["log", "-1", "--format=%ct", "main"]).parse::<i64>()? + 10;
        let mut made = Vec::new();
        for _ in 0..count {
            let number = self.ledger.next_tag();
            let files = harness::world::code("shop", &number.to_string());
            let commit = if tied {
                self.commit_at(second, &format!("version {number}\n"))
            } else {
                self.code.commit("main", &harness::world::borrowed(&files), &format!("Version {number}"))
            };
            made.push(self.ledger.tagged(number, push, commit));
        }
        if self.ledger.lost {
            self.ledger.before_loss = self.ledger.newest();
        }
        // As a forge shows the tags of one push: one after another, in the order of their names.
        let mut shown: Vec<(String, String)> = made.into_iter().map(|tag| (tag.name(), tag.commit)).collect();
        shown.sort();
        shown.iter().for_each(|(name, commit)| self.code.tag(name, commit));
        if !self.has_deploy() || self.configured.without.contains(&App::Shop) {
            self.ledger.excuse_new_tags();
        }
        Ok(())
    }

    /// Whether the agent is known to have looked at the code.
    async fn has_looked(&self) -> bool {
        let Some(state) = self.state().await else { return false };
        let address = self.world.forge.http("ops/shop");
        let mut code = crate::reader::of_kind(&state, "Repository").filter(|one| one["address"] == *address);
        code.any(|one| !one["polled"].is_null() && one["error"].is_null())
    }

    /// A commit of code at this second.
    fn commit_at(&self, second: i64, text: &str) -> String {
        let head = self.code.rev("main");
        let script = format!(
            "commit refs/heads/main\ncommitter Ann <ann@example.org> {second} +0000\ndata {}\n{text}from {head}\nM 100644 inline app.txt\ndata {}\n{text}\n",
            text.len(),
            text.len()
        );
        self.code.git_raw(&["fast-import", "--quiet", "--force"], script.as_bytes());
        self.code.rev("main")
    }

    /// Sets the manifests of the shop to what they were before the newest promotion.
    fn revert(&mut self) {
        let newest = self.deploy.git(&["log", "-1", "--format=%H", "--grep=^shop: ", "main"]);
        if newest.is_empty() {
            return;
        }
        let before = self.deploy.file(&format!("{newest}^"), SHOP);
        if before != self.deploy.file("main", SHOP) {
            self.ledger.reverted = self.ledger.newest_push().map_or(0, |tag| tag.number);
            self.commit("Revert the newest version", |c| c.write(SHOP, before));
        }
    }
}
