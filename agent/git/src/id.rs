//! The names git gives to objects, as gix has them.

use quarterdeck_core::git::{CommitId, ObjectId, TreeId};

/// The same id as gix has it.
pub(crate) trait GixId: Sized {
    fn from_gix(id: gix::ObjectId) -> Self;
    fn to_gix(&self) -> gix::ObjectId;
}

impl GixId for CommitId {
    fn from_gix(id: gix::ObjectId) -> Self {
        id.to_hex().to_string().parse().expect("gix prints an id as hexadecimal digits")
    }

    fn to_gix(&self) -> gix::ObjectId {
        gix::ObjectId::from_hex(self.as_str().as_bytes()).expect("made of checked hexadecimal digits only")
    }
}

macro_rules! id {
    ($name:ident) => {
        impl GixId for $name {
            fn from_gix(id: gix::ObjectId) -> Self {
                id.to_hex().to_string().parse().expect("gix prints an id as hexadecimal digits")
            }

            fn to_gix(&self) -> gix::ObjectId {
                gix::ObjectId::from_hex(self.as_str().as_bytes()).expect("made of checked hexadecimal digits only")
            }
        }
    };
}

id!(ObjectId);
id!(TreeId);
