//! Credential programs as EKS, GKE and AKS use them: asked before what they hand out ends, and told of when they fail.

use std::time::{Duration, Instant};

use anyhow::ensure;
use quarterdeck_kubernetes::Class;

use super::*;

/// Lives no longer than this, so that a story sees it renewed.
const SECONDS: u64 = 4;

/// Hands out tokens of the guest's account by kubectl, and notes what it was asked with.
fn program(guest: &Guest, version: &str) -> String {
    format!(
        "#!/bin/sh\n\
         [ -e \"$FOLDER/fails\" ] && {{ echo 'half a secret'; echo 'the SSO session has ended: aws sso login' >&2; exit 255; }}\n\
         echo \"$1 $KUBERNETES_EXEC_INFO\" >>\"$FOLDER/asked\"\n\
         token=$('{bin}/kubectl' --kubeconfig '{kubeconfig}' create token quarterdeck --namespace {namespace}) || exit\n\
         until=$(date --utc --date '+{SECONDS} seconds' +%FT%TZ)\n\
         printf '{{\"apiVersion\":\"client.authentication.k8s.io/{version}\",\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"%s\",\"expirationTimestamp\":\"%s\"}}}}' \"$token\" \"$until\"\n",
        bin = guest.parts.get("WORLD_BIN"),
        kubeconfig = guest.parts.get("KUBECONFIG"),
        namespace = guest.namespace,
    )
}

fn user(guest: &Guest, version: &str, command: &str, more: &str) -> String {
    format!(
        "    exec:\n      apiVersion: client.authentication.k8s.io/{version}\n      command: {command}\n      interactiveMode: IfAvailable\n      \
         env:\n      - {{name: FOLDER, value: '{}'}}\n{more}",
        guest.folder.path().display()
    )
}

/// Lines that the program noted.
fn asked(guest: &Guest) -> String {
    std::fs::read_to_string(guest.folder.path().join("asked")).unwrap_or_default()
}

