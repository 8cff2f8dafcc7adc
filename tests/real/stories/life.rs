//! The life of the agent among real parts: it is killed, and what it talks to goes away and comes back.

mod disk;
mod killed;
mod outages;

use super::*;
