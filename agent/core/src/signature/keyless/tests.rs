//! What the real `cosign` 3.1.3 printed, and what is made of it.

use quarterdeck_shared::application::SbomFormat;

use super::*;

const DIGEST: &str = "sha256:8e785953e15340cad38bf7a9040b062c9b890aca9593c5026d48aa30e30b8dd6";

#[test]
fn a_trusted_root_says_what_is_asked_for() {
    let root = |parts: &[&str]| {
        let mut root = json!({ "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1" });
        parts.iter().for_each(|part| root[*part] = json!([{}]));
        TrustedRoot::read(root.to_string().as_bytes())
    };
    let authority = "certificateAuthorities";
    let options = |parts: &[&str]| root(parts).unwrap().options();
    assert_eq!(
        options(&[authority, "timestampAuthorities"]),
        ["--insecure-ignore-tlog=true", "--use-signed-timestamps=true", "--insecure-ignore-sct=true"]
    );
    assert_eq!(options(&[authority, "tlogs"]), ["--insecure-ignore-sct=true"]);
    assert!(options(&[authority, "tlogs", "ctlogs", "timestampAuthorities"]).is_empty(), "all of the public root");
    assert_eq!(root(&["tlogs"]), Err(UnfitRoot::NoAuthority));
    assert_eq!(root(&[authority, "ctlogs"]), Err(UnfitRoot::NoTime));
    for other in ["", "x", "{}", r#"{"mediaType":"application/json","tlogs":[{}]}"#] {
        assert_eq!(TrustedRoot::read(other.as_bytes()), Err(UnfitRoot::OtherType), "{other}");
    }
}

#[test]
fn a_token_says_whose_it_is_and_how_long_it_is_good() {
    let token = |claims: &str| format!("e30.{}.c2lnbmF0dXJl\n", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let read = IdentityToken::read(&token(r#"{"iss":"https://gitlab.example","exp":1796000000.5,"sub":"x"}"#)).unwrap();
    assert_eq!(read.issuer, "https://gitlab.example");
    assert_eq!(read.expires.as_second(), 1_796_000_000);
    for other in ["", "a.b.c", "glpat-4711", &token("{}"), &token(r#"{"iss":"a","exp":1e300}"#), &token("x")] {
        assert_eq!(IdentityToken::read(other), Err(NoToken), "{other}");
    }
}

#[test]
fn services_are_told_in_the_form_of_cosign() {
    let told = |timestamp, rekor| -> Value {
        serde_json::from_str(&signing_config("https://fulcio.example", timestamp, rekor)).unwrap()
    };
    let both = told(Some("https://tsa.example/api/v1/timestamp"), Some("https://rekor.example"));
    assert_eq!(both["caUrls"][0]["url"], "https://fulcio.example");
    assert_eq!(both["tsaUrls"][0]["url"], "https://tsa.example/api/v1/timestamp");
    assert_eq!(both["rekorTlogUrls"][0]["url"], "https://rekor.example");
    assert_eq!(
        (&both["tsaConfig"], &both["rekorTlogConfig"]),
        (&json!({"selector": "ANY"}), &json!({"selector": "ANY"}))
    );
    let one = told(Some("https://tsa.example"), None);
    assert!(one.get("rekorTlogUrls").is_none() && one.get("rekorTlogConfig").is_none());
}

#[test]
fn a_statement_that_is_no_signature_is_none() {
    let printed = |kind: &str, digest: &str| {
        let image = json!({ "docker-manifest-digest": digest });
        json!([{ "critical": { "image": image, "type": kind }, "optional": {} }]).to_string()
    };
    for (kind, digest, speaks) in [
        ("https://sigstore.dev/cosign/sign/v1", DIGEST, true),
        ("cosign container image signature", DIGEST, true),
        ("https://slsa.dev/provenance/v1", DIGEST, false),
        ("https://sigstore.dev/cosign/sign/v1", "sha256:1", false),
    ] {
        assert_eq!(speaks_of(format!("\n{}\n", printed(kind, digest)).as_bytes(), DIGEST), speaks, "{kind} {digest}");
    }
    assert!(!speaks_of(b"", DIGEST) && !speaks_of(b"[]", DIGEST));
}

#[test]
fn what_was_found_instead_is_told() {
    let of = "no matching attestations: failed to verify ";
    let san = "certificate identity: no matching CertificateIdentity found, last error: expected SAN value \"other@quarterdeck.test\", got \
               \"agent@quarterdeck.test\"";
    let issuer = "certificate identity: no matching CertificateIdentity found, last error: expected issuer value \"https://other\", got \
                  \"http://127.0.0.1:25600\"";
    for (said, found) in [
        ("no signatures found".to_owned(), Some("no signature was found")),
        (format!("{of}{san}"), Some("found a signature by agent@quarterdeck.test")),
        (format!("{of}{issuer}"), Some("found a signature by the same identity of the issuer http://127.0.0.1:25600")),
        (
            format!("{of}timestamps: threshold not met for verified signed timestamps: 0 < 1; error: %!w(<nil>)"),
            Some("found a signature without a timestamp that the trusted root can verify"),
        ),
        (
            format!("{of}log inclusion: not enough verified log entries from transparency log: 0 < 1"),
            Some("found a signature that is in no transparency log of the trusted root"),
        ),
        (
            format!("{of}leaf certificate: leaf certificate verification failed"),
            Some("found a signature whose certificate is not of the trusted root"),
        ),
        (format!("{of}signature: could not verify envelope"), Some("found a signature that is not valid")),
        ("Get \"https://127.0.0.1:25999/v2/\": dial tcp 127.0.0.1:25999: connect: connection refused".to_owned(), None),
    ] {
        assert_eq!(found_instead(&said, Wanted::Signature).as_deref(), found, "{said}");
    }
    let other = "none of the attestations matched the predicate type: cyclonedx, found: https://slsa.dev/provenance/v1";
    let found = found_instead(other, Wanted::Sbom(SbomFormat::Cyclonedx));
    assert_eq!(found.as_deref(), Some("no signed statement was found"));
    let long = format!("expected SAN value \"a\", got \"{}\"", "b".repeat(10_000));
    assert!(found_instead(&long, Wanted::Signature).unwrap().len() < 300);
}