async fn until(what: &str, mut seen: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !seen().await {
        ensure!(started.elapsed() < Duration::from_secs(60), "waited for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_program_is_asked_again_before_its_token_ends() -> anyhow::Result<()> {
    as_guest("programs", async |guest| {
        guest.write("token.sh", &program(guest, "v1beta1"))?;
        let more = "      args: [token.sh, eks get-token]\n      provideClusterInfo: true";
        let more = more.replace("token.sh", &guest.folder.path().join("token.sh").display().to_string());
        let cluster = guest.cluster(&guest.kubeconfig(&guest.server(), &user(guest, "v1beta1", "/bin/sh", &more)))?;
        for _ in 0..3 {
            enters(&cluster, guest).await?;
        }
        let first = asked(guest);
        ensure!(first.lines().count() == 1, "asked once for all:\n{first}");
        for part in ["eks get-token {", "client.authentication.k8s.io/v1beta1", "\"interactive\":false", guest.parts.get("KUBE_SERVER")] {
            ensure!(first.contains(part), "{part} is not in {first}");
        }
        until("another token", async || enters(&cluster, guest).await.is_ok() && asked(guest).lines().count() > 1).await?;

        // It fails while its last token is good, then for good; then it is mended.
        guest.write("fails", "")?;
        enters(&cluster, guest).await.context("the last token is good for a while")?;
        let mut problem = None;
        until("the failure", async || {
            problem = enters(&cluster, guest).await.err();
            problem.is_some()
        })
        .await?;
        let told = problem.map(|problem| (problem.class, problem.to_string())).unwrap_or((Class::Other, String::new()));
        let words = "connect to cluster guest: the credential program /bin/sh failed with exit status: 255: the SSO session has ended: aws sso login";
        ensure!(told.0 == Class::Configuration && told.1.ends_with(words), "{told:?}");
        std::fs::remove_file(guest.folder.path().join("fails"))?;
        until("the way back", async || enters(&cluster, guest).await.is_ok()).await
    })
    .await
}

/// Each token is bound to a Secret of its own, and ends with it, whatever date it has.
#[tokio::test]
async fn a_program_is_asked_again_when_its_token_is_good_no_more() -> anyhow::Result<()> {
    as_guest("bound", async |guest| {
        let script = format!(
            "kubectl() {{ '{bin}/kubectl' --kubeconfig '{kubeconfig}' --namespace {namespace} \"$@\"; }}\n\
             echo asked >>\"$FOLDER/asked\"\n\
             secret=session-$(wc -l <\"$FOLDER/asked\")\n\
             kubectl create secret generic $secret >&2 || exit\n\
             token=$(kubectl create token quarterdeck --bound-object-kind Secret --bound-object-name $secret) || exit\n\
             printf '{{\"status\":{{\"token\":\"%s\",\"expirationTimestamp\":\"%s\"}}}}' \"$token\" \"$(date --utc --date '+1 hour' +%FT%TZ)\"\n",
            bin = guest.parts.get("WORLD_BIN"),
            kubeconfig = guest.parts.get("KUBECONFIG"),
            namespace = guest.namespace,
        );
        let script = guest.write("token.sh", &script)?;
        let more = format!("      args: ['{}']", script.display());
        let cluster = guest.cluster(&guest.kubeconfig(&guest.server(), &user(guest, "v1", "/bin/sh", &more)))?;
        enters(&cluster, guest).await?;
        enters(&cluster, guest).await?;
        ensure!(asked(guest).lines().count() == 1, "asked once for an hour:\n{}", asked(guest));

        guest.parts.kubectl(&["delete", "secret", "session-1", "--namespace", &guest.namespace])?;
        let mut refused = None;
        let again = async || match enters(&cluster, guest).await {
            Ok(()) => asked(guest).lines().count() == 2,
            Err(problem) => {
                refused = Some(problem);
                false
            }
        };
        until("another token", again).await?;
        // Nobody may have asked while it was refused; who did was told so.
        let unauthorized = refused.as_ref().is_none_or(|problem| problem.class == Class::Unauthorized);
        ensure!(unauthorized, "it was told as {refused:?}");
        for _ in 0..3 {
            enters(&cluster, guest).await.context("the other token is good")?;
        }
        ensure!(asked(guest).lines().count() == 2, "asked once more:\n{}", asked(guest));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn programs_beside_the_kubeconfig_and_certificates_do() -> anyhow::Result<()> {
    as_guest("beside", async |guest| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = guest.write("bin/kubelogin", &program(guest, "v1"))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
        let cluster = guest.cluster(&guest.kubeconfig(&guest.server(), &user(guest, "v1", "./bin/kubelogin", "")))?;
        enters(&cluster, guest).await.context("a program that the kubeconfig names from its folder")?;

        let pki = format!("{}/pki", guest.parts.get("WORLD_STATE"));
        let line = |name: &str| format!("\"$(awk '{{printf \"%s\\\\n\", $0}}' {pki}/{name})\"");
        let script = format!(
            "printf '{{\"status\":{{\"clientCertificateData\":\"%s\",\"clientKeyData\":\"%s\"}}}}' {} {}\n",
            line("admin.crt"),
            line("admin.key")
        );
        let script = guest.write("certificate.sh", &script)?;
        let more = format!("      args: ['{}']", script.display());
        let cluster = guest.cluster(&guest.kubeconfig(&guest.server(), &user(guest, "v1", "/bin/sh", &more)))?;
        enters(&cluster, guest).await.context("a certificate")?;

        for (command, more, words) in [
            (
                "gke-gcloud-auth-plugin-of-nobody",
                "      installHint: gcloud components install gke-gcloud-auth-plugin",
                "is not in the agent's PATH; its install hint: gcloud components install gke-gcloud-auth-plugin",
            ),
            (
                "/bin/echo",
                "      args: [half, a, secret]",
                "answered something other than an ExecCredential; run it manually",
            ),
        ] {
            let cluster = guest.cluster(&guest.kubeconfig(&guest.server(), &user(guest, "v1", command, more)))?;
            let problem = enters(&cluster, guest).await.err().context("a bad program leads in")?.to_string();
            ensure!(problem.contains(words) && !problem.contains("secret"), "{problem}");
        }
        Ok(())
    })
    .await
}
