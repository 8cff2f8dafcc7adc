//! Where the agent listens, and who else would like to.

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn the_folder_and_the_socket_are_private_and_a_second_agent_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deck/agent.sock");
    let socket = listen(&path, None).unwrap();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert!(matches!(listen(&path, None), Err(SocketError::Taken { .. })));
    drop(socket);
    assert!(!path.exists());
    listen(&path, None).unwrap();
}

#[tokio::test]
async fn a_dead_agents_socket_is_taken_over_and_an_open_folder_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let deck = dir.path().join("deck");
    std::fs::create_dir(&deck).unwrap();
    std::fs::set_permissions(&deck, Permissions::from_mode(0o777)).unwrap();
    let path = deck.join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let _socket = listen(&path, None).unwrap();
    assert_eq!((mode(&deck), mode(&path)), (0o700, 0o600));
}

#[tokio::test]
async fn a_linked_folder_and_a_long_path_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    assert!(matches!(listen(&link.join("agent.sock"), None), Err(SocketError::Folder { .. })));
    let long = dir.path().join("x".repeat(120)).join("agent.sock");
    assert!(matches!(listen(&long, None), Err(SocketError::TooLong { .. })));
}

/// Cleaners remove the socket, or its folder with the lock.
#[tokio::test]
async fn a_socket_that_is_removed_is_made_again_and_no_other_agent_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deck/agent.sock");
    let mut socket = listen(&path, None).unwrap();
    let listener = socket.listener();
    let first = StdStream::connect(&path).unwrap();
    listener.borrow().accept().await.unwrap();
    assert_eq!(socket.check().unwrap(), Presence::Ours);

    std::fs::remove_file(&path).unwrap();
    assert!(matches!(listen(&path, None), Err(SocketError::Taken { .. })));
    assert_eq!(socket.check().unwrap(), Presence::Again(Missed::Removed));
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    assert!(matches!(listen(&path, None), Err(SocketError::Taken { .. })), "its folder and lock are gone");
    assert_eq!(socket.check().unwrap(), Presence::Again(Missed::Removed));
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "no socket").unwrap();
    assert_eq!(socket.check().unwrap(), Presence::Again(Missed::Replaced));

    assert!(listener.has_changed().unwrap());
    let _second = StdStream::connect(&path).unwrap();
    listener.borrow().accept().await.unwrap();
    drop(first);
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_another_agent_listens_at_is_neither_taken_nor_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deck/agent.sock");
    let mut socket = listen(&path, None).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = StdListener::bind(&path).unwrap();
    assert!(matches!(socket.check(), Err(SocketError::Taken { .. })));
    drop(socket);
    assert!(path.exists());
}
