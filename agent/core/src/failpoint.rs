//! The steps that both stories are made of: before and after each effect on the world outside, and each write to history.
//!
//! The agent may die at any of them, and its next life finishes what was begun and does nothing twice. The tests hold
//! that: they watch, and end the agent at each step in turn. Nobody watches otherwise, and a step costs one load.

use std::sync::OnceLock;

/// Who is told of a step.
pub type Watcher = Box<dyn Fn(&'static str) + Send + Sync>;

static WATCHER: OnceLock<Watcher> = OnceLock::new();

/// Names who is told of each step, before the agent runs. There is one: a second is not heard.
pub fn watch(watcher: Watcher) {
    let _ = WATCHER.set(watcher);
}

/// The agent is at this step.
pub fn reached(step: &'static str) {
    if let Some(watcher) = WATCHER.get() {
        watcher(step);
    }
}
