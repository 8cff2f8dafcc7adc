//! What happens: acts of people and accidents of machines, one family a file; the first day before them, and what
//! lifts the accidents. Whatever cannot be done as things stand is left out, so that any part of a life is a life.

mod agent;
mod cluster;
mod files;
mod forge;
mod operator;
mod person;
mod stores;

mod founding;
mod lift;

pub(crate) use self::agent::Agent;
pub(crate) use self::cluster::Cluster;
pub(crate) use self::files::Files;
pub(crate) use self::forge::Forge;
pub(crate) use self::operator::Operator;
pub(crate) use self::person::Person;
pub(crate) use self::stores::Stores;

use crate::dice::Dice;
use crate::town::Town;

/// One step of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Somebody at a console.
    Operator(Operator),
    /// Somebody who writes code and manifests.
    Person(Person),
    /// The cluster, and who has hands in it.
    Cluster(Cluster),
    /// The forge.
    Forge(Forge),
    /// The registry and the engine.
    Stores(Stores),
    /// The agent's files.
    Files(Files),
    /// The agent's process.
    Agent(Agent),
    /// The repositories are polled once more, so that what was done so far is seen before what comes.
    Breathe,
    /// What cannot be seen now has to be said to be unseen.
    Look,
    /// Every accident is lifted, and all has to become as it should be.
    Rest,
}

impl Step {
    /// Draws one. Who works at it is weighted by how often that happens to people.
    pub(crate) fn draw(dice: &mut Dice) -> Step {
        match dice.below(100) {
            0..14 => Step::Operator(Operator::draw(dice)),
            14..40 => Step::Person(Person::draw(dice)),
            40..63 => Step::Cluster(Cluster::draw(dice)),
            63..71 => Step::Forge(Forge::draw(dice)),
            71..76 => Step::Stores(Stores::draw(dice)),
            76..79 => Step::Files(Files::draw(dice)),
            79..86 => Step::Agent(Agent::draw(dice)),
            86..97 => Step::Breathe,
            _ => Step::Look,
        }
    }

    /// Does it. Looking and resting are no acts: who walks through a life does those.
    ///
    /// # Errors
    /// What the test itself could not do.
    pub(crate) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        town.ledger.acts += 1;
        match self {
            Step::Operator(act) => act.perform(town).await,
            Step::Person(act) => act.perform(town).await,
            Step::Cluster(act) => act.perform(town).await,
            Step::Forge(act) => act.perform(town).await,
            Step::Stores(act) => act.perform(town).await,
            Step::Files(act) => act.perform(town).await,
            Step::Agent(act) => act.perform(town).await,
            Step::Breathe => town.breathe().await,
            Step::Look | Step::Rest => Ok(()),
        }
    }
}
