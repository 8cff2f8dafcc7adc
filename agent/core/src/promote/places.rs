//! Where an object names images.
//!
//! In every kind the containers of a pod and its image volumes. In a custom kind, whose fields nobody knows, also each
//! key that ends in `image` (or is `imageName`), and a repository with its tag in a key beside it. A ConfigMap that has a key `image` runs
//! nothing, and is left alone. An alias stands for the word at its anchor, and a merge key for what it merges.

use std::collections::{BTreeMap, BTreeSet};

use crate::yaml::tree::{Node, anchors};

/// A place that names an image.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'n> {
    /// Repository, tag and digest in one word.
    Whole(&'n Node),
    /// Each in a key of its own, as charts have it.
    Apart {
        /// The registry where that is apart too.
        registry: Option<&'n str>,
        repository: &'n str,
        tag: Option<&'n Node>,
        digest: Option<&'n Node>,
        /// The place to tell.
        node: &'n Node,
    },
}

/// Lists of containers in a pod's spec.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Keys of a repository that has its tag in a key beside it, and these keys: charts, operators, kustomizations of others.
pub(super) const REPOSITORY: [&str; 6] = ["repository", "image", "imageName", "imageRepository", "name", "newName"];
pub(super) const TAG: [&str; 3] = ["tag", "imageTag", "newTag"];

/// Groups of Kubernetes itself, beside those that end in `.k8s.io`.
const BUILT_IN: [&str; 6] = ["", "apps", "autoscaling", "batch", "extensions", "policy"];

/// The places of a document, each once, in the order of the text.
pub(super) fn places(document: &Node) -> Vec<Place<'_>> {
    let mut finder = Finder { anchors: anchors(document), found: BTreeMap::new() };
    finder.object(document, "");
    finder.found.into_values().collect()
}

struct Finder<'n> {
    anchors: BTreeMap<usize, &'n Node>,
    /// By where they are.
    found: BTreeMap<usize, Place<'n>>,
}

impl<'n> Finder<'n> {
    /// An object, or a list of them: an item may leave out what the list says.
    fn object(&mut self, node: &'n Node, listed_as: &'n str) {
        let text = |key| node.get(key).and_then(Node::text);
        let api_version = text("apiVersion").unwrap_or(listed_as);
        match (text("kind"), node.get("items")) {
            (Some(kind), Some(Node::Sequence { items, .. })) if kind.ends_with("List") => {
                items.iter().for_each(|item| self.object(item, api_version));
            }
            _ => self.walk(node, !is_built_in(api_version)),
        }
    }

    fn walk(&mut self, node: &'n Node, is_custom: bool) {
        match node {
            Node::Mapping { entries, .. } => {
                if is_custom {
                    self.apart(node);
                }
                for (key, value) in entries {
                    let key = key.text().unwrap_or_default();
                    if CONTAINERS.contains(&key) {
                        self.items(value).into_iter().for_each(|container| self.whole(self.field(container, "image")));
                    }
                    if key == "volumes" {
                        for volume in self.items(value) {
                            let image = self.field(volume, "image");
                            self.whole(image.and_then(|image| self.field(image, "reference")));
                        }
                    }
                    if is_custom && is_image(key) {
                        let value = self.at(value);
                        self.whole(self.field(value, "reference").or(Some(value)));
                    }
                    self.walk(value, is_custom);
                }
            }
            Node::Sequence { items, .. } => items.iter().for_each(|item| self.walk(item, is_custom)),
            Node::Scalar { .. } | Node::Alias { .. } => {}
        }
    }

    fn whole(&mut self, node: Option<&'n Node>) {
        if let Some(node) = node.map(|node| self.at(node)).filter(|node| node.text().is_some()) {
            self.found.entry(node.at().start).or_insert(Place::Whole(node));
        }
    }

    /// A repository and its tag in keys of one mapping.
    fn apart(&mut self, node: &'n Node) {
        let named = |key| node.get(key).map(|value| self.at(value)).filter(|value| value.text().is_some());
        let tag = TAG.into_iter().find_map(named);
        let digest = named("digest");
        if tag.is_none() && digest.is_none() {
            return;
        }
        let registry = named("registry").and_then(Node::text).filter(|registry| !registry.is_empty());
        let mut found = Vec::new();
        for repository in REPOSITORY.into_iter().filter_map(named) {
            let Some(text) = repository.text() else { continue };
            found.push((
                repository.at().start,
                Place::Apart { registry, repository: text, tag, digest, node: repository },
            ));
        }
        // Before the walk takes the key for a whole name.
        self.found.extend(found);
    }

    /// What a node stands for.
    fn at(&self, node: &'n Node) -> &'n Node {
        match node {
            Node::Alias { anchor, .. } => self.anchors.get(anchor).copied().unwrap_or(node),
            _ => node,
        }
    }

    fn items(&self, node: &'n Node) -> Vec<&'n Node> {
        match self.at(node) {
            Node::Sequence { items, .. } => items.iter().map(|item| self.at(item)).collect(),
            _ => Vec::new(),
        }
    }

    /// The value of a key of a mapping, or of what it merges.
    fn field(&self, node: &'n Node, name: &str) -> Option<&'n Node> {
        let (mut waiting, mut seen) = (vec![self.at(node)], BTreeSet::new());
        while let Some(node) = waiting.pop() {
            // What is merged may merge in turn, and each is looked at once.
            if !seen.insert(node.at().start) {
                continue;
            }
            match node {
                Node::Sequence { items, .. } => waiting.extend(items.iter().rev().map(|item| self.at(item))),
                Node::Mapping { .. } => match node.get(name) {
                    Some(value) => return Some(self.at(value)),
                    None => waiting.extend(node.get("<<").map(|merged| self.at(merged))),
                },
                _ => {}
            }
        }
        None
    }
}

/// Whether an API version is of Kubernetes itself; one that is not told is not.
fn is_built_in(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !api_version.is_empty() && (BUILT_IN.contains(&group) || group.ends_with(".k8s.io"))
}

fn is_image(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("image") || key == "imagename"
}
