//! Every way into a real cluster: kubeconfigs, tokens, credential programs, proxies, the agent's own pod, the least role.

mod files;
mod own_pod;
mod pod;
mod programs;
mod proxies;

use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use harness::real::{Parts, said};
use quarterdeck_kubernetes::{ApiProblem, Cluster, ClusterConfig};
use quarterdeck_shared::resource::ResourceRef;

use crate::{Telling, WORLD};

/// The role that users apply.
const ROLE: &str = include_str!("../../../agent/rbac.yaml");

/// A guest of the world: a namespace with an account of the least role, and a folder for kubeconfigs.
struct Guest {
    parts: Parts,
    namespace: String,
    folder: tempfile::TempDir,
}

impl Guest {
    /// Writes a file below the folder.
    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The cluster of a kubeconfig in the folder.
    fn cluster(&self, kubeconfig: &str) -> anyhow::Result<Cluster> {
        let mut config = ClusterConfig::named(Some("guest"));
        config.kubeconfig = Some(self.write("kubeconfig", kubeconfig)?);
        config.timeout_seconds = 10;
        Ok(Cluster::new(config))
    }

    /// A kubeconfig with these lines of a cluster and of a user.
    fn kubeconfig(&self, cluster: &str, user: &str) -> String {
        let cluster = cluster.replace("CA", &base64(&self.ca()));
        format!(
            "apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: guest\nclusters:\n- name: guest\n  cluster:\n{cluster}\n\
             contexts:\n- name: guest\n  context: {{cluster: guest, user: guest}}\nusers:\n- name: guest\n  user:\n{user}\n"
        )
    }

    /// The usual lines of a cluster.
    fn server(&self) -> String {
        format!("    server: {}\n    certificate-authority-data: CA", self.parts.get("KUBE_SERVER"))
    }

    /// The authority's certificate.
    fn ca(&self) -> String {
        std::fs::read_to_string(self.parts.get("KUBE_CA")).unwrap_or_default()
    }

    /// A token of the account.
    fn token(&self) -> anyhow::Result<String> {
        let token = self.parts.kubectl(&["create", "token", "quarterdeck", "--namespace", &self.namespace])?;
        Ok(token.trim().to_owned())
    }
}

/// Asks for something that only those may have who are known.
async fn enters(cluster: &Cluster, guest: &Guest) -> Result<(), ApiProblem> {
    let object = ResourceRef::new("", "ConfigMap", Some(&guest.namespace), "kube-root-ca.crt");
    cluster.live_yaml(&object, None).await.map(drop)
}

/// Tells a story of a guest; what was made in the world goes, whatever became of it.
async fn as_guest<S: AsyncFnOnce(&Guest) -> anyhow::Result<()>>(name: &str, story: S) -> anyhow::Result<()> {
    let _shared = WORLD.read().await;
    let telling = Telling::of::<S>();
    let parts = Parts::running()?;
    let namespace = format!("ways-{name}-{:x}", std::process::id());
    let guest = Guest { parts, namespace, folder: tempfile::tempdir()? };
    let told = match invite(&guest.parts, &guest.namespace, &guest.folder.path().join("rbac.yaml")) {
        Ok(()) => story(&guest).await,
        Err(error) => Err(error),
    };
    let cleared =
        guest.parts.kubectl(&["delete", "namespace", &guest.namespace, "--ignore-not-found", "--timeout=90s"]);
    telling.ends(told.and(cleared.map(drop)))
}

/// A namespace, and the account and the role in it. What of the role is the whole cluster's has the name of the guest, since
/// another guest is there at the same time.
fn invite(parts: &Parts, namespace: &str, file: &std::path::Path) -> anyhow::Result<()> {
    parts.kubectl(&["create", "namespace", namespace])?;
    let here = format!("namespace: {namespace}");
    let role = ROLE.replace("namespace: shop", &here).replace("namespace: quarterdeck", &here);
    std::fs::write(file, role.replace("quarterdeck-identity", &format!("{namespace}-identity")))?;
    parts.kubectl(&["apply", "--filename", &file.display().to_string()]).map(drop)
}

fn base64(text: &str) -> String {
    base64::prelude::BASE64_STANDARD.encode(text)
}

/// Another authority than the world's.
fn stranger(folder: &std::path::Path) -> anyhow::Result<String> {
    let (key, certificate) = (folder.join("stranger.key"), folder.join("stranger.crt"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj /CN=stranger".split(' '));
    said(openssl.arg("-keyout").arg(key).arg("-out").arg(&certificate))?;
    Ok(std::fs::read_to_string(certificate)?)
}
