//! Signatures in each form, and what is close to one.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HEX: &str = "99e5f8954498ec03edc5f143d40476fcf534eeb5546a56be1ecc699e4f67b01c";
const SPDX: Wanted = Wanted::Sbom(SbomFormat::Spdx);

fn digest() -> String {
    format!("sha256:{HEX}")
}

fn payload(kind: &str, digest: &str) -> Vec<u8> {
    let image = json!({ "docker-manifest-digest": digest });
    let identity = json!({ "docker-reference": "registry.example/ops/shop" });
    json!({ "critical": { "identity": identity, "image": image, "type": kind }, "optional": null })
        .to_string()
        .into_bytes()
}

fn statement(predicate: &str, hex: &str) -> Value {
    let subject = json!([{ "name": "a", "digest": { "sha256": "00" } }, { "digest": { "sha256": hex } }]);
    json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "subject": subject, "predicate": { "name": "a list" } })
}

fn envelope(statement: &Value) -> Value {
    let payload = BASE64_STANDARD.encode(statement.to_string());
    json!({ "payload": payload, "payloadType": STATEMENT_TYPE, "signatures": [{ "sig": "c2ln" }] })
}

fn bundle(envelope: &Value) -> Vec<u8> {
    let material = json!({ "publicKey": { "hint": "aGludA==" } });
    json!({ "verificationMaterial": material, "dsseEnvelope": envelope }).to_string().into_bytes()
}

#[test]
fn a_payload_is_one_of_this_image_or_none() {
    let right = payload(PAYLOAD_TYPE, &digest());
    let claim = of_payload(&right, "c2ln", Signer::Unknown, &digest()).unwrap();
    assert_eq!(claim.signed, Signed::Bytes(right.clone()), "byte for byte: the signature is of them");
    assert_eq!(claim.signatures, [b"sig"]);
    for (bytes, signature, why) in [
        (&right[..right.len() - 2], "c2ln", Unfit::Json("payload")),
        (b"".as_slice(), "c2ln", Unfit::Json("payload")),
        (b"{}", "c2ln", Unfit::Json("payload")),
        (&right, "c2l", Unfit::Base64("signature")),
        (&right, "", Unfit::Empty),
        (&payload(PAYLOAD_TYPE, &digest().replace("99", "98")), "c2ln", Unfit::OtherImage),
        (&payload("atomic container signature", &digest()), "c2ln", Unfit::OtherType("payload")),
    ] {
        assert_eq!(of_payload(bytes, signature, Signer::Unknown, &digest()), Err(why));
    }
}

#[test]
fn a_bundle_is_one_of_this_image_or_none() {
    let signs = statement(SIGN_PREDICATE, HEX);
    let claim = of_bundle(&bundle(&envelope(&signs)), Wanted::Signature, &digest()).unwrap().unwrap();
    let text = signs.to_string();
    let signed = format!("DSSEv1 28 application/vnd.in-toto+json {} {text}", text.len());
    assert_eq!(claim.signed, Signed::Bytes(signed.into_bytes()));
    assert_eq!((claim.by, &*claim.signatures[0]), (Signer::Key("aGludA==".to_owned()), &b"sig"[..]));

    let with = |key: &str, value: Value| {
        let mut envelope = envelope(&signs);
        envelope[key] = value;
        bundle(&envelope)
    };
    let old = json!({ "_type": "https://example/Statement", "predicateType": SIGN_PREDICATE });
    for (bytes, why) in [
        (bundle(&envelope(&statement(SIGN_PREDICATE, "00ff"))), Unfit::OtherImage),
        (bundle(&envelope(&old)), Unfit::OtherType("statement")),
        (with("payloadType", json!("text/plain")), Unfit::OtherType("envelope")),
        (with("payload", json!("c2l")), Unfit::Base64("payload")),
        (with("payload", json!("c2ln")), Unfit::Json("statement")),
        (with("signatures", json!([])), Unfit::Empty),
        (with("signatures", json!([{ "sig": "?" }])), Unfit::Base64("signature")),
        (b"{}".to_vec(), Unfit::Empty),
        (b"[".to_vec(), Unfit::Json("bundle")),
    ] {
        assert_eq!(of_bundle(&bytes, Wanted::Signature, &digest()), Err(why));
    }
}

