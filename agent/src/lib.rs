//! The background agent: it watches git repositories, builds and pushes images when tags ask for it, and keeps
//! Kubernetes clusters equal to what git says.
//!
//! # Where to begin
//! - **A tag becomes a build**: [`deliver`] reads straight down; `owing` is where a tag becomes a run, `queue` of the core says
//!   which run is next, `image_build::Build` is where a run becomes a build, and `engine::docker` of [`quarterdeck_container`]
//!   sends it.
//! - **A manifest becomes a patch**: [`reconcile`] reads straight down; the core's `steps` say what is done in which order,
//!   `apply` of [`quarterdeck_kubernetes`] walks them, `objects` there is where the patch is sent.
//! - **A request becomes work**: `commands` of [`api`] records what a person asks for as a fact, then wakes the worker whose pass
//!   does it.
//! - **A dead pod becomes a red row**: `cache` of [`quarterdeck_kubernetes`] has it judged by [`quarterdeck_core::health`] as its
//!   watch names it, [`monitor`] hands the verdict to the journal; the page of the console goes on from there.
//! - **A secret is masked**: those of this process by `secrets` of the core, where a line of the log is written and where words
//!   from outside come in; the values of a Secret, and what was decrypted, by its `sync::mask`, in each difference and manifest that
//!   is shown.
//! - **What happened becomes what is known**: [`journal`] is the one writer.
//!
//! # The house
//! ```text
//! poll ─ refs ─► worker ─► deliver:   trigger* ─► checkout ─► build ─► push ─► promote* ─► a commit in git
//!             └► worker ─► reconcile: render* ─► cluster: observe ─► plan* ─► steps* ─► walk them: apply, wait, delete
//!                          cluster: watch ─► cache: health*, drift* ─► monitor; drift wakes the worker
//! each step ─ Facts ─► journal ─► history (SQLite) ─► snapshot ─► api ══ Unix socket ══► consoles
//! api ─ intent as a fact, then a wake-up ─► worker
//! ```
//! What has a star decides, and is [`quarterdeck_core`]. Three doors do what was decided, each to one kind of other program, and do
//! not know each other: [`quarterdeck_git`], [`quarterdeck_container`], [`quarterdeck_kubernetes`]; what they ask of this machine
//! is [`quarterdeck_system`]. This crate is the two stories, what is kept, and the process:
//!
//! - [`deliver`], [`reconcile`]: the two stories. [`worker`] drives them, [`supervise`] begins and ends them.
//! - [`configuration`]: the local file, and what a repository has beside it. [`sources`]: applications that are defined in git beside
//!   the configuration.
//! - [`poll`] asks each repository once for everybody; [`images`] is engines and registries with their logins together.
//! - [`forge`]: what forges are told of their commits. [`webhook`]: where they say that something was pushed; a repository of this
//!   machine says it through `repo received` of [`command`].
//! - [`gc`]: what nobody needs any more on this machine's disk.
//! - [`clusters`]: all clusters. [`monitor`]: what their watches say becomes what consoles see. [`wanted`]: what each
//!   environment wants, for its neighbours.
//! - [`charts`]: charts of registries and chart repositories: which version is wanted, and the archives that are kept.
//! - [`artifacts`]: artifacts of registries with manifests, which become commits.
//! - [`renderers`]: the programs that build kustomizations and charts, from a [`commit_tree`]. [`sops`]: the keys and the program
//!   that decrypt its files. [`signing`]: those that sign images.
//! - [`renderers`]: the programs that build kustomizations and charts, from a [`commit_tree`] and [`source_tree`]s beside it. [`renders`]: what they made before,
//!   sealed on the disk. [`sops`]: the keys and the program that decrypt its files. [`signing`]: those that sign images.
//! - [`sources`], [`removals`]: applications that git defines, and what is deleted of those that leave it.
//! - [`journal`], [`history`]: the one writer, and what it keeps.
//! - [`api`], [`access`]: the socket, and who may do what. [`probe`], [`doctor`], [`connectivity`], [`readable`]: what can be reached.
//! - [`config`], [`context`], [`agent`], [`command`], [`cli`], [`telemetry`], [`upkeep`], [`flood`]: the process.
//!
//! Cross-cutting: secrets are `quarterdeck_core::secrets`; bounds stand beside what they bound; cancellation is a token of the
//! application, the environment, the run or the agent; each task is a span with its application or environment, run, sync,
//! repository or cluster.
//!
//! # What holds everywhere
//! - Level-triggered: a story compares what is asked with what is so; whatever wakes it takes no other path, so that
//!   nothing is lost when the agent dies between two steps, and nothing is done twice.
//! - One writer: only the journal changes state; others read the snapshot. One owner: an application has a worker for its runs, each of its
//!   environments one for its syncs, and a worker runs one pass at a time.
//! - Every queue, retry, message, log and cache is bounded, beside a comment that says why so.
//! - Secrets are named in the configuration, never written there, and never reach a log, an event or the socket.

pub mod deliver;
pub mod reconcile;

pub mod access;
pub mod agent;
pub mod cli;
pub mod config;
pub mod configuration;
pub mod context;
pub mod doctor;
pub mod removals;
pub mod sources;
pub mod supervise;
pub mod telemetry;
pub mod upkeep;

pub mod connectivity;
pub mod poll;
pub mod probe;
pub mod readable;
pub mod worker;

pub mod artifacts;
pub mod charts;
pub mod commit_tree;
pub mod deployed_marks;
pub mod images;
pub mod kept_images;
pub mod packages;
pub mod places;
pub mod pull_secrets;
pub mod remotes;
pub mod renderers;
pub mod renders;
pub mod signing;
pub mod sops;
pub mod source_tree;

pub mod wanted;

pub mod clusters;
pub mod monitor;

pub mod flood;

pub mod forge;
pub mod gc;
pub mod webhook;

pub mod history;
pub mod journal;

pub mod api;

pub mod command;

pub use cli::run;
