//! Credential programs: what a kubeconfig's `exec` names (`aws`, `gke-gcloud-auth-plugin`, `kubelogin`) hands out a token
//! or a certificate that lasts for some minutes.
//!
//! We run it ourselves and not through `kube`, which asks it three times for each client, never again for a certificate,
//! without end for one that hangs, and tells its output, where the token would be, when it fails. Never told here: what
//! it prints and the words that it is called with.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use kube::config::{Cluster, ExecAuthCluster, ExecConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use serde_json::json;

use quarterdeck_core::yaml;
use quarterdeck_system::program::{self, Limits, ProgramError};

/// A program that takes longer hangs; a token with many groups and a certificate with its chain are some KB.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), output_bytes: 1 << 20 };

/// The versions of the protocol that clients speak; there was a `v1alpha1` until Kubernetes 1.24.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// What a program handed out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credential {
    /// A bearer token.
    pub(super) token: Option<String>,
    /// PEM.
    pub(super) client_certificate_data: Option<String>,
    /// PEM.
    pub(super) client_key_data: Option<String>,
    /// When it ends; for ever, or until it is refused, where absent.
    #[serde(rename = "expirationTimestamp")]
    pub(super) until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Credential>,
}

/// Asks the program for a credential.
///
/// # Errors
/// In words: why it could not be run, how it failed, or what its answer lacks.
pub(super) async fn ask(exec: &ExecConfig, cluster: &Cluster) -> Result<Credential, String> {
    ask_within(LIMITS, exec, cluster).await
}

async fn ask_within(limits: Limits, exec: &ExecConfig, cluster: &Cluster) -> Result<Credential, String> {
    let Some(program) = exec.command.as_deref().filter(|command| !command.is_empty()) else {
        return Err("the exec entry of the kubeconfig names no command".to_owned());
    };
    let version = exec.api_version.as_deref().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        return Err(format!(
            "the credential program {program} is to speak {version:?}, and clients speak {} and v1beta1: renew the kubeconfig by the \
             tool that wrote it",
            VERSIONS[0]
        ));
    }
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten());
    let pairs = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    command.envs(pairs).env("KUBERNETES_EXEC_INFO", information(exec, version, cluster)?);
    // A daemon has nobody to ask: the program never gets the agent's terminal, and does not outlive its time.
    let output = match program::run_beside(command, Vec::new(), limits).await {
        Ok(output) => output,
        Err(ProgramError::Start(error)) => return Err(not_run(program, &error, exec.install_hint.as_deref())),
        Err(ProgramError::TooLong(time)) => {
            return Err(format!("the credential program {program} did not end within {} s", time.as_secs()));
        }
        Err(other) => return Err(format!("the credential program {program} failed: {other}")),
    };
    if !output.status.success() {
        let words = match output.stderr.trim() {
            "" => " and said nothing".to_owned(),
            words => format!(": {words}"),
        };
        return Err(format!("the credential program {program} failed with {}{words}", output.status));
    }
    read(&output.stdout).map_err(|lacks| {
        format!("the credential program {program} answered {lacks}; run it manually as the agent's user")
    })
}

fn not_run(program: &str, error: &std::io::Error, hint: Option<&str>) -> String {
    let why = match error.kind() {
        ErrorKind::NotFound if program.contains('/') => "does not exist".to_owned(),
        ErrorKind::NotFound => "is not in the agent's PATH".to_owned(),
        _ => format!("cannot be run: {error}"),
    };
    let hint = hint.map(|hint| format!("; its install hint: {}", hint.trim())).unwrap_or_default();
    format!("the credential program {program} {why}{hint}")
}

/// What it gets in `KUBERNETES_EXEC_INFO`.
fn information(exec: &ExecConfig, version: &str, cluster: &Cluster) -> Result<String, String> {
    let mut spec = json!({ "interactive": false });
    if exec.provide_cluster_info {
        let about = ExecAuthCluster::try_from(cluster).map_err(|error| error.to_string())?;
        spec["cluster"] = serde_json::to_value(about).map_err(|error| error.to_string())?;
    }
    Ok(json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec }).to_string())
}