/// A key that signs a list of what is in an image does not say that the image may run.
#[test]
fn a_list_of_parts_is_no_signature_and_a_signature_no_list() {
    let list = statement("https://spdx.dev/Document", HEX);
    assert_eq!(of_bundle(&bundle(&envelope(&list)), Wanted::Signature, &digest()), Ok(None));
    assert!(of_bundle(&bundle(&envelope(&list)), SPDX, &digest()).unwrap().is_some());
    let claim = of_envelope(envelope(&list).to_string().as_bytes(), SPDX, &digest()).unwrap().unwrap();
    assert_eq!(claim.predicate(), Some(json!({ "name": "a list" })));
    let signature = of_payload(&payload(PAYLOAD_TYPE, &digest()), "c2ln", Signer::Unknown, &digest()).unwrap();
    assert_eq!(signature.predicate(), None);
    let signs = envelope(&statement(SIGN_PREDICATE, HEX));
    assert_eq!(of_bundle(&bundle(&signs), SPDX, &digest()), Ok(None));
    assert_eq!(Wanted::Signature.tag(&digest()), format!("sha256-{HEX}.sig"));
    assert_eq!(SPDX.tag(&digest()), format!("sha256-{HEX}.att"));
}

#[test]
fn a_signature_of_the_manifest_is_known_by_its_digest() {
    let signature = |algorithm: &str, sha256: &[u8]| {
        let digest = json!({ "algorithm": algorithm, "digest": BASE64_STANDARD.encode(sha256) });
        json!({ "messageSignature": { "messageDigest": digest, "signature": "c2ln" } }).to_string().into_bytes()
    };
    let sha256: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&HEX[2 * at..2 * at + 2], 16).unwrap()).collect();
    let claim = of_bundle(&signature("SHA2_256", &sha256), Wanted::Signature, &digest()).unwrap().unwrap();
    assert_eq!((claim.signed, claim.by), (Signed::Sha256(sha256.clone()), Signer::Certificate));
    assert_eq!(of_bundle(&signature("SHA2_256", &sha256), SPDX, &digest()), Ok(None));
    for (bytes, why) in
        [(signature("SHA2_256", b"other"), Unfit::OtherImage), (signature("SHA1", &sha256), Unfit::OtherType("digest"))]
    {
        assert_eq!(of_bundle(&bytes, Wanted::Signature, &digest()), Err(why));
    }
}

#[test]
fn who_signed_is_named_once_and_else_what_was_found() {
    let by = |name: &str| Found::By(name.to_owned());
    let other = |hint: &str| Found::Other(Signer::Key(hint.to_owned()));
    let unfit = || Found::Unfit(Unfit::OtherImage);
    assert_eq!(judge(&[unfit(), by("b.pub"), by("a.pub"), by("b.pub")]), Ok(vec!["b.pub".into(), "a.pub".into()]));
    for (found, text) in [
        (vec![], "no signature was found"),
        (vec![other("aGludA==")], "found a signature by the unknown key aGludA=="),
        (vec![other("a\u{1b}[31m"), Found::Other(Signer::Unknown)], "found a signature by an unknown key"),
        (
            vec![Found::Other(Signer::Certificate), unfit()],
            "found a signature by a certificate instead of a key, an invalid signature (it is of another image)",
        ),
        (
            (0..5).map(|n| other(&format!("k{n}"))).collect(),
            "found a signature by the unknown key k0, a signature by the unknown key k1, a signature by the unknown key k2, \
             and 2 more",
        ),
    ] {
        assert_eq!(judge(&found), Err(text.to_owned()));
    }
}

proptest! {
    /// Whatever a registry answers: no claim speaks of another image than the one that was asked for.
    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
        let _ = of_payload(&bytes, "c2ln", Signer::Unknown, &digest());
        let _ = of_bundle(&bytes, Wanted::Signature, &digest());
        let whole = bundle(&envelope(&statement(SIGN_PREDICATE, HEX)));
        let part = &whole[..cut.min(whole.len())];
        prop_assert_eq!(of_bundle(part, Wanted::Signature, &digest()).is_ok(), part.len() == whole.len());
    }

    #[test]
    fn another_digest_is_never_claimed(other in "[0-9a-f]{64}") {
        prop_assume!(other != HEX);
        let signs = bundle(&envelope(&statement(SIGN_PREDICATE, &other)));
        prop_assert_eq!(of_bundle(&signs, Wanted::Signature, &digest()), Err(Unfit::OtherImage));
        let pays = payload(PAYLOAD_TYPE, &format!("sha256:{other}"));
        prop_assert_eq!(of_payload(&pays, "c2ln", Signer::Unknown, &digest()), Err(Unfit::OtherImage));
    }
}
