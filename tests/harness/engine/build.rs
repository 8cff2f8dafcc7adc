//! The classic builder of the stand-in: from a Dockerfile and a context to an image, step by step, told in the daemon's lines.
//! Nothing is run but the few commands that `run.rs` plays.

use std::collections::BTreeMap;

use super::State;
use super::dockerfile::{Dockerfile, Instruction, Stage, Word, expand};
use super::files::{Node, Tree, copy, fingerprint, pack, put, resolve};
use super::images::{History, ImageConfig, Layer, short, with_tag};
use super::mounts::mounted;
use super::output::{Output, Stop};
use super::session::Session;
use super::{pull, run};

/// What a client asked to be built.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildAsked {
    pub(super) context: Tree,
    pub(super) args: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) tags: Vec<String>,
    pub(super) no_cache: bool,
    /// The session of a build with BuildKit.
    pub(super) session: Option<String>,
}

/// A stage on its way: the image so far, and what instructions can see.
struct Draft {
    /// Id of the image so far; empty for scratch.
    id: String,
    config: ImageConfig,
    layers: Vec<Layer>,
    /// Build arguments declared so far in this stage.
    args: BTreeMap<String, String>,
}

struct Builder<'a> {
    state: &'a State,
    asked: &'a BuildAsked,
    out: &'a Output,
    steps: usize,
    step: usize,
    /// The stage at work as BuildKit names it, and which of how many vertexes of that it is at.
    vertex: (String, usize, usize),
    session: Option<Session>,
    /// A step that was not cached makes all later ones of its stage new.
    cached_so_far: bool,
    done: Vec<(Option<String>, Draft)>,
    ran_anything: bool,
}

/// A build that came to its end.
pub(super) struct Built {
    pub(super) id: String,
    /// Every step was in the cache.
    pub(super) cached: bool,
}

/// Builds the last stage of `file`; tags it.
pub(super) async fn build(
    state: &State,
    mut file: Dockerfile,
    asked: &BuildAsked,
    out: &Output,
) -> Result<Built, Stop> {
    if let (false, Some(last)) = (asked.labels.is_empty(), file.stages.last_mut()) {
        let labels: Vec<String> = asked.labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        last.instructions.push(Instruction::parse(&format!("LABEL {}", labels.join(" "))).map_err(Stop::failed)?);
    }
    let steps = file.steps();
    let session = match &asked.session {
        Some(id) => Some(Session::named(&state.sessions, id).await?),
        None => None,
    };
    let mut builder = Builder {
        state,
        session,
        asked,
        out,
        steps,
        step: 0,
        vertex: Default::default(),
        cached_so_far: true,
        done: Vec::new(),
        ran_anything: false,
    };

    let mut outer = BTreeMap::new();
    for argument in &file.arguments {
        builder.announce(argument).await?;
        declare(&mut outer, argument, &asked.args, &BTreeMap::new());
    }
    for (number, stage) in file.stages.iter().enumerate() {
        let name = match &stage.name {
            _ if file.stages.len() == 1 => String::new(),
            Some(name) => format!("{name} "),
            None => format!("stage-{number} "),
        };
        let vertexes = [&stage.from].into_iter().chain(&stage.instructions).filter(|one| is_vertex(one)).count();
        builder.vertex = (name, 0, vertexes);
        builder.stage(stage, &outer).await?;
    }
    let id = builder.done.last().map(|(_, draft)| draft.id.clone()).unwrap_or_default();
    if id.is_empty() {
        return Err(Stop::failed("No image was generated. Is your Dockerfile empty?"));
    }
    builder.warn_of_unused_arguments(&file).await?;
    out.remark(&format!("Successfully built {}\n", short(&id))).await?;
    for tag in &asked.tags {
        state.images().tag(&id, tag);
        out.remark(&format!("Successfully tagged {}\n", with_tag(tag))).await?;
    }
    state.images().keep();
    Ok(Built { id, cached: !builder.ran_anything })
}

