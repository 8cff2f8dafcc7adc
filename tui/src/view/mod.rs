//! Drawing the model. Pure: what is drawn follows from the model alone, and nothing is remembered.
//!
//! Every text goes through the [`Painter`], which makes it harmless and fits it into its place; nothing else
//! writes cells. Only rows that are seen are built. What shows an age says until when the picture stays true, so that
//! the console sleeps until then.

mod chrome;
mod overlay;

use jiff::Timestamp;
use ratatui::Frame;

use crate::console::Model;
use crate::model::geometry::{self, Regions};
use crate::model::link::LinkState;
use crate::model::overlay::Overlay;
use crate::paint::empty;
use crate::paint::painter::Painter;

/// Draws the model. What comes back is the moment at which the picture would be another by time alone; never, where
/// nothing on it ages.
pub fn view(model: &Model, frame: &mut Frame) -> Option<Timestamp> {
    let area = frame.area();
    let mut painter = Painter::new(frame.buffer_mut(), model.world.capabilities, model.world.now);
    if area.is_empty() {
        return None;
    }
    let regions = geometry::regions((area.width, area.height));
    body(&mut painter, model, &regions);
    if !model.world.link.is_live() && model.world.link.loaded {
        painter.restyle(regions.body, painter.theme.stale());
    }
    chrome::draw(&mut painter, model, &regions);
    let cursor = match &model.overlay {
        Some(Overlay::Help { top }) => {
            overlay::help::draw(&mut painter, model.place().keys(), *top, regions.body);
            None
        }
        Some(Overlay::Palette(palette)) => overlay::palette::draw(&mut painter, palette, area),
        Some(Overlay::Confirm(confirm)) => {
            overlay::confirm::draw(&mut painter, model, confirm, regions.body);
            None
        }
        Some(Overlay::Prompt(prompt)) => overlay::prompt::draw(&mut painter, model, prompt, regions.body),
        Some(Overlay::Find(find)) => chrome::find(&mut painter, model, find, regions.footer),
        None => None,
    };
    chrome::toasts(&mut painter, model, &regions);
    let until = painter.until();
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
    until
}

fn body(painter: &mut Painter, model: &Model, regions: &Regions) {
    let area = regions.body;
    if let LinkState::Incompatible { problem } = &model.world.link.state {
        return empty::problem(painter, area, problem);
    }
    if !model.world.link.loaded {
        return match &model.world.link.state {
            LinkState::Connecting => empty::draw(painter, area, "Asking the agent …", &[]),
            LinkState::Incompatible { problem } | LinkState::Lost { problem, .. } => {
                empty::problem(painter, area, problem);
            }
            LinkState::Live => {}
        };
    }
    model.place().draw(painter, &model.world, area);
}

#[cfg(test)]
mod tests;
