//! The programs that sign, and list what is signed.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// Signs.
    Cosign,
    /// Lists what is in an image.
    Syft,
}

impl ProgramKind {
    /// The name of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosign => "cosign",
            Self::Syft => "syft",
        }
    }
}
