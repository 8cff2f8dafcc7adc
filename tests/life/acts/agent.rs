//! What happens to the agent's process.

use rustix::process::Signal;

use crate::dice::Dice;
use crate::town::Town;

/// An accident, or the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    /// It is told to stop, and started again.
    Restart,
    /// It is killed, and started again.
    Kill,
    /// Twice, the second time as soon as it answers.
    KillTwice,
    /// It is killed, and stays so.
    Leave,
    /// It is started, if it does not run.
    Start,
    /// It is stopped where it is.
    Freeze,
    /// It goes on.
    Thaw,
}

impl Agent {
    pub(super) fn draw(dice: &mut Dice) -> Agent {
        use Agent::*;
        dice.pick(&[Restart, Restart, Kill, Kill, KillTwice, Leave, Start, Freeze, Thaw])
    }

    pub(super) async fn perform(self, town: &mut Town) -> anyhow::Result<()> {
        match self {
            Agent::Restart => {
                town.thaw();
                if town.world.pid().is_some() {
                    town.world.stop_agent()?;
                }
                town.start().await
            }
            Agent::Kill => {
                town.kill();
                town.start().await
            }
            Agent::KillTwice => {
                town.kill();
                town.start().await?;
                town.kill();
                town.start().await
            }
            Agent::Leave => {
                town.kill();
                Ok(())
            }
            Agent::Start if town.world.pid().is_none() => town.start().await,
            Agent::Freeze => {
                town.accidents.frozen = town.world.pid().is_some();
                town.signal(Signal::STOP);
                Ok(())
            }
            Agent::Start | Agent::Thaw => {
                town.thaw();
                Ok(())
            }
        }
    }
}

impl Town {
    /// Starts the agent, and waits until it answers.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        self.world.start_agent().await
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.accidents.frozen = false;
        self.world.kill_agent();
    }

    /// Lets it go on where it was stopped.
    pub(crate) fn thaw(&mut self) {
        if std::mem::take(&mut self.accidents.frozen) {
            self.signal(Signal::CONT);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.world.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // Who ended meanwhile needs no signal.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}
