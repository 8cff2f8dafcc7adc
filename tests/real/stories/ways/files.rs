//! Kubeconfigs as tools write them, and what is told of those that do not do.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use harness::agent::Agent;
use quarterdeck_kubernetes::Class;
use quarterdeck_shared::protocol::State;
use quarterdeck_shared::snapshot::{ConnectionKind, Object};

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

/// Each tool names contexts in its own way and writes a file of its own. One agent finds them all in `$KUBECONFIG`, as
/// kubectl does, by names alone.
#[tokio::test]
async fn the_names_that_tools_write_are_found_in_a_list_of_files() -> anyhow::Result<()> {
    as_guest("names", async |guest| {
        let (certificate, key) = admin(guest)?;
        let inline = format!(
            "    client-certificate-data: {}\n    client-key-data: {}",
            base64(&certificate),
            base64(&key)
        );
        let token = guest.token()?;
        let credential = format!(
            "#!/bin/sh\nprintf '{{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"%s\"}}}}' '{token}'\n"
        );
        for program in ["aws", "gke-gcloud-auth-plugin", "kubelogin"] {
            use std::os::unix::fs::PermissionsExt as _;
            let path = guest.write(&format!("bin/{program}"), &credential)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
        }
        let program = |lines: &str| format!("    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n{lines}");
        let aws = "      command: aws\n      args: [--region, eu-central-1, eks, get-token, --cluster-name, shop, --output, json]\n      env: null\n      interactiveMode: IfAvailable\n      provideClusterInfo: false";
        let gke = "      command: gke-gcloud-auth-plugin\n      installHint: Install gke-gcloud-auth-plugin for use with kubectl\n      provideClusterInfo: true";
        let aks = "      command: kubelogin\n      args: [get-token, --environment, AzurePublicCloud, --login, devicecode]\n      installHint: https://aka.ms/aks\n      provideClusterInfo: false";
        // The names of context, cluster and user.
        let written = [
            (["kubernetes-admin@kubernetes", "kubernetes", "kubernetes-admin"], inline.clone()),
            (["kind-kind"; 3], inline.clone()),
            (["minikube"; 3], inline.clone()),
            (["docker-desktop"; 3], inline.clone()),
            (["arn:aws:eks:eu-central-1:111122223333:cluster/shop"; 3], program(aws)),
            (["gke_my-project_europe-west3-a_shop"; 3], program(gke)),
            (["shop-aks", "shop-aks", "clusterUser_shop-group_shop-aks"], program(aks)),
            (["shop-aks-admin", "shop-aks", "clusterAdmin_shop-group_shop-aks"], inline),
        ];
        let mut list = vec![guest.folder.path().join("not-there")];
        let mut applications = String::new();
        for (number, ([context, cluster, user], lines)) in written.iter().enumerate() {
            let text = guest.kubeconfig(&guest.server(), lines);
            let text = text
                .replace("- name: guest\n  cluster:", &format!("- name: {cluster}\n  cluster:"))
                .replace("- name: guest\n  context: {cluster: guest, user: guest}", &format!("- name: {context}\n  context: {{cluster: '{cluster}', user: '{user}'}}"))
                .replace("- name: guest\n  user:", &format!("- name: {user}\n  user:"))
                .replace("current-context: guest", &format!("current-context: {context}"));
            list.push(guest.write(&format!("tools/{number}"), &text)?);
            applications += &format!(
                "[[application]]\nname = \"shop-{number}\"\n[[application.environment]]\nname = \"prod\"\nrepository = \"nothing\"\ncluster = \"{context}\"\nnamespace = \"{}\"\n",
                guest.namespace
            );
        }
        let mut agent = Agent::new(crate::program(), Duration::from_secs(60))?;
        agent.set("KUBECONFIG", std::env::join_paths(&list)?.into());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([guest.folder.path().join("bin")].into_iter().chain(std::env::split_paths(&path)))?;
        agent.set("PATH", path.into());
        let (data, socket) = (agent.path("data"), agent.socket());
        agent.configure(&format!(
            "[agent]\ndata_dir = \"{}\"\nsocket = \"{}\"\n{applications}",
            data.display(),
            socket.display()
        ))?;
        agent.start_agent().await?;
        let reached = |state: &State| {
            let clusters = state.objects.values().filter_map(|object| match object {
                Object::Connection(c) if c.to == ConnectionKind::Cluster && c.reachable => Some(c.name.to_string()),
                _ => None,
            });
            let reached: BTreeSet<String> = clusters.collect();
            written.iter().all(|([context, ..], _)| reached.contains(*context)).then_some(reached)
        };
        let reached = agent.wait("every cluster to be reached", reached).await?;
        ensure!(reached.len() == written.len(), "others were reached: {reached:?}");
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
            (
                "another authority",
                server(&stranger),
                token.clone(),
                Class::Untrusted,
                "it is signed by an unknown authority",
            ),
            ("no authority", server("none"), token.clone(), Class::Configuration, "holds no certificate in PEM"),
            ("no token", guest.server(), "    token: secret-4711".to_owned(), Class::Unauthorized, "Unauthorized"),
            ("nobody", guest.server(), "    {}".to_owned(), Class::Forbidden, "User \"system:anonymous\" cannot"),
            (
                "a file that is not there",
                guest.server(),
                "    tokenFile: nothing".to_owned(),
                Class::Configuration,
                "no token to log in with: the file",
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
            ensure!(!problem.hint.is_empty() && !problem.to_string().contains("4711"), "{what}: {problem}");
        }
        Ok(())
    })
    .await
}
