//! How much is kept of what was rendered.

use std::sync::Arc;

use quarterdeck_shared::protocol::CheckResult;

use super::Found;
use crate::context::Context;
use crate::renders::Amount;

/// How much there is, and how much there may be.
pub(super) async fn kept(context: Arc<Context>) -> Found {
    if !context.renders.is_open() {
        return Found {
            result: CheckResult::Warning,
            message: "nothing is kept of renders: the key could not be read or made".to_owned(),
            hint: "see the agent's log for why; manifests are rendered again after each restart".to_owned(),
        };
    }
    let (cached, kept) = context.renders.amounts();
    let bounds = &context.config().render;
    Found::good(format!("cached: {}; of syncs: {}", told(cached, bounds.cache_bytes), told(kept, bounds.kept_bytes)))
}

/// `12, 0.1 MB of 268.4 MB`, as all sizes are told.
fn told(Amount { count, bytes }: Amount, most: u64) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    if most == 0 { "off".to_owned() } else { format!("{count}, {} of {}", megabytes(bytes), megabytes(most)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_told_beside_its_bound() {
        assert_eq!(told(Amount { count: 12, bytes: 123_456 }, 256 << 20), "12, 0.1 MB of 268.4 MB");
        assert_eq!(told(Amount::default(), 0), "off");
    }
}
