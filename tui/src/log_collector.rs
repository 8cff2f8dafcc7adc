//! The console's own log: what it asked, what broke, collected by `tui-logger` and shown on a screen of its own.
//!
//! While the console has the terminal, nothing may print to it; so what would be printed comes here.

use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tui_logger::{TuiTracingSubscriberLayer, TuiWidgetEvent, TuiWidgetState};

use crate::effect::OwnLog;

/// New lines are on the screen that shows them within this time.
pub const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// Lines that are kept; each is some 200 bytes.
const LINES_MAX: usize = 2_000;

/// Where the reader is in the log. The library keeps it, behind a lock of its own.
static STATE: OnceLock<TuiWidgetState> = OnceLock::new();

/// Begins to collect. Where somebody collects already (a test), it stays with them.
pub fn begin() {
    // Not `init_logger`: that starts a thread which wakes a hundred times a second for nothing; `collect` does its work.
    tui_logger::set_default_level(tui_logger::LevelFilter::Info);
    tui_logger::set_buffer_depth(LINES_MAX);
    let collected = tracing_subscriber::registry().with(LevelFilter::INFO).with(TuiTracingSubscriberLayer).try_init();
    if collected.is_err() {
        tracing::debug!("another logger is set for this process");
    }
}

/// Moves what was written to where it is shown from. Cheap; called before each drawing.
pub fn collect() {
    tui_logger::move_events();
}

/// Moves the reader.
pub fn scroll(to: OwnLog) {
    let event = match to {
        OwnLog::PageUp => TuiWidgetEvent::PrevPageKey,
        OwnLog::PageDown => TuiWidgetEvent::NextPageKey,
        OwnLog::End => TuiWidgetEvent::EscapeKey,
    };
    with_state(|state| state.transition(event));
}

/// Gives the place of the reader to who draws.
pub fn with_state<T>(use_it: impl FnOnce(&TuiWidgetState) -> T) -> T {
    use_it(STATE.get_or_init(TuiWidgetState::new))
}
