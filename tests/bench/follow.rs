//! Watching the agent's state as a console does: list once, then every change as it comes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use quarterdeck_shared::protocol::WatchRecord;
use quarterdeck_shared::snapshot::Object;
use quarterdeck_tui::client::Client;
use quarterdeck_tui::client::records::Records;

/// How long a state is waited for before it is missing.
const PATIENCE: Duration = Duration::from_secs(180);

/// The state, followed.
pub(crate) struct Follow {
    /// What was there at the list and was not looked at yet.
    listed: Vec<Object>,
    records: Records<WatchRecord>,
}

impl Follow {
    /// Lists and begins to watch.
    pub(crate) async fn begin(client: &Client) -> anyhow::Result<Self> {
        let state = client.state().await?;
        let records = client.watch(&state.epoch, state.revision).await?;
        Ok(Self { listed: state.objects.into_values().collect(), records })
    }

    /// Shows every object to `is_so`, first those that were there, until that says so; tells when.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Object) -> bool,
    ) -> anyhow::Result<Instant> {
        for object in self.listed.drain(..) {
            if is_so(&object) {
                return Ok(Instant::now());
            }
        }
        let watch = async {
            while let Some(record) = self.records.next().await? {
                if let WatchRecord::Put { object, .. } = record
                    && is_so(&object)
                {
                    return Ok(Instant::now());
                }
            }
            anyhow::bail!("the agent ended the watch")
        };
        let waited = tokio::time::timeout(PATIENCE, watch).await;
        waited.with_context(|| format!("waited for {what} for {} s", PATIENCE.as_secs()))?
    }
}
