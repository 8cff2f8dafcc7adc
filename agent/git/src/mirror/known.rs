//! What was read lately of folders, and of which commit comes before which, in memory: at a new commit a thousand
//! environments of one repository ask for the same few. Git names everything by its content, so that none of it can become
//! untrue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gix::ObjectId;
use gix::bstr::BString;
use gix::object::tree::EntryKind;

/// Commits of which the root is kept, pairs of them, and folders: environments are at a few commits at a time.
const EACH_MAX: usize = 64;

/// Names in the folders that are kept: some 2 MB. A folder of a thousand applications has a thousand.
const NAMES_MAX: usize = 20_000;

/// What a folder holds, without what is below it.
pub(super) type Folder = HashMap<BString, (EntryKind, ObjectId)>;

/// See the module. The least lately asked for goes first.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    roots: VecDeque<(ObjectId, ObjectId)>,
    orders: VecDeque<((ObjectId, ObjectId), bool)>,
    folders: VecDeque<(ObjectId, Arc<Folder>)>,
}

impl Known {
    /// The root of a commit.
    pub(super) fn root<E>(&self, commit: ObjectId, read: impl FnOnce() -> Result<ObjectId, E>) -> Result<ObjectId, E> {
        if let Some(root) = recall(&mut self.lists().roots, &commit) {
            return Ok(root);
        }
        let root = read()?;
        note(&mut self.lists().roots, commit, root);
        Ok(root)
    }

    /// Whether the second of two commits comes before the first; what could not be told is asked again.
    pub(super) fn order<E>(
        &self,
        commits: (ObjectId, ObjectId),
        read: impl FnOnce() -> Result<Option<bool>, E>,
    ) -> Result<Option<bool>, E> {
        if let Some(order) = recall(&mut self.lists().orders, &commits) {
            return Ok(Some(order));
        }
        let order = read()?;
        if let Some(order) = order {
            note(&mut self.lists().orders, commits, order);
        }
        Ok(order)
    }

    /// What a folder holds.
    pub(super) fn folder<E>(&self, tree: ObjectId, read: impl FnOnce() -> Result<Folder, E>) -> Result<Arc<Folder>, E> {
        if let Some(folder) = recall(&mut self.lists().folders, &tree) {
            return Ok(folder);
        }
        let folder = Arc::new(read()?);
        let folders = &mut self.lists().folders;
        note(folders, tree, folder.clone());
        while folders.iter().map(|(_, folder)| folder.len()).sum::<usize>() > NAMES_MAX {
            folders.pop_front();
        }
        Ok(folder)
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        *self.lists() = Lists::default();
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn recall<K: PartialEq, V: Clone>(list: &mut VecDeque<(K, V)>, key: &K) -> Option<V> {
    let place = list.iter().rposition(|(known, _)| known == key)?;
    let found = list.remove(place)?;
    list.push_back(found);
    list.back().map(|(_, value)| value.clone())
}

fn note<K: PartialEq, V>(list: &mut VecDeque<(K, V)>, key: K, value: V) {
    // Two may have read it side by side.
    list.retain(|(known, _)| *known != key);
    list.push_back((key, value));
    if list.len() > EACH_MAX {
        list.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn id(number: u32) -> ObjectId {
        ObjectId::from_hex(format!("{number:040x}").as_bytes()).unwrap()
    }

    fn folder(names: usize) -> Folder {
        (0..names).map(|name| (BString::from(name.to_string()), (EntryKind::Blob, id(0)))).collect()
    }

    #[test]
    fn what_was_read_is_not_read_again_until_others_were_asked_for() {
        let known = Known::default();
        let read = |commit: u32| {
            let mut was_read = false;
            let read = || {
                was_read = true;
                Ok::<_, Infallible>(id(commit + 1_000))
            };
            assert_eq!(known.root(id(commit), read), Ok(id(commit + 1_000)));
            was_read
        };
        assert!(read(0) && !read(0));
        (1..EACH_MAX as u32).for_each(|commit| assert!(read(commit)));
        assert!(!read(0), "it was asked for, and is the last to go");
        assert!(read(EACH_MAX as u32) && read(1) && !read(0));
    }

    #[test]
    fn names_are_bounded_and_a_folder_beyond_the_bound_is_read_each_time() {
        let known = Known::default();
        let read = |tree: u32, names: usize| {
            let mut was_read = false;
            let read = || {
                was_read = true;
                Ok::<_, Infallible>(folder(names))
            };
            assert_eq!(known.folder(id(tree), read).unwrap().len(), names);
            was_read
        };
        assert!(read(1, NAMES_MAX / 2) && read(2, NAMES_MAX / 2) && !read(1, NAMES_MAX / 2));
        assert!(read(3, 1), "one more than there is room for");
        assert!(!read(1, NAMES_MAX / 2) && read(2, NAMES_MAX / 2));
        assert!(read(4, NAMES_MAX + 1) && read(4, NAMES_MAX + 1));
    }

    #[test]
    fn what_could_not_be_told_is_asked_again() {
        let known = Known::default();
        let pair = (id(1), id(2));
        assert_eq!(known.order(pair, || Ok::<_, Infallible>(None)), Ok(None));
        assert_eq!(known.order(pair, || Ok::<_, Infallible>(Some(true))), Ok(Some(true)));
        assert_eq!(known.order(pair, || Err("it is known")), Ok(Some(true)));
        assert_eq!(
            known.order((id(2), id(1)), || Err("the other way round is another question")),
            Err("the other way round is another question")
        );
    }
}