/// JSON, or YAML as some programs print and kubectl takes. The error says what it is instead.
fn read(bytes: &[u8]) -> Result<Credential, &'static str> {
    let yaml = || {
        let document = yaml::parse(bytes).ok()?.into_iter().next()?;
        serde_json::from_value(document.value).ok()
    };
    let answer: Option<ExecCredential> = serde_json::from_slice(bytes).ok().or_else(yaml);
    let answer = answer.ok_or("something other than an ExecCredential")?;
    let status = answer.status.ok_or("an ExecCredential without a status")?;
    let is_some = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    match (is_some(&status.token), is_some(&status.client_certificate_data), is_some(&status.client_key_data)) {
        (_, true, false) | (_, false, true) => Err("half a certificate: it takes certificate and key"),
        (false, false, false) => Err("an ExecCredential with neither token nor certificate"),
        _ if !status.token.iter().all(|token| HeaderValue::from_str(token).is_ok()) => {
            Err("a token that no header can carry")
        }
        (_, true, true) if !is_pem(&status) => Err("a certificate or a key that is not PEM"),
        _ => Ok(status),
    }
}

fn is_pem(status: &Credential) -> bool {
    let bytes = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    CertificateDer::from_pem_slice(&bytes(&status.client_certificate_data)).is_ok()
        && PrivateKeyDer::from_pem_slice(&bytes(&status.client_key_data)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> ExecConfig {
        ExecConfig {
            api_version: Some(VERSIONS[1].to_owned()),
            command: Some("/bin/sh".to_owned()),
            args: Some(vec!["-c".to_owned(), script.to_owned(), "plugin".to_owned(), "--secret".to_owned()]),
            install_hint: Some("brew install it".to_owned()),
            provide_cluster_info: true,
            env: Some(vec![[("name", "WHO"), ("value", "ops")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()]),
            ..ExecConfig::default()
        }
    }

    async fn asked(exec: &ExecConfig) -> Result<Credential, String> {
        let cluster = Cluster { server: Some("https://far:6443".to_owned()), ..Cluster::default() };
        ask(exec, &cluster).await
    }

    #[tokio::test]
    async fn a_program_gets_its_surroundings_and_hands_out_a_token() {
        let script = r#"printf '{"status":{"token":"%s","expirationTimestamp":"2030-01-01T00:00:00Z"}}' "$WHO $(printf %s "$KUBERNETES_EXEC_INFO" | tr -d '{}\"')""#;
        let credential = asked(&program(script)).await.unwrap();
        let wanted = "ops apiVersion:client.authentication.k8s.io/v1beta1,kind:ExecCredential,spec:cluster:server:https://far:6443,interactive:false";
        assert_eq!(credential.token.unwrap(), wanted);
        assert_eq!(credential.until.unwrap().to_string(), "2030-01-01T00:00:00Z");
        let yaml = asked(&program("printf 'kind: ExecCredential\nstatus:\n  token: t\n'")).await.unwrap();
        assert_eq!((yaml.token.unwrap().as_str(), yaml.until), ("t", None));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_told_by_its_name() {
        let words = ask_within(
            Limits { time: Duration::from_secs(1), ..LIMITS },
            &program("sleep 600; true"),
            &Cluster::default(),
        )
        .await;
        assert_eq!(words.unwrap_err(), "the credential program /bin/sh did not end within 1 s");
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_program_is_told_without_its_output_and_arguments() {
        for (script, told) in [
            ("echo secret; echo no SSO session >&2; exit 3", "failed with exit status: 3: no SSO session"),
            ("echo secret", "answered something other than an ExecCredential; run it manually"),
            ("echo '{\"secret\": 1}'", "answered an ExecCredential without a status"),
            ("echo '{\"status\": {\"token\": \"\"}}'", "answered an ExecCredential with neither token nor certificate"),
            ("echo '{\"status\": {\"clientKeyData\": \"secret\"}}'", "answered half a certificate"),
            (
                "echo '{\"status\": {\"token\": \"secret\", \"expirationTimestamp\": \"x\"}}'",
                "other than an ExecCredential",
            ),
        ] {
            let words = asked(&program(script)).await.unwrap_err();
            assert!(words.starts_with("the credential program /bin/sh "), "{words}");
            assert!(words.contains(told) && !words.contains("secret"), "{words}");
        }
        let mut exec = program("");
        exec.command = Some("quarterdeck-no-such-plugin".to_owned());
        let words = asked(&exec).await.unwrap_err();
        assert!(words.ends_with("is not in the agent's PATH; its install hint: brew install it"), "{words}");
        exec.api_version = Some("client.authentication.k8s.io/v1alpha1".to_owned());
        assert!(asked(&exec).await.unwrap_err().contains("renew the kubeconfig"));
    }
}
