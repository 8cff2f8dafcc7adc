//! Promotion into the values of a Helm chart: the words of a values file that name the image, in the files that the
//! configuration lists, else in the chart's own.
//!
//! The repository may stand in the chart's `values.yaml` and the tag in a file of the environment: then that tag is
//! changed. A chart with other keys has them in the configuration ([`by_keys`]). What other environments read as well is never changed for one of them: where the environment has files of its
//! own, one of these has to say the tag. The files of a chart of a registry are no files of the repository: its values are read,
//! and never changed.

use std::collections::BTreeMap;

use super::apart::{set_at, whereabouts};
use super::edited::Edited;
use super::manifests::{self, mentions};
use super::{Edits, Manifests, PromoteError, Promoted, by_keys, shown, spellings};
use crate::render::RenderError;
use crate::render::helm::{HelmError, template};
use crate::tree::links::{Followed, resolve};
use crate::tree::{TreeEntry, is_lfs_pointer};
use crate::yaml::YamlError;
use quarterdeck_shared::application::{ImageValues, PromoteBy};

/// Into the values of the chart of a folder: as it is rendered after, it has to name the artifact and nothing else of these
/// images.
pub(super) fn into_chart(manifests: &Manifests<'_>, folder: &str, images: &[&Promoted]) -> Result<Edits, PromoteError> {
    let mut files = Values::read(manifests, folder)?;
    let output = rendered(manifests, folder, &BTreeMap::new())?;
    let mut edits = Edits::default();
    for image in images {
        if spellings(folder, &output, image)?.names.is_empty() {
            let (image, path) = (image.image.clone(), shown(folder));
            edits.absent.push(image.clone());
            edits.nowhere = Some(PromoteError::NowhereInChart { image, path });
        } else {
            files.set(image, manifests.values)?;
        }
    }
    edits.changed = files.changed;
    let output = match edits.changed.is_empty() {
        true => output,
        false => rendered(manifests, folder, &edits.changed)?,
    };
    for image in images {
        let mut others = spellings(folder, &output, image)?.others;
        // A chart without a place for a digest gets the tag alone.
        if image.by == PromoteBy::TagAndDigest {
            let by_tag = Promoted { by: PromoteBy::Tag, ..(*image).clone() };
            let without = spellings(folder, &output, &by_tag)?.others;
            others.retain(|object| without.contains(object));
        }
        if !others.is_empty() {
            let (image, objects) = (image.image.clone(), others.into_iter().collect());
            return Err(PromoteError::WithoutValues { path: shown(folder), image, objects });
        }
    }
    Ok(edits)
}

/// The files of values, the one that overrules all others first.
struct Values {
    /// Of the environment.
    own: Vec<TreeEntry>,
    /// Of what is not changed, and of the chart.
    shared: Vec<TreeEntry>,
    /// Whether those of the chart may be changed: it is in the repository, and there are no files of values beside it.
    writes_shared: bool,
    /// What is in each, with what was changed.
    contents: BTreeMap<String, Vec<u8>>,
    changed: BTreeMap<String, Vec<u8>>,
}

impl Values {
    fn read(manifests: &Manifests<'_>, folder: &str) -> Result<Self, PromoteError> {
        let (tree, mut contents) = (manifests.tree, BTreeMap::new());
        let mut read = |path: &str| -> Result<Option<TreeEntry>, PromoteError> {
            let reading = |source| PromoteError::Read { path: path.to_owned(), source };
            let Followed::File(entry) = resolve(tree, path).map_err(reading)? else { return Ok(None) };
            let content = tree.blob(&entry).map_err(reading)?;
            if is_lfs_pointer(&content) {
                return Err(PromoteError::LargeFileStorage { path: path.to_owned() });
            }
            contents.insert(entry.path.clone(), content);
            Ok(Some(entry))
        };
        let (mut own, mut shared) = (Vec::new(), Vec::new());
        for path in manifests.release.spec.values_files.iter().rev() {
            let entry = read(path)?;
            let may_change = entry.as_ref().is_some_and(|entry| manifests.may_change(&entry.path));
            let of = if may_change { &mut own } else { &mut shared };
            of.extend(entry);
        }
        let is_overruled = !own.is_empty() || !shared.is_empty();
        let is_here = manifests.release.spec.chart.is_none() && manifests.may_change(folder);
        shared.extend(read(&format!("{folder}/values.yaml"))?);
        let writes_shared = is_here && !is_overruled;
        Ok(Self { own, shared, writes_shared, contents, changed: BTreeMap::new() })
    }

