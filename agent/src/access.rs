//! Who may do what: the peer of the socket, and the role that the configuration gives it. Pure but for names.

use nix::unistd::{Gid, Group, Uid, User};
use quarterdeck_shared::event::Cause;
use quarterdeck_shared::protocol::Role;

use crate::config::{AccessRule, Config};

/// The process at the other end of the socket, as the kernel tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// User name, or the id where it has none.
    pub name: String,
    /// All groups of the user, the process's own first.
    pub gids: Vec<u32>,
}

impl Peer {
    /// Looks up the names behind the kernel's numbers. May ask a directory service: call it where it may block.
    pub fn of_user(uid: u32, gid: u32) -> Self {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let mut gids = vec![gid];
        if let Some(user) = &user
            && let Ok(name) = std::ffi::CString::new(user.name.as_str())
            && let Ok(groups) = nix::unistd::getgrouplist(&name, user.gid)
        {
            gids.extend(groups.into_iter().map(Gid::as_raw));
        }
        Self { uid, name: user.map_or_else(|| uid.to_string(), |user| user.name), gids }
    }

    /// The person as a cause.
    pub fn cause(&self) -> Cause {
        Cause::Person { uid: self.uid, name: self.name.clone() }
    }
}

/// A rule with its names made numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Resolved {
    role: Role,
    uids: Vec<u32>,
    gids: Vec<u32>,
}

/// The rules of the configuration, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    own_uid: u32,
    rules: Vec<Resolved>,
}

impl Access {
    /// Resolves the names of the configuration; those that nobody has are returned to be told.
    pub fn new(config: &Config, own_uid: u32) -> (Self, Vec<String>) {
        let mut unknown = Vec::new();
        let rules = config.access.iter().map(|rule| resolve(rule, &mut unknown)).collect();
        (Self { own_uid, rules }, unknown)
    }

    /// The highest role that a peer has; nothing where it has none. The agent's own user and root have all.
    pub fn role(&self, peer: &Peer) -> Option<Role> {
        if peer.uid == self.own_uid || peer.uid == 0 {
            return Some(Role::Approver);
        }
        let gives =
            |rule: &&Resolved| rule.uids.contains(&peer.uid) || rule.gids.iter().any(|gid| peer.gids.contains(gid));
        self.rules.iter().filter(gives).map(|rule| rule.role).max()
    }
}

fn resolve(rule: &AccessRule, unknown: &mut Vec<String>) -> Resolved {
    let AccessRule { role, users, groups } = rule;
    let mut number = |name: &String, found: Option<u32>, what: &str| {
        let id = name.parse().ok().or(found);
        if id.is_none() {
            unknown.push(format!("{what} {name}"));
        }
        id
    };
    let uid = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    let uids = users.iter().filter_map(|name| number(name, uid(name), "user")).collect();
    let gids = groups.iter().filter_map(|name| number(name, group_id(name), "group")).collect();
    Resolved { role: *role, uids, gids }
}

/// The id of a group by its name.
pub fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_the_highest_role_of_its_rules() {
        let rule = |role, uids: &[u32], gids: &[u32]| Resolved { role, uids: uids.into(), gids: gids.into() };
        let rules =
            vec![rule(Role::Viewer, &[], &[100]), rule(Role::Operator, &[7], &[]), rule(Role::Approver, &[], &[200])];
        let access = Access { own_uid: 1000, rules };
        let peer = |uid, gids: &[u32]| Peer { uid, name: uid.to_string(), gids: gids.into() };
        for (peer, role) in [
            (peer(1000, &[]), Some(Role::Approver)),
            (peer(0, &[]), Some(Role::Approver)),
            (peer(7, &[]), Some(Role::Operator)),
            (peer(7, &[100]), Some(Role::Operator)),
            (peer(8, &[100]), Some(Role::Viewer)),
            (peer(8, &[100, 200]), Some(Role::Approver)),
            (peer(8, &[300]), None),
        ] {
            assert_eq!(access.role(&peer), role, "{peer:?}");
        }
    }
}
