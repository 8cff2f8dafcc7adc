//! The end of every accident, before a rest.

use super::person::bad;
use crate::things::{App, Thing};
use crate::town::Town;

impl Town {
    /// Lifts every accident. What people meant stays.
    ///
    /// # Errors
    /// What the test itself could not do.
    pub(crate) async fn lift(&mut self) -> anyhow::Result<()> {
        self.thaw();
        self.restore_repositories()?;
        self.tags_return();
        self.forge_heals();
        self.forge_back().await?;
        for app in App::ALL {
            if self.has_file(&bad(app)) {
                self.commit("the slip is out", |c| c.remove(bad(app)));
            }
        }
        self.registry_back().await?;
        self.world.registry.heal();
        self.engine_back().await?;
        self.allow();
        self.world.cluster.mend();
        self.cluster_back().await;
        Thing::ALL.into_iter().for_each(|thing| self.let_go(thing));
        if !self.configured.without.is_empty() {
            self.configured.without.clear();
            self.reload()?;
        }
        if self.world.pid().is_none() {
            self.start().await?;
        }
        Ok(())
    }
}
