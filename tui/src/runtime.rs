//! The loop: what comes in becomes messages, what updates ask for is done, what changed is drawn.
//!
//! A key is painted at once. What the agent sends is taken in at once and painted at the pace that the terminal can bear:
//! a frame earns the next one by its bytes, so that a flood costs a slow line no more than it can carry. Where nothing
//! happens nothing is done: there is no tick, only the moment at which something on screen grows older.

mod input;
mod link;
mod problem;
mod signals;
mod tasks;

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::console::Model;
use crate::effect::Effect;
use crate::log_collector;
use crate::message::Message;
use crate::model::capabilities::Capabilities;
use crate::model::toast::Said;
use crate::runtime::input::What;
use crate::runtime::signals::Signals;
use crate::runtime::tasks::{Tasks, Workers};
use crate::terminal::{self, Input, Screen, TerminalError};
use crate::update::update;
use crate::view::view;

/// What a person asked for on the command line.
#[derive(Debug, Clone, Default)]
pub struct ConsoleOptions {
    /// Only ASCII signs, whatever the locale says.
    pub ascii: bool,
    /// Colours, or none, whatever the environment says.
    pub colour: Option<bool>,
}

/// Why the console could not be shown, or ceased to be.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The terminal.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// The process.
    #[error("cannot start what the console needs beside its screen")]
    Start(#[source] io::Error),
}

/// Messages that wait to be taken in. Each holds at most some hundred lines or changes; those who send them wait then,
/// and the agent keeps the newest state for us meanwhile.
const MESSAGES_WAITING: usize = 64;

/// Messages that are taken in before the next frame is drawn, so that a flood cannot keep the screen from changing.
const MESSAGES_AT_ONCE: usize = 256;

/// Frames of what the agent sends are at least so far apart: a sixtieth of a second.
const FRAME_LEAST: Duration = Duration::from_millis(16);

/// And at most so far: what is on screen is never further behind than a quarter of a second.
const FRAME_MOST: Duration = Duration::from_millis(200);

/// Bytes a second that a flood may send to the terminal: what a line of a megabit bears beside other things.
const BYTES_A_SECOND: u32 = 72 * 1024;

/// The console, until the person quits it. Where a signal ends it, the terminal is given back and the process exits with
/// 128 and the signal's number, as shells have it.
///
/// # Errors
/// The terminal cannot be taken, or is gone.
pub async fn console(client: Client, options: ConsoleOptions) -> Result<(), ConsoleError> {
    let mut capabilities = Capabilities::detect(options.ascii, |name| std::env::var(name).ok());
    capabilities.colour = options.colour.unwrap_or(capabilities.colour);
    let workers = Workers::start().map_err(ConsoleError::Start)?;
    // Before the terminal is taken, so that no signal can end the process between the two.
    let mut signals = Signals::listen(&workers).map_err(ConsoleError::Start)?;
    let mut screen = Screen::take(capabilities.colour)?;
    log_collector::begin();
    let mut model = Model::new(Timestamp::now(), screen.size(), capabilities);
    // The first picture comes before anything is asked of anybody, the system's folder of time zones included.
    screen.draw(|frame| view(&model, frame))?;
    model.world.zone = TimeZone::system();
    let (sender, messages) = mpsc::channel(MESSAGES_WAITING);
    let tasks = Tasks::start(workers, client, sender);
    let mut console = Console { screen, model, tasks, messages, inputs: input::listen(), pace: Pace::default() };
    let end = console.run(&mut signals).await;
    // The tasks end with the console; the terminal is given back before anything else is said.
    drop(console);
    match end? {
        End::Quit => Ok(()),
        End::Signal(number) => std::process::exit(128 + number),
    }
}

/// Why the loop ended.
enum End {
    /// The person, or the end of the terminal.
    Quit,
    /// A signal.
    Signal(i32),
}

struct Console {
    screen: Screen,
    model: Model,
    tasks: Tasks,
    messages: mpsc::Receiver<Message>,
    inputs: mpsc::Receiver<Input>,
    pace: Pace,
}

