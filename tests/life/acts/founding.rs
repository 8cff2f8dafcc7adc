//! The first day of a town: everything is deployed, the shop in its first version.

use harness::cluster::Pace;
use harness::world::{World, borrowed, code};

use super::{Operator, Person, Step};
use crate::things::{App, SHOP, Thing, definition, deployment};
use crate::town::Town;

impl Town {
    /// A town on its first day.
    pub(crate) async fn found() -> anyhow::Result<Town> {
        let agent = (env!("CARGO_BIN_EXE_playground").into(), vec!["agent".into()]);
        let mut town = Town::new(World::start(Pace::default(), agent).await?);
        let image = format!("{}:none", town.world.image("ops/shop"));
        let change = town.deploy.change("main").write(SHOP, deployment(&image));
        let change = change.write("apps/sea/boats.yaml", definition());
        let all = Thing::ALL.into_iter();
        let change = all.fold(change, |change, thing| change.write(thing.file(thing.home()), thing.manifest(1)));
        change.commit("All that there is");
        town.code.commit("main", &borrowed(&code("shop", "0")), "A shop");
        town.configure()?;
        town.start().await?;
        town.first_day().await?;
        Ok(town)
    }

    /// The first version is pushed, and what is not automatic is synced for the first time.
    async fn first_day(&mut self) -> anyhow::Result<()> {
        Step::Person(Person::TagPush).perform(self).await?;
        Step::Operator(Operator::Sync(App::Tea)).perform(self).await
    }
}
