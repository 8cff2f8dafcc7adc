//! What a render depended on beside what was asked, and whether all of that is so now.

use serde::{Deserialize, Serialize};

use crate::render::scope::Scope;

/// All that had a say in a render beside what was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depends {
    /// The version of this program, whose rules are part of it.
    pub agent: String,
    /// The chart that came from elsewhere, with its digest.
    pub chart: Option<String>,
    /// What kustomizations took from elsewhere: what was asked for, and what tells what came from others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<(String, String)>,
    /// Paths of the commit, and what was there.
    pub files: Vec<(String, Seen)>,
    /// Kinds that the cluster was asked about.
    pub kinds: Vec<KindSeen>,
    /// A digest of what the cluster serves, where all of that was asked for.
    pub capabilities: Option<String>,
    /// The programs that were run, by their names, and what tells each from another one or another version of it.
    pub programs: Vec<(String, String)>,
}

/// What is at a path of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Nothing.
    Absent,
    /// A folder, whatever is in it.
    Folder,
    /// A file or a folder with this content: its mode and its id.
    Content(String),
}

/// What the cluster says of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSeen {
    /// Its group.
    pub group: String,
    /// Its name.
    pub kind: String,
    /// The answer.
    pub answer: Answer,
    /// Whether this is what the manifests themselves say, since the cluster did not know it: whether it knows it now makes no
    /// difference where it says the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// Where objects of a kind live, and whether they tell their status apart; nothing where it is not served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether an object is in no namespace.
    pub cluster_scoped: Option<bool>,
    /// Whether it has a status.
    pub has_status: Option<bool>,
}

impl Answer {
    /// Of what is known of a kind.
    pub fn new(scope: Option<Scope>, has_status: Option<bool>) -> Self {
        Self { cluster_scoped: scope.map(|scope| scope == Scope::Cluster), has_status }
    }
}

/// How things are now.
pub trait Now {
    /// The version of this program.
    fn agent(&self) -> &str;
    /// The chart that comes from elsewhere.
    fn chart(&self) -> Option<&str>;
    /// What would come from elsewhere, as far as is known without a look there.
    fn elsewhere(&self, asked: &str) -> Option<String>;
    /// What is at a path of the commit, in the words of `before`; nothing where it cannot be read.
    fn seen(&self, path: &str, before: &Seen) -> Option<Seen>;
    /// What the cluster says of a kind.
    fn kind(&self, group: &str, kind: &str) -> Answer;
    /// A digest of what the cluster serves; nothing where it cannot be asked.
    fn capabilities(&self) -> Option<String>;
    /// What tells a program from another; nothing where it is not there.
    fn program(&self, name: &str) -> Option<String>;
}

/// How what a render depended on compares with how things are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// All of it is so.
    Same,
    /// All of it but who rendered: good where nobody can render now.
    ByOthers,
    /// Something is otherwise.
    Other,
}

impl Depends {
    /// Compares them. What is cheap to ask is asked first.
    pub fn fit(&self, now: &impl Now) -> Fit {
        let files = || self.files.iter().all(|(path, before)| now.seen(path, before).as_ref() == Some(before));
        let elsewhere = || self.elsewhere.iter().all(|(asked, is)| now.elsewhere(asked).as_ref() == Some(is));
        if !self.fits_cluster(now) || !elsewhere() || !files() {
            return Fit::Other;
        }
        let is_same = |(name, identity): &(String, String)| now.program(name).as_ref() == Some(identity);
        let by_the_same = self.agent == now.agent() && self.programs.iter().all(is_same);
        if by_the_same { Fit::Same } else { Fit::ByOthers }
    }

    /// Whether a render of the very commit would come to the same: its files are as they were.
    pub fn fits_cluster(&self, now: &impl Now) -> bool {
        let is_same = |seen: &KindSeen| {
            let answer = now.kind(&seen.group, &seen.kind);
            answer == seen.answer || seen.own && answer == Answer::default()
        };
        self.chart.as_deref() == now.chart()
            && self.kinds.iter().all(is_same)
            && (self.capabilities.is_none() || self.capabilities == now.capabilities())
    }
}
