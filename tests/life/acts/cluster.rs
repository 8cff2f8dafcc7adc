//! What happens to the cluster, and what people do to it by hand.

use std::time::Duration;

use harness::cluster::faults::Fault;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::things::{App, BOATS, CRDS, Thing};
use crate::town::Town;

/// An accident, an act past git, or the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cluster {
    /// The API server is down.
    Away,
    /// It is up again.
    Back,
    /// It is restarted, and knows no rules for its first answers.
    Restart(u8),
    /// Every answer takes a while.
    Slow,
    /// All that is asked is forbidden.
    Forbid,
    /// Watching is forbidden, and the watches end.
    ForbidWatch,
    /// Listing is forbidden, and the watches end.
    ForbidList,
    /// What was forbidden is allowed again.
    Allow,
    /// A webhook refuses to change ConfigMaps.
    Refuse,
    /// The next answers are 503.
    Busy,
    /// The watches end.
    Cut,
    /// The past is forgotten.
    Compact,
    /// A backup of etcd.
    Backup,
    /// It is restored.
    SetBack,
    /// Another cluster is behind the address.
    Recreate,
    /// A namespace is deleted.
    DeleteNamespace(App),
    /// The definition is deleted, and its objects with it.
    DeleteDefinition,
    /// The definition serves no version.
    Unserve,
    /// An object is deleted.
    Delete(Thing),
    /// An object is edited.
    Edit(Thing),
    /// An object loses its label.
    Unlabel(Thing),
    /// The inventory is deleted.
    DeleteInventory(App),
    /// A finalizer holds an object.
    Hold(Thing),
    /// It lets go.
    LetGo(Thing),
    /// The pods of the shop are deleted.
    DeletePods,
}

impl Cluster {
    pub(super) fn draw(dice: &mut Dice) -> Cluster {
        use Cluster::*;
        let (app, thing) = (App::draw(dice), Thing::draw(dice));
        let forbidden = [Restart(1 + dice.below(6) as u8), Forbid, ForbidWatch, ForbidList, Allow];
        match dice.below(28) {
            0 => Away,
            1 | 2 => Back,
            3..6 => dice.pick(&forbidden),
            6 => dice.pick(&[Slow, Refuse, Busy]),
            7 => dice.pick(&[Cut, Compact]),
            8 | 9 => Backup,
            10 | 11 => SetBack,
            12 => Recreate,
            13 => DeleteNamespace(app),
            14 => dice.pick(&[DeleteDefinition, Unserve]),
            15..18 => Delete(thing),
            18..21 => Edit(thing),
            21 => Unlabel(thing),
            22 | 23 => DeleteInventory(app),
            24 => Hold(thing),
            25 => LetGo(thing),
            _ => DeletePods,
        }
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        match self {
            Cluster::Away => town.cluster_away().await,
            Cluster::Back => town.cluster_back().await,
            Cluster::Restart(answers) => {
                town.cluster_away().await;
                town.world.cluster.fault(Fault::forbidden().times(answers.into()));
                town.cluster_back().await;
            }
            Cluster::Slow => town.world.cluster.fault(Fault::slow(Duration::from_millis(300)).times(40)),
            Cluster::Busy => town.world.cluster.fault(Fault::status(503).times(12)),
            Cluster::Forbid => town.forbid("*"),
            Cluster::ForbidWatch => town.forbid("watch"),
            Cluster::ForbidList => town.forbid("list"),
            Cluster::Allow => town.allow(),
            Cluster::Refuse => {
                let refused = Fault::refused("admission webhook \"v.example\" denied the request: not now");
                town.world.cluster.fault(refused.on("patch", "configmaps").times(6));
            }
            Cluster::Cut => town.world.cluster.cut_watches(),
            Cluster::Compact => town.world.cluster.compact(),
            Cluster::Backup => town.backup = Some(town.world.cluster.snapshot()),
            Cluster::SetBack => {
                if let Some(backup) = &town.backup {
                    town.world.cluster.restore(backup);
                    town.ledger.touch_all();
                }
            }
            Cluster::Recreate => {
                town.world.cluster.recreate();
                town.backup = None;
                town.ledger.touch_all();
            }
            Cluster::DeleteNamespace(app) => {
                town.ledger.touch_all();
                let _ = town.world.cluster.delete("namespaces", "", app.namespace());
            }
            Cluster::DeleteDefinition => {
                town.ledger.touch_all();
                let _ = town.world.cluster.delete(CRDS, "", BOATS);
            }
            Cluster::Unserve => drop(town.world.cluster.edit(CRDS, "", BOATS, "kubectl-edit", |one| {
                one["spec"]["versions"][0]["served"] = json!(false);
            })),
            Cluster::Delete(thing) => {
                town.ledger.touch(thing);
                let at = thing.place();
                let _ = town.world.cluster.delete(at.resource, &at.namespace, &at.name);
            }
            Cluster::Edit(thing) => town.edit(thing, |one| match thing {
                Thing::Hold => one["metadata"]["annotations"] = json!({"note": "edited"}),
                Thing::Skiff => one["spec"]["size"] = json!(255),
                _ => one["data"]["value"] = json!("edited"),
            }),
            Cluster::Unlabel(thing) => town.edit(thing, |one| {
                if let Some(labels) = one["metadata"]["labels"].as_object_mut() {
                    labels.remove("quarterdeck.dev/application");
                }
            }),
            Cluster::DeleteInventory(app) => {
                let name = format!("quarterdeck-{}.prod", app.name());
                let _ = town.world.cluster.delete("configmaps", app.namespace(), &name);
            }
            Cluster::Hold(thing) => town.edit(thing, |one| one["metadata"]["finalizers"] = json!(["example.com/hold"])),
            Cluster::LetGo(thing) => town.let_go(thing),
            Cluster::DeletePods => {
                for pod in town.world.cluster.pods("shop") {
                    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                    let _ = town.world.cluster.delete("pods", "shop", &name);
                }
            }
        }
        Ok(())
    }
}

impl Town {
    /// The API server goes.
    async fn cluster_away(&mut self) {
        self.accidents.cluster_away = true;
        self.world.cluster.away().await;
    }

    /// It comes back.
    pub(crate) async fn cluster_back(&mut self) {
        if std::mem::take(&mut self.accidents.cluster_away) {
            self.world.cluster.back().await;
        }
    }

    fn forbid(&mut self, verb: &str) {
        let fault = Fault::forbidden().on(verb, "*");
        self.world.cluster.fault(fault.clone());
        self.accidents.forbidden.push((verb.to_owned(), fault));
        self.world.cluster.cut_watches();
    }

    /// Nothing is forbidden any more.
    pub(crate) fn allow(&mut self) {
        for (_, fault) in self.accidents.forbidden.drain(..) {
            self.world.cluster.lift(&fault);
        }
    }

    /// Edits an object past git, if it is there.
    fn edit(&self, thing: Thing, change: impl FnOnce(&mut Value)) {
        let at = thing.place();
        // What is not there, or goes, cannot be edited.
        let _ = self.world.cluster.edit(at.resource, &at.namespace, &at.name, "kubectl-edit", change);
    }

    /// Takes off what holds an object.
    pub(crate) fn let_go(&self, thing: Thing) {
        self.edit(thing, |one| {
            if let Some(all) = one["metadata"]["finalizers"].as_array_mut() {
                all.retain(|name| name != "example.com/hold");
            }
        });
    }
}