impl Console {
    async fn run(&mut self, signals: &mut Signals) -> Result<End, TerminalError> {
        loop {
            let what = input::next(&mut self.inputs, &mut self.messages, signals, self.pace.wake_at()).await;
            self.take(Message::Time(Timestamp::now()))?;
            let mut ended = false;
            match what {
                What::End(number) => return Ok(End::Signal(number)),
                What::Gone => return Ok(End::Quit),
                What::Stop => self.stop()?,
                What::Continued => {
                    self.screen.retake()?;
                    self.pace.hurry();
                }
                What::Input(input) => {
                    ended |= self.take_input(input)?;
                    self.pace.hurry();
                }
                What::Message(message) => {
                    ended |= self.take(message)?;
                    self.pace.dirty();
                }
                What::Time => self.pace.time_passed(),
            }
            // What is there already belongs into the same picture.
            for _ in 0..MESSAGES_AT_ONCE {
                if let Ok(input) = self.inputs.try_recv() {
                    ended |= self.take_input(input)?;
                    self.pace.hurry();
                } else if let Ok(message) = self.messages.try_recv() {
                    ended |= self.take(message)?;
                    self.pace.dirty();
                } else {
                    break;
                }
            }
            if ended {
                return Ok(End::Quit);
            }
            if self.pace.is_due() {
                self.draw()?;
            }
        }
    }

    /// Stops as a job of the shell, where there is one; goes on when the shell says so.
    fn stop(&mut self) -> Result<(), TerminalError> {
        self.pace.hurry();
        if terminal::is_job() {
            return self.screen.stop();
        }
        self.model.toast(Said::Note, "cannot suspend: no job-control shell");
        Ok(())
    }

    fn draw(&mut self) -> Result<(), TerminalError> {
        log_collector::collect();
        let began = Instant::now();
        let (until, bytes) = self.screen.draw(|frame| view(&self.model, frame))?;
        // By the time that was drawn: the clock may be set back in between.
        let left = until.map(|until| until.duration_since(self.model.world.now));
        let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
        self.pace.drawn(began, bytes, left);
        Ok(())
    }

    fn take_input(&mut self, input: Input) -> Result<bool, TerminalError> {
        match input {
            Input::Key(key) => self.take(Message::Key(key)),
            Input::Paste(text) => self.take(Message::Paste(text)),
            Input::Resize => {
                let (columns, rows) = self.screen.size();
                self.take(Message::Resize(columns, rows))
            }
            Input::Gone => Ok(true),
        }
    }

    /// Takes a message in and does what it asks for; whether that was to end.
    fn take(&mut self, message: Message) -> Result<bool, TerminalError> {
        self.tasks.answered(&message);
        for effect in update(&mut self.model, message) {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Stop => self.stop()?,
                Effect::Repaint => self.screen.forget()?,
                Effect::OwnLog(to) => log_collector::scroll(to),
                other => self.tasks.begin(other),
            }
        }
        Ok(false)
    }
}

/// When to draw.
#[derive(Debug, Default)]
struct Pace {
    /// From when on something waits to be drawn.
    due: Option<Instant>,
    /// No frame of what the agent sends before this.
    not_before: Option<Instant>,
    /// When the picture grows older by itself.
    ages: Option<Instant>,
}

impl Pace {
    /// A person did something: drawn at once.
    fn hurry(&mut self) {
        self.due = Some(Instant::now());
    }

    /// Something changed: drawn when the terminal can bear it.
    fn dirty(&mut self) {
        let now = Instant::now();
        let due = self.not_before.map_or(now, |not_before| not_before.max(now));
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// A moment came that was waited for.
    fn time_passed(&mut self) {
        if self.ages.is_some_and(|ages| ages <= Instant::now()) {
            self.hurry();
        }
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    fn wake_at(&self) -> Option<Instant> {
        [self.due, self.ages].into_iter().flatten().min()
    }

    /// A frame was drawn: of so many bytes, and true for so long.
    fn drawn(&mut self, began: Instant, bytes: usize, left: Option<Duration>) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / BYTES_A_SECOND;
        // A terminal that takes long to take a frame is slow: it gets as much time again.
        let earned = earned.max(began.elapsed());
        let now = Instant::now();
        self.not_before = Some(now + earned.clamp(FRAME_LEAST, FRAME_MOST));
        self.ages = left.map(|left| now + left.max(FRAME_LEAST));
        self.due = None;
    }
}

#[cfg(test)]
mod tests;
