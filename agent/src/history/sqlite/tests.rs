//! What the history tells of what it was told.

use quarterdeck_shared::protocol::SyncRequest;

use super::*;

#[test]
fn what_is_owed_is_told_of_all_applications_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let mut connection = open(&path).unwrap();
    let intent = |force| Intent {
        request: SyncRequest { force, ..SyncRequest::default() },
        cause: Cause::Agent,
        at: Timestamp::UNIX_EPOCH,
    };
    let names: Vec<ApplicationName> = ["cart", "shop", "till"].map(|name| name.parse().unwrap()).into();
    let transaction = connection.transaction().unwrap();
    for (name, force) in names.iter().zip([true, false, true]) {
        Writer(&transaction).intent(name, Some(&intent(force))).unwrap();
    }
    Writer(&transaction).intent(&names[2], None).unwrap();
    transaction.commit().unwrap();
    let owed = Reader::open(&path).unwrap().intents().unwrap();
    let owed: Vec<_> = owed.iter().map(|(name, intent)| (name.as_str(), intent.request.force)).collect();
    assert_eq!(owed, [("cart", true), ("shop", false)]);
}
