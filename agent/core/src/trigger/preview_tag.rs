//! The image tag of a merge request's commit: `merge-request-7-a6ca5a8f2c1b`. What is in a registry under such a tag is told by its
//! name alone, so that it can be taken away again.

use quarterdeck_shared::revision::CommitId;

use super::image_tag::SHORT_COMMIT;

/// How the reference of a merge request begins.
const PREFIX: &str = "merge-request-";

/// The tag of the images of a commit of `merge-request-7`.
pub fn preview_tag(reference: &str, commit: &CommitId) -> String {
    format!("{reference}-{}", &commit.as_str()[..SHORT_COMMIT])
}

/// The number of the merge request that an image tag is of; none of any other tag.
pub fn merge_request_of(tag: &str) -> Option<u64> {
    let (number, commit) = tag.strip_prefix(PREFIX)?.split_once('-')?;
    let is_commit = commit.len() == SHORT_COMMIT && commit.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_number = !number.starts_with(['0', '+']);
    number.parse().ok().filter(|_| is_commit && is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_ours_is_known_again_and_no_other_is() {
        let commit: CommitId = "a6ca5a8f2c1b4c1e9a6ca5a8f2c1b4c1e9a6ca5a".parse().unwrap();
        let tag = preview_tag("merge-request-7", &commit);
        assert_eq!(tag, "merge-request-7-a6ca5a8f2c1b");
        assert_eq!(merge_request_of(&tag), Some(7));
        for other in [
            "1.4.0",
            "merge-request-7",
            "merge-request-7-a6ca5a8",
            "merge-request-7-a6ca5a8f2c1b2",
            "merge-request-7-A6CA5A8F2C1B",
            "merge-request-07-a6ca5a8f2c1b",
            "merge-request--a6ca5a8f2c1b",
            "merge-request-+7-a6ca5a8f2c1b",
            "fork-merge-request-7-a6ca5a8f2c1b",
        ] {
            assert_eq!(merge_request_of(other), None, "{other}");
        }
    }
}
