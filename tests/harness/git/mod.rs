//! Git for tests: real repositories made by the real git program, served over a path, http and ssh.
//!
//! ```text
//! let forge = Forge::start().await;             a folder of bare repositories, behind http (and ssh, see below)
//! let shop = forge.repo("ops/shop");            made on first use
//! let commit = shop.change("main").write("Dockerfile", "FROM scratch\n").commit("first");
//! shop.tag("build-1.4.0", &commit);
//! agent polls shop.path() | forge.http("ops/shop") | forge.ssh("ops/shop") with forge.ssh_program()
//! ```
//!
//! What is real: every object, ref, pack, hook and word of protocol, because git itself serves them (`upload-pack`,
//! `receive-pack`, `http-backend`). What stands in: the http server in front of `http-backend` ([`http`]), with logins and
//! faults to switch on; and the `ssh` program ([`ssh`]), which has no encryption, no keys and no host keys: it runs what a
//! real ssh would run on the far side, or says what a real ssh says when it fails. A key with a forced command is another such
//! program ([`key`]).

mod change;
mod http;
mod key;
mod repo;
mod signer;
mod ssh;

pub use change::Change;
pub use http::{Counted, Fault};
pub use key::{CLIENT, SshKey, write_program};
pub use repo::Repo;
pub use signer::Signer;
pub use ssh::SshFault;

use std::path::{Path, PathBuf};

use self::http::HttpGate;
use self::ssh::SshDoor;
use crate::tls::Certificate;

/// A folder of repositories and the ways in.
pub struct Forge {
    folder: tempfile::TempDir,
    http: HttpGate,
    ssh: SshDoor,
}

impl Forge {
    /// An empty forge, reachable by path, by http on a loopback port, and by ssh through its own program.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("forge-").tempdir()?;
        let root = folder.path().join("repositories");
        std::fs::create_dir(&root)?;
        let http = HttpGate::start(root.clone()).await?;
        let ssh = SshDoor::make(folder.path().join("ssh"), &root)?;
        Ok(Self { folder, http, ssh })
    }

    /// The repository `name` (`ops/shop`), made empty on first use.
    pub fn repo(&self, name: &str) -> Repo {
        Repo::open_or_init(self.path(name))
    }

    /// Where a repository is on disk: an address by path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("repositories").join(format!("{name}.git"))
    }

    /// The http address of a repository: `http://127.0.0.1:PORT/ops/shop.git`.
    pub fn http(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.http.address())
    }

    /// The same over TLS, once the forge has a certificate: `https://127.0.0.1:PORT/ops/shop.git`.
    pub fn https(&self, name: &str) -> String {
        format!("https://{}/{name}.git", self.http.address())
    }

    /// Shows this certificate from now on, to connections that begin anew.
    pub async fn secure(&self, certificate: &Certificate) -> anyhow::Result<()> {
        self.http.secure(certificate).await
    }

    /// The ssh address of a repository. It is reached by [`Forge::ssh_program`] only.
    pub fn ssh(&self, name: &str) -> String {
        format!("ssh://git@forge.test/{name}.git")
    }

    /// The program to run as ssh.
    pub fn ssh_program(&self) -> &Path {
        self.ssh.program()
    }

    /// From now on http asks for this user name and password; any user name if it is empty, as forges do for tokens.
    pub fn require_login(&self, user: &str, password: &str) {
        self.http.require(user, password);
    }

    /// Takes this password too, beside that of [`Forge::require_login`].
    pub fn let_in(&self, password: &str) {
        self.http.let_in(password);
    }

    /// How many bytes of bodies went over http, in both directions, errors of the stand-in's own aside.
    pub fn http_bytes(&self) -> u64 {
        self.http.bytes()
    }

    /// What the next http requests meet; [`Fault::None`] ends it.
    pub fn http_fault(&self, fault: Fault) {
        self.http.fault(fault);
    }

    /// What the next ssh sessions meet; [`SshFault::None`] ends it.
    pub fn ssh_fault(&self, fault: SshFault) {
        self.ssh.fault(fault);
    }

    /// How many http requests came, by what they asked for. Those that a fault met count as well.
    pub fn http_count(&self, counted: Counted) -> usize {
        self.http.count(counted)
    }

    /// How many ssh sessions were begun.
    pub fn ssh_count(&self) -> usize {
        self.ssh.count()
    }

    /// Stops listening on http and cuts every connection.
    pub async fn http_away(&self) {
        self.http.away().await;
    }

    /// Listens again at the same address.
    pub async fn http_back(&self) -> anyhow::Result<()> {
        self.http.back().await
    }
}