impl Builder<'_> {
    async fn stage(&mut self, stage: &Stage, outer: &BTreeMap<String, String>) -> Result<(), Stop> {
        self.announce(&stage.from).await?;
        let base = expand(&stage.base, &|name| outer.get(name).cloned());
        let mut draft = self.base(&base).await?;
        self.cached_so_far = !self.asked.no_cache;
        self.out.remark(&format!(" ---> {}\n", short(&draft.id))).await?;
        for instruction in &stage.instructions {
            self.announce(instruction).await?;
            self.instruction(&mut draft, instruction, outer).await?;
            self.out.remark(&format!(" ---> {}\n", short(&draft.id))).await?;
        }
        if !draft.id.is_empty() {
            self.out.aux(serde_json::json!({ "ID": draft.id })).await?;
        }
        self.done.push((stage.name.clone(), draft));
        Ok(())
    }

    async fn base(&self, base: &str) -> Result<Draft, Stop> {
        if base == "scratch" {
            let config = ImageConfig::scratch();
            return Ok(Draft { id: String::new(), config, layers: Vec::new(), args: BTreeMap::new() });
        }
        if let Some(earlier) = self.earlier_stage(base) {
            let Draft { id, config, layers, .. } = earlier;
            return Ok(Draft { id: id.clone(), config: config.clone(), layers: layers.clone(), args: BTreeMap::new() });
        }
        if self.state.images().find(base).is_none() {
            pull::pull(self.state, &with_tag(base), None, self.out).await?;
        }
        let images = self.state.images();
        let (id, image) = images.find(base).ok_or_else(|| Stop::failed(format!("No such image: {base}")))?;
        Ok(Draft { id: id.into(), config: image.config.clone(), layers: image.layers.clone(), args: BTreeMap::new() })
    }

    /// One instruction: from the cache, or done anew as a new image on top of the last.
    async fn instruction(
        &mut self,
        draft: &mut Draft,
        instruction: &Instruction,
        outer: &BTreeMap<String, String>,
    ) -> Result<(), Stop> {
        let seen = draft.variables();
        let instruction = expanded(instruction, &seen);
        let brought = match instruction.word {
            Word::Copy | Word::Add => Some(self.copied(draft, &instruction)?),
            _ => None,
        };
        if instruction.word == Word::Arg {
            declare(&mut draft.args, &instruction, &self.asked.args, outer);
        }
        let visible_args = if instruction.word == Word::Run { format!("{:?}", draft.args) } else { String::new() };
        let files = brought.as_ref().map(fingerprint).unwrap_or_default();
        let key =
            super::files::digest(format!("{}\n{}\n{files}\n{visible_args}", draft.id, instruction.text).as_bytes());

        let cached = self.state.images().cached(&key).filter(|_| self.cached_so_far);
        if let Some(id) = cached {
            if is_vertex(&instruction) {
                self.out.cached();
            }
            self.out.remark(" ---> Using cache\n").await?;
            let images = self.state.images();
            if let Some((id, image)) = images.find(&id) {
                (draft.id, draft.config, draft.layers) = (id.to_owned(), image.config.clone(), image.layers.clone());
            }
            return Ok(());
        }
        self.cached_so_far = false;
        self.ran_anything = true;
        let container = &key["sha256:".len()..][..12];
        if brought.is_none() {
            self.out.remark(&format!(" ---> Running in {container}\n")).await?;
        }
        if instruction.word == Word::Run {
            let mounted = mounted(&instruction, self.session.as_ref()).await?;
            run::run(&instruction, &mounted, self.out).await?;
        }
        if brought.is_none() {
            self.out.remark(&format!("Removing intermediate container {container}\n")).await?;
        }
        let mut images = self.state.images();
        draft.apply(&instruction);
        let empty_layer = brought.is_none();
        draft.config.history.push(History { created_by: instruction.text.clone(), empty_layer });
        if let Some(files) = brought {
            let layer = images.add_layer(pack(&files).map_err(|error| Stop::failed(error.to_string()))?);
            draft.config.rootfs.diff_ids.push(layer.diff_id.clone());
            draft.layers.push(layer);
        }
        draft.id = images.add(draft.config.clone(), draft.layers.clone());
        images.remember(key, &draft.id);
        Ok(())
    }

    fn copied(&self, draft: &Draft, instruction: &Instruction) -> Result<Tree, Stop> {
        let failed =
            |what: String| Stop::failed(format!("{} failed: {what}", format!("{:?}", instruction.word).to_uppercase()));
        let mut words = instruction.words();
        let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
            return Err(failed("requires at least two arguments, but only one was provided".to_owned()));
        };
        if words.iter().any(|word| word.starts_with("http://") || word.starts_with("https://")) {
            return Err(failed("the stand-in engine fetches nothing from the network".to_owned()));
        }
        let images = self.state.images();
        let other = match instruction.flag("from") {
            None => None,
            Some(from) => {
                let layers = match self.earlier_stage(from) {
                    Some(stage) => &stage.layers,
                    None => &images.find(from).ok_or_else(|| failed(format!("invalid from flag value {from}: pull access denied for {from}, repository does not exist or may require 'docker login'")))?.1.layers,
                };
                Some(images.root(layers))
            }
        };
        let source = other.as_ref().unwrap_or(&self.asked.context);
        copy(source, &words, &destination, &draft.config.config.working_dir, &images.root(&draft.layers))
            .map_err(failed)
    }

    fn earlier_stage(&self, name: &str) -> Option<&Draft> {
        let named = self.done.iter().find(|(of, _)| of.as_deref().is_some_and(|of| of.eq_ignore_ascii_case(name)));
        named.or_else(|| self.done.get(name.parse::<usize>().ok()?)).map(|(_, draft)| draft)
    }

    /// The `Step n/m` line, with the delay and the faults that were asked for.
    async fn announce(&mut self, instruction: &Instruction) -> Result<(), Stop> {
        self.step += 1;
        self.out.remark(&format!("Step {}/{} : {}", self.step, self.steps, instruction.text)).await?;
        self.out.remark("\n").await?;
        if is_vertex(instruction) {
            self.vertex.1 += 1;
            let (stage, vertex, of) = &self.vertex;
            self.out.vertex(&format!("[{stage}{vertex}/{of}] {}", instruction.text)).await?;
        }
        let delay = self.state.plan().step_delay;
        self.state.held.send_modify(|steps| *steps += 1);
        let passed = self.out.pause(delay).await;
        self.state.held.send_modify(|steps| *steps -= 1);
        passed?;
        self.out.fault_after(self.step).await
    }

    async fn warn_of_unused_arguments(&self, file: &Dockerfile) -> Result<(), Stop> {
        let declared = file.arguments.iter().chain(file.stages.iter().flat_map(|stage| &stage.instructions));
        let declared: Vec<String> =
            declared.filter(|i| i.word == Word::Arg).flat_map(|i| i.words()).map(|w| name_of(&w).to_owned()).collect();
        let unused: Vec<&str> =
            self.asked.args.keys().filter(|arg| !declared.contains(arg)).map(String::as_str).collect();
        if unused.is_empty() {
            return Ok(());
        }
        self.out.remark(&format!("[Warning] One or more build-args [{}] were not consumed\n", unused.join(" "))).await
    }
}

