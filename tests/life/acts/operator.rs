//! What an operator does at a console.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::things::{App, Thing};
use crate::town::Town;

/// An act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `qd sync`
    Sync(App),
    /// `qd sync --only`
    SyncOnly(Thing),
    /// `qd sync --force`
    Full(App),
    /// `qd suspend`
    Suspend(App),
    /// `qd resume`
    Resume(App),
    /// `qd rollback`
    Rollback(App),
    /// `qd unpin`
    Unpin(App),
    /// `qd runs cancel` of the newest that is not over.
    Cancel,
    /// `qd push` of the newest push tag.
    PushNewest,
    /// `qd build` of the newest commit.
    Build,
    /// `qd refresh`
    Refresh(App),
    /// A changed option of the agent, and SIGHUP.
    Reload,
    /// Takes an application out of the configuration.
    Remove(App),
    /// Puts it back.
    Add(App),
}

impl Operator {
    pub(super) fn draw(dice: &mut Dice) -> Operator {
        let app = App::draw(dice);
        match dice.below(17) {
            0 | 1 => Operator::Sync(App::Tea),
            2 => Operator::Sync(app),
            3 | 4 => Operator::SyncOnly(Thing::draw(dice)),
            5 => Operator::Full(app),
            6 => Operator::Suspend(app),
            7 | 8 => Operator::Resume(app),
            9 => Operator::Rollback(app),
            10 | 11 => Operator::Unpin(app),
            12 => Operator::Cancel,
            13 => dice.pick(&[Operator::PushNewest, Operator::Build]),
            14 => Operator::Refresh(app),
            15 => Operator::Reload,
            _ => dice.pick(&[Operator::Remove(app), Operator::Add(app)]),
        }
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        match self {
            Operator::Sync(app) => town.sync(app, &json!({}), None).await,
            Operator::Full(app) => town.sync(app, &json!({"full": true}), None).await,
            Operator::SyncOnly(thing) => {
                let Some(app) = town.owner(thing) else { return Ok(()) };
                let group = if thing == Thing::Skiff { "sea.example" } else { "" };
                let only =
                    json!({"group": group, "kind": thing.kind(), "namespace": app.namespace(), "name": thing.name()});
                town.sync(app, &json!({"only": [only]}), Some(thing)).await;
            }
            Operator::Suspend(app) => {
                if town.told(app, "suspend", &json!({"reason": "a look"})).await.is_some() {
                    town.ledger.suspended.insert(app, true);
                }
            }
            Operator::Resume(app) => {
                if town.told(app, "resume", &json!({})).await.is_some() {
                    town.ledger.suspended.insert(app, false);
                }
            }
            Operator::Rollback(app) => {
                let offered = town.offered(app).await;
                if let Some(answer) = town.told(app, "rollback", &json!({"reason": "it was better"})).await {
                    let to = answer["revision"].as_str().and_then(|text| text.rsplit(':').next()).map(str::to_owned);
                    town.ledger.pinned.insert(app, to);
                    town.ledger.touch_all();
                    town.ledger.asked_for(app, offered, None);
                }
            }
            Operator::Unpin(app) => {
                let offered = town.offered(app).await;
                if town.told(app, "unpin", &json!({})).await.is_some() {
                    town.ledger.pinned.insert(app, None);
                    town.ledger.touch_all();
                    town.ledger.asked_for(app, offered, None);
                }
            }
            Operator::Cancel => town.cancel().await,
            Operator::PushNewest => {
                let Some(tag) = town.ledger.newest_push().cloned() else { return Ok(()) };
                town.ledger.again.insert(tag.number);
                town.told(App::Shop, "push", &json!({"reference": tag.name()})).await;
            }
            Operator::Build => drop(town.told(App::Shop, "build", &json!({"reference": "main"})).await),
            Operator::Refresh(app) => drop(town.told(app, "refresh", &Value::Null).await),
            Operator::Reload => {
                town.configured.slower = !town.configured.slower;
                town.reload()?;
            }
            Operator::Remove(app) => {
                town.configured.without.insert(app);
                town.ledger.removed(app);
                if app == App::Shop {
                    town.ledger.excuse_new_tags();
                }
                town.reload()?;
            }
            Operator::Add(app) => {
                town.configured.without.remove(&app);
                town.reload()?;
            }
        }
        Ok(())
    }
}

impl Town {
    /// Asks the agent for something of an application. Nothing where it does not take it.
    async fn told(&self, app: App, what: &str, body: &Value) -> Option<Value> {
        let of = if matches!(what, "build" | "push" | "refresh") { "applications" } else { "environments" };
        self.post(&format!("/v1/{of}/{}/{what}", app.name()), body).await
    }

    async fn sync(&mut self, app: App, body: &Value, only: Option<Thing>) {
        let offered = self.offered(app).await;
        if self.told(app, "sync", body).await.is_some() {
            self.ledger.asked_for(app, offered, only);
        }
    }

    async fn cancel(&mut self) {
        let Some(state) = self.state().await else { return };
        let over = ["Succeeded", "Failed", "Skipped", "Cancelled", "Interrupted"];
        let goes_on = |run: &&Value| run["phase"].as_str().is_some_and(|phase| !over.contains(&phase));
        let newest =
            crate::reader::of_kind(&state, "Run").filter(goes_on).max_by_key(|run| crate::reader::number(&run["id"]));
        let Some(run) = newest else { return };
        // Whether the answer comes or not, it may have been done.
        self.ledger.excused.insert(run["reference"].as_str().unwrap_or_default().to_owned());
        let id = run["id"].as_str().unwrap_or_default();
        self.post(&format!("/v1/runs/{id}/cancel"), &Value::Null).await;
    }
}
