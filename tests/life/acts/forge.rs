//! What happens to the forge.

use harness::git::{Fault, Repo};

use crate::dice::Dice;
use crate::town::{Town, aside};

/// An accident, or the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forge {
    /// It is down.
    Away,
    /// It is up again.
    Back,
    /// It answers 500.
    Fail,
    /// It answers as it should.
    Heal,
    /// Every tag is gone.
    TagsVanish,
    /// They are back, where they were.
    TagsReturn,
    /// The code repository is there, and empty.
    CodeEmptied,
    /// The deploy repository is not found.
    DeployGone,
    /// Both are restored.
    Restore,
    /// The deploy branch is rewritten: the last commit has another message.
    Rewrite,
    /// Whoever pushes to the deploy branch next comes a moment too late.
    Race,
}

impl Forge {
    pub(super) fn draw(dice: &mut Dice) -> Forge {
        use Forge::*;
        dice.pick(&[
            Away,
            Back,
            Fail,
            Heal,
            TagsVanish,
            TagsReturn,
            CodeEmptied,
            DeployGone,
            Restore,
            Rewrite,
            Race,
            Race,
        ])
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        match self {
            Forge::Away => {
                town.accidents.forge_away = true;
                town.world.forge.http_away().await;
            }
            Forge::Back => town.forge_back().await?,
            Forge::Fail => {
                town.accidents.forge_fails = true;
                town.world.forge.http_fault(Fault::Status(500, "something went wrong".to_owned()));
            }
            Forge::Heal => town.forge_heals(),
            Forge::TagsVanish if town.has_code() => {
                town.ledger.tags_vanish();
                for tag in town.code.git(&["for-each-ref", "--format=%(refname:short)", "refs/tags"]).lines() {
                    town.code.delete_tag(tag);
                }
            }
            Forge::TagsReturn => town.tags_return(),
            Forge::CodeEmptied if town.has_code() => {
                town.ledger.excuse_new_tags();
                std::fs::rename(town.code.path(), aside(&town.code))?;
                // An empty one stands where it was.
                Repo::open_or_init(town.code.path());
            }
            Forge::DeployGone if town.has_deploy() => {
                town.ledger.excuse_new_tags();
                std::fs::rename(town.deploy.path(), aside(&town.deploy))?;
            }
            Forge::Restore => town.restore_repositories()?,
            Forge::Rewrite if town.has_deploy() => {
                // What is promoted at the same moment stays: then it is that which is rewritten.
                loop {
                    let was = town.deploy.rev("main");
                    let message = town.deploy.git(&["log", "-1", "--format=%B", &was]) + "\nReviewed-by: Ann\n";
                    let [tree, parent] = ["^{tree}", "^"].map(|what| town.deploy.rev(&format!("{was}{what}")));
                    let commit = town.deploy.git(&["commit-tree", &tree, "-p", &parent, "-m", &message]);
                    if town.deploy.try_git(&["update-ref", "refs/heads/main", &commit, &was], b"").is_ok() {
                        break;
                    }
                }
                town.committed();
            }
            Forge::Race if town.has_deploy() => {
                town.deploy.hook("update", RACE);
                let _ = std::fs::remove_file(town.deploy.path().join(RACED));
            }
            Forge::TagsVanish | Forge::CodeEmptied | Forge::DeployGone | Forge::Rewrite | Forge::Race => {}
        }
        Ok(())
    }
}

/// The file of a repository in which nobody races any more. The hook itself stays: git would say of one that is taken away
/// while it runs that the push was declined.
const RACED: &str = "raced";

/// The hook of one push: the branch has moved when it is to be moved.
const RACE: &str = "[ -e raced ] && exit 0\ntouch raced\n\
    export GIT_AUTHOR_NAME=Bob GIT_AUTHOR_EMAIL=bob@example.org GIT_COMMITTER_NAME=Bob GIT_COMMITTER_EMAIL=bob@example.org\n\
    git update-ref refs/heads/main $(git commit-tree -p refs/heads/main -m 'Bob was faster' 'refs/heads/main^{tree}')\nexit 0";

impl Town {
    /// The forge is up again.
    pub(crate) async fn forge_back(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.accidents.forge_away) {
            self.world.forge.http_back().await?;
        }
        Ok(())
    }

    /// The forge answers as it should.
    pub(crate) fn forge_heals(&mut self) {
        self.accidents.forge_fails = false;
        self.world.forge.http_fault(Fault::None);
    }

    /// Every tag is where it was.
    pub(crate) fn tags_return(&mut self) {
        if self.has_code() {
            self.ledger.tags.iter().for_each(|tag| self.code.tag(&tag.name(), &tag.commit));
        }
    }

    /// Repositories that were emptied or gone are as they were, and nobody races.
    pub(crate) fn restore_repositories(&mut self) -> anyhow::Result<()> {
        for repository in [&self.code, &self.deploy] {
            let aside = aside(repository);
            if aside.exists() {
                let _ = std::fs::remove_dir_all(repository.path());
                std::fs::rename(aside, repository.path())?;
            }
        }
        Ok(std::fs::write(self.deploy.path().join(RACED), "")?)
    }
}
