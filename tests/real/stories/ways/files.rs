//! Kubeconfigs as tools write them, and what is told of those that do not do.

use anyhow::ensure;
use quarterdeck_agent::cluster::Class;

use super::*;

/// The administrator's certificate and key.
fn admin(guest: &Guest) -> anyhow::Result<(String, String)> {
    let pki = std::path::Path::new(guest.parts.get("WORLD_STATE")).join("pki");
    Ok((std::fs::read_to_string(pki.join("admin.crt"))?, std::fs::read_to_string(pki.join("admin.key"))?))
}

#[tokio::test]
async fn kubeconfigs_of_every_tool_lead_in() -> anyhow::Result<()> {
    as_guest("files", async |guest| {
        let (certificate, key) = admin(guest)?;
        let (ca, server) = (guest.ca(), guest.parts.get("KUBE_SERVER").to_owned());
        let inline = format!("    client-certificate-data: {}\n    client-key-data: {}", base64(&certificate), base64(&key));
        let extension = "    extensions:\n    - extension: {last-update: 'Thu, 18 Feb 2026 16:59:26 PST', provider: minikube.sigs.k8s.io, version: v1.37.0}\n      name: cluster_info";
        guest.write("minikube/ca.crt", &ca)?;
        guest.write("minikube/profiles/minikube/client.crt", &certificate)?;
        guest.write("minikube/profiles/minikube/client.key", &key)?;
        let by_file = "    client-certificate: minikube/profiles/minikube/client.crt\n    client-key: minikube/profiles/minikube/client.key";
        guest.write("token", &format!("{}\n", guest.token()?))?;
        let token = format!("    token: {}", guest.token()?);
        for (who, cluster, user) in [
            ("kubeadm, kind", guest.server(), inline.clone()),
            ("minikube", format!("    certificate-authority: minikube/ca.crt\n    server: {server}\n{extension}"), by_file.to_owned()),
            ("Docker Desktop, untrusted", format!("    insecure-skip-tls-verify: true\n    server: {server}"), inline.clone()),
            ("Docker Desktop, another name", format!("{}\n    tls-server-name: kubernetes.default", guest.server()), inline),
            ("a token", guest.server(), token),
            ("a token file with its line feed", guest.server(), "    token: old\n    tokenFile: token".to_owned()),
        ] {
            let cluster = guest.cluster(&guest.kubeconfig(&cluster, &user))?;
            enters(&cluster, guest).await.with_context(|| who.to_owned())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_context_of_several_is_meant() -> anyhow::Result<()> {
    as_guest("contexts", async |guest| {
        let token = guest.token()?;
        let text = guest.kubeconfig(&guest.server(), &format!("    token: {token}"));
        let text = text.replace("current-context: guest", "current-context: away").replace(
            "contexts:\n",
            "- name: away\n  cluster: {server: 'https://127.0.0.1:9'}\ncontexts:\n- {name: away, context: {cluster: away, user: guest}}\n",
        );
        let file = guest.write("several", &text)?;
        let config = |name: &str, context: Option<&str>| {
            let mut config = ClusterConfig::named(Some(name));
            config.kubeconfig = Some(file.clone());
            config.context = context.map(str::to_owned);
            Cluster::new(config)
        };
        enters(&config("prod", Some("guest")), guest).await.context("the context that is named")?;
        enters(&config("guest", None), guest).await.context("the context that is called like the cluster")?;
        let current = enters(&config("prod", None), guest).await;
        ensure!(current.as_ref().is_err_and(|problem| problem.class == Class::Away), "the current context: {current:?}");
        let typo = enters(&config("prod", Some("gest")), guest).await.err().context("no such context")?;
        ensure!(typo.to_string().ends_with("no context \"gest\"; set context in [[cluster]] to one of away, guest"), "{typo}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why() -> anyhow::Result<()> {
    as_guest("strangers", async |guest| {
        let stranger = stranger(guest.folder.path())?;
        let token = format!("    token: {}", guest.token()?);
        let server = |ca: &str| guest.server().replace("CA", &base64(ca));
        for (what, cluster, user, class, words) in [
            ("another authority", server(&stranger), token.clone(), Class::Untrusted, "invalid peer certificate"),
            ("no authority", server("none"), token.clone(), Class::Configuration, "holds no certificate in PEM"),
            ("no token", guest.server(), "    token: secret-4711".to_owned(), Class::Unauthorized, "Unauthorized"),
            ("nobody", guest.server(), "    {}".to_owned(), Class::Forbidden, "User \"system:anonymous\" cannot"),
            (
                "a file that is not there",
                guest.server(),
                "    tokenFile: nothing".to_owned(),
                Class::Configuration,
                "cannot read the token file",
            ),
            (
                "what Kubernetes gave up",
                guest.server(),
                "    auth-provider: {name: gcp}".to_owned(),
                Class::Configuration,
                "auth-provider gcp",
            ),
        ] {
            let cluster = guest.cluster(&guest.kubeconfig(&cluster, &user))?;
            let problem = enters(&cluster, guest).await.err().with_context(|| format!("{what} was let in"))?;
            ensure!(
                problem.class == class && problem.to_string().contains(words),
                "{what}: {:?} {problem}",
                problem.class
            );
            ensure!(!problem.hint().is_empty() && !problem.to_string().contains("4711"), "{what}: {problem}");
        }
        Ok(())
    })
    .await
}
