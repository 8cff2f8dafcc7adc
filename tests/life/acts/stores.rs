//! What happens to the registry and the engine.

use harness::registry::{Fault, Step};

use crate::dice::Dice;
use crate::town::Town;

/// An accident, or the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stores {
    /// The registry is down.
    RegistryAway,
    /// It is up again.
    RegistryBack,
    /// It fails a few uploads.
    RegistryFails,
    /// Its tokens are not taken any more.
    TokensExpire,
    /// The engine is down.
    EngineAway,
    /// It is up again.
    EngineBack,
}

impl Stores {
    pub(super) fn draw(dice: &mut Dice) -> Stores {
        use Stores::*;
        dice.pick(&[RegistryAway, RegistryBack, RegistryFails, TokensExpire, EngineAway, EngineBack])
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        match self {
            Stores::RegistryAway => {
                town.accidents.registry_away = true;
                town.world.registry.away().await;
            }
            Stores::RegistryBack => town.registry_back().await?,
            Stores::RegistryFails => town.world.registry.fail(Step::ManifestPut, Fault::Status(500), 3),
            Stores::TokensExpire => town.world.registry.expire_tokens(),
            Stores::EngineAway => {
                town.accidents.engine_away = true;
                town.world.engine.away().await;
            }
            Stores::EngineBack => town.engine_back().await?,
        }
        Ok(())
    }
}

impl Town {
    /// The registry is up again.
    pub(crate) async fn registry_back(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.accidents.registry_away) {
            self.world.registry.back().await?;
        }
        Ok(())
    }

    /// The engine is up again.
    pub(crate) async fn engine_back(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.accidents.engine_away) {
            self.world.engine.back().await?;
        }
        Ok(())
    }
}
