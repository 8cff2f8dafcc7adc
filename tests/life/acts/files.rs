//! What happens to the agent's files.

use std::path::Path;

use crate::dice::Dice;
use crate::town::Town;

/// An accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// The socket is removed.
    RemoveSocket,
    /// Its folder is removed.
    RemoveSocketFolder,
    /// The mirrors are removed while the agent runs.
    RemoveMirrors,
    /// The packs of the mirrors are cut short, and the agent starts anew: what a power cut leaves.
    CutPacks,
    /// The logs of the runs are removed.
    RemoveLogs,
    /// All that the agent keeps is lost, and it starts anew.
    LoseData,
    /// All that the agent keeps is copied, while it does not run.
    CopyData,
    /// The copy is put in its place, and the agent starts anew.
    RestoreData,
}

impl Files {
    pub(super) fn draw(dice: &mut Dice) -> Files {
        use Files::*;
        dice.pick(&[
            RemoveSocket,
            RemoveSocketFolder,
            RemoveMirrors,
            CutPacks,
            RemoveLogs,
            LoseData,
            CopyData,
            RestoreData,
        ])
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        let (data, kept) = (town.world.path("data"), town.world.path("data.kept"));
        // What is not there is as good as removed.
        match self {
            Files::RemoveSocket => drop(std::fs::remove_file(town.world.socket())),
            Files::RemoveSocketFolder => drop(std::fs::remove_dir_all(town.world.path("run"))),
            Files::RemoveMirrors => drop(std::fs::remove_dir_all(data.join("mirrors"))),
            Files::RemoveLogs => drop(std::fs::remove_dir_all(data.join("runs"))),
            Files::CutPacks => {
                town.kill();
                cut_packs(&data.join("mirrors"));
                town.start().await?;
            }
            Files::LoseData => {
                town.kill();
                let _ = std::fs::remove_dir_all(&data);
                town.ledger.lost_data();
                town.start().await?;
            }
            Files::CopyData => {
                town.kill();
                let _ = std::fs::remove_dir_all(&kept);
                copy(&data, &kept)?;
                town.ledger.copied_lost = town.ledger.lost;
                town.start().await?;
            }
            Files::RestoreData if kept.exists() => {
                town.kill();
                std::fs::remove_dir_all(&data)?;
                copy(&kept, &data)?;
                town.ledger.restored_data();
                town.start().await?;
            }
            Files::RestoreData => {}
        }
        Ok(())
    }
}

/// Copies a folder as `cp -a` does.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status()?;
    anyhow::ensure!(status.success(), "cannot copy {}", from.display());
    Ok(())
}

/// Leaves the beginning of each pack below a folder.
fn cut_packs(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            cut_packs(&path);
        } else if path.extension().is_some_and(|end| end == "pack") {
            // Packs are read-only, which does not hold a power cut back.
            if let Ok(bytes) = std::fs::read(&path) {
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::write(&path, &bytes[..bytes.len().min(60)]);
            }
        }
    }
}