    /// Makes them name an image.
    fn set(&mut self, image: &Promoted, values: &[ImageValues]) -> Result<(), PromoteError> {
        if let Some(values) = by_keys::values_of(values, image) {
            return self.set_told(image, values);
        }
        // The repository with its tag in one file: the first that has it decides.
        for entry in self.own.iter().chain(self.shared.iter().filter(|_| self.writes_shared)) {
            let (places, changed) = manifests::set_image(&entry.path, &self.contents[&entry.path], image)?;
            if places > 0 {
                let path = entry.path.clone();
                return self.keep(path, changed);
            }
        }
        // The repository elsewhere, and its tag here.
        let sources = self.own.iter().chain(&self.shared);
        let mut at = Vec::new();
        for entry in sources.filter(|entry| mentions(&self.contents[&entry.path], &image.image)) {
            at.extend(whereabouts(&entry.path, &self.contents[&entry.path], image)?);
        }
        for entry in &self.own {
            let (places, changed) = set_at(&entry.path, &self.contents[&entry.path], &at, image)?;
            if places > 0 {
                let path = entry.path.clone();
                return self.keep(path, changed);
            }
        }
        if self.own.is_empty() && !self.writes_shared {
            return Err(PromoteError::NoValuesFile { image: image.image.clone() });
        }
        let path = self.own.first().or(self.shared.first()).map_or("values.yaml", |entry| &entry.path).to_owned();
        let at = at.first().map_or_else(|| "image".to_owned(), |keys| keys.join("."));
        Err(PromoteError::NotInValues { image: image.image.clone(), at, path })
    }

    /// Makes the keys that the configuration names say its version.
    fn set_told(&mut self, image: &Promoted, values: &ImageValues) -> Result<(), PromoteError> {
        let files = self.own.iter().chain(self.shared.iter().filter(|_| self.writes_shared));
        for entry in files {
            let (places, changed) = by_keys::set(&entry.path, &self.contents[&entry.path], values, image)?;
            if places > 0 {
                let path = entry.path.clone();
                return self.keep(path, changed);
            }
        }
        let image = image.image.clone();
        if self.own.is_empty() && !self.writes_shared {
            return Err(PromoteError::NoValuesFile { image });
        }
        let path = self.own.first().or(self.shared.first()).map_or("values.yaml", |entry| &entry.path).to_owned();
        Err(PromoteError::NotInTold { image, keys: by_keys::keys(values), path })
    }

    fn keep(&mut self, path: String, changed: Option<Vec<u8>>) -> Result<(), PromoteError> {
        if let Some(changed) = changed {
            self.contents.insert(path.clone(), changed.clone());
            self.changed.insert(path, changed);
        }
        Ok(())
    }
}

/// What helm makes of a folder with some files changed.
fn rendered(
    manifests: &Manifests<'_>,
    folder: &str,
    edits: &BTreeMap<String, Vec<u8>>,
) -> Result<String, PromoteError> {
    let tree = Edited { tree: manifests.tree, edits };
    let (built, _) = template(&tree, folder, manifests.programs, manifests.release)?;
    String::from_utf8(built.output).map_err(|_| {
        let source = Box::new(HelmError::Output(YamlError::NotUtf8 { line: 1 }));
        PromoteError::Render(RenderError::Helm { path: folder.to_owned(), source })
    })
}