impl Draft {
    /// What `$name` means here: environment over build arguments.
    fn variables(&self) -> BTreeMap<String, String> {
        let environment = self.config.config.env.iter().filter_map(|pair| pair.split_once('='));
        let mut variables = self.args.clone();
        variables.extend(environment.map(|(key, value)| (key.to_owned(), value.to_owned())));
        variables
    }

    fn apply(&mut self, instruction: &Instruction) {
        let config = &mut self.config.config;
        let command =
            || instruction.list().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into(), instruction.rest.clone()]);
        match instruction.word {
            Word::Env => {
                for (key, value) in instruction.pairs() {
                    config.env.retain(|pair| pair.split_once('=').is_none_or(|(old, _)| old != key));
                    config.env.push(format!("{key}={value}"));
                }
            }
            Word::Label => config.labels.extend(instruction.pairs()),
            Word::Cmd => config.cmd = Some(command()),
            Word::Entrypoint => config.entrypoint = Some(command()),
            Word::Expose => {
                let port = |word: String| if word.contains('/') { word } else { format!("{word}/tcp") };
                config.exposed_ports.extend(instruction.words().into_iter().map(|w| (port(w), serde_json::json!({}))));
            }
            Word::User => config.user = instruction.rest.clone(),
            Word::Workdir => config.working_dir = format!("/{}", resolve(&instruction.rest, &config.working_dir)),
            // These change nothing that a client of the stand-in can see, or were done before.
            Word::From | Word::Arg | Word::Copy | Word::Add | Word::Run => {}
            Word::Volume | Word::Shell | Word::Stopsignal | Word::Healthcheck | Word::Maintainer => {}
        }
    }
}

/// Whether BuildKit counts it: what only changes the configuration is no work.
fn is_vertex(instruction: &Instruction) -> bool {
    match instruction.word {
        Word::From => instruction.rest.split(' ').next() != Some("scratch"),
        Word::Copy | Word::Add | Word::Run | Word::Workdir => true,
        _ => false,
    }
}

/// `ARG name[=default]`: what the client gave wins over what the file says.
fn declare(
    scope: &mut BTreeMap<String, String>,
    argument: &Instruction,
    given: &BTreeMap<String, String>,
    outer: &BTreeMap<String, String>,
) {
    for word in argument.words() {
        let name = name_of(&word);
        let default = word.split_once('=').map(|(_, value)| value.to_owned());
        if let Some(value) = given.get(name).cloned().or(default).or_else(|| outer.get(name).cloned()) {
            scope.insert(name.to_owned(), value);
        }
    }
}

fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// Variables are expanded by the builder everywhere but in commands, where the shell would do it.
fn expanded(instruction: &Instruction, variables: &BTreeMap<String, String>) -> Instruction {
    if matches!(instruction.word, Word::Run | Word::Cmd | Word::Entrypoint) {
        return instruction.clone();
    }
    let lookup = |name: &str| variables.get(name).cloned();
    let (rest, text) = (expand(&instruction.rest, &lookup), expand(&instruction.text, &lookup));
    let flags = instruction.flags.iter().map(|(key, value)| (key.clone(), expand(value, &lookup))).collect();
    Instruction { rest, text, flags, word: instruction.word }
}

/// A tree of the given files, for images that a test puts into the engine.
pub(super) fn tree_of(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (path, text) in files {
        put(&mut tree, path.trim_start_matches('/'), Node::File { mode: 0o755, bytes: text.as_bytes().into() });
    }
    tree
}
