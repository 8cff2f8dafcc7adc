//! What the real `cosign` wrote, v2.6.5 (`.sig`, `.payload.json`, `.sbom.json`) and v3.1.3 (`.bundle.json`), of an image with its
//! digest: verified by the key that made it and by no other.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use quarterdeck_core::signature::{Signer, Wanted, judge, of_bundle, of_envelope, of_payload};
use quarterdeck_shared::application::SbomFormat;
use sha2::Digest as _;

use super::*;

const DIGEST: &str = "sha256:99e5f8954498ec03edc5f143d40476fcf534eeb5546a56be1ecc699e4f67b01c";
const KINDS: [&str; 2] = ["p256", "rsa"];

/// Keys of which there are bundles alone, of another image: `cosign verify` of the same version does not accept what it signed with these.
const BUNDLED: [&str; 2] = ["p384", "ed25519"];
const BUNDLED_DIGEST: &str = "sha256:8e785953e15340cad38bf7a9040b062c9b890aca9593c5026d48aa30e30b8dd6";

fn recorded(kind: &str, what: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/registry/signature/recorded");
    std::fs::read(folder.join(format!("{kind}.{what}"))).unwrap()
}

fn key(kind: &str) -> PublicKey {
    PublicKey::parse(&format!("{kind}.pub"), &recorded(kind, "pub")).unwrap()
}

/// Each form in which this key signed the image.
fn claims(kind: &str) -> [Claim; 3] {
    let signature = String::from_utf8(recorded(kind, "sig")).unwrap();
    let payload = of_payload(&recorded(kind, "payload.json"), &signature, Signer::Unknown, DIGEST).unwrap();
    let bundle = of_bundle(&recorded(kind, "bundle.json"), Wanted::Signature, DIGEST).unwrap().unwrap();
    let spdx = Wanted::Sbom(SbomFormat::Spdx);
    [payload, bundle, of_envelope(&recorded(kind, "sbom.json"), spdx, DIGEST).unwrap().unwrap()]
}

#[test]
fn what_cosign_signed_is_verified_by_its_key_and_by_no_other() {
    let keys = KINDS.map(key);
    for kind in KINDS {
        for claim in claims(kind) {
            let name = format!("{kind}.pub");
            assert_eq!(judge(&verify(vec![Ok(claim.clone())], &keys)), Ok(vec![name.clone()]));
            let others: Vec<_> = keys.iter().filter(|key| key.name() != name).cloned().collect();
            assert_eq!(verify(vec![Ok(claim.clone())], &others), [Found::Other(claim.by.clone())]);

            let mut changed = claim.clone();
            let Signed::Bytes(bytes) = &mut changed.signed else { panic!("{claim:?}") };
            *bytes.last_mut().unwrap() ^= 1;
            assert_eq!(verify(vec![Ok(changed)], &keys), [Found::Other(claim.by.clone())], "one bit of {kind}");
            let mut broken = claim;
            broken.signatures[0].truncate(8);
            assert!(judge(&verify(vec![Ok(broken)], &keys)).is_err());
        }
    }
}

#[test]
fn what_a_key_of_a_rarer_kind_signed_is_verified_by_it_and_by_no_other() {
    let keys = BUNDLED.map(key);
    for kind in BUNDLED {
        let read = |digest: &str| of_bundle(&recorded(kind, "bundle.json"), Wanted::Signature, digest);
        let claim = read(BUNDLED_DIGEST).unwrap().unwrap();
        let name = format!("{kind}.pub");
        assert_eq!(verify(vec![Ok(claim.clone())], &keys), [Found::By(name.clone())]);
        let others: Vec<_> = keys.iter().filter(|key| key.name() != name).cloned().collect();
        assert_eq!(verify(vec![Ok(claim.clone())], &others), [Found::Other(claim.by.clone())]);
        let mut changed = claim.clone();
        let Signed::Bytes(bytes) = &mut changed.signed else { panic!("{claim:?}") };
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(verify(vec![Ok(changed)], &keys), [Found::Other(claim.by.clone())], "one bit of {kind}");
        let mut broken = claim;
        broken.signatures[0].truncate(8);
        assert!(judge(&verify(vec![Ok(broken)], &keys)).is_err());
        assert!(read(DIGEST).is_err(), "it is of another image");
    }
}

/// Other tools than cosign sign the text itself.
#[test]
fn an_ed25519_signature_of_the_text_itself_is_verified() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let spki = [&ED25519_HEAD[..], pair.public_key().as_ref()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(spki));
    let key = PublicKey::parse("own.pub", pem.as_bytes()).unwrap();
    let payload = recorded("p256", "payload.json");
    let signed = |text: &[u8]| BASE64_STANDARD.encode(pair.sign(text).as_ref());
    let claim = |signature: &str| of_payload(&payload, signature, Signer::Unknown, DIGEST).unwrap();
    let keys = [key];
    assert_eq!(verify(vec![Ok(claim(&signed(&payload)))], &keys), [Found::By("own.pub".to_owned())]);
    assert_eq!(verify(vec![Ok(claim(&signed(b"another")))], &keys), [Found::Other(Signer::Unknown)]);
}

#[test]
fn a_bundle_names_its_key_by_a_hash() {
    let [_, bundle, _] = claims("p256");
    assert_eq!(bundle.by, Signer::Key("l1CkErGZ39Py4YG5HFZk5JR9JN69CjmMopk3Ak4FZEc=".to_owned()));
    let told = judge(&verify(vec![Ok(bundle)], &[key("rsa")])).unwrap_err();
    assert_eq!(told, "found a signature by the unknown key l1CkErGZ39Py4YG5HFZk5JR9JN69CjmMopk3Ak4FZEc=");
}

#[test]
fn a_signature_of_the_manifest_is_verified_by_its_digest() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key()).unwrap();
    let key = PublicKey { name: "own.pub".to_owned(), keys: vec![key], prehashed: None };
    let signature = pair.sign(&SystemRandom::new(), b"a manifest").unwrap();
    let sha256 = sha2::Sha256::digest(b"a manifest");
    let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let bundle = serde_json::json!({ "messageSignature": {
        "messageDigest": { "algorithm": "SHA2_256", "digest": BASE64_STANDARD.encode(sha256) },
        "signature": BASE64_STANDARD.encode(signature.as_ref()),
    } });
    let claim = of_bundle(bundle.to_string().as_bytes(), Wanted::Signature, &format!("sha256:{hex}")).unwrap().unwrap();
    assert_eq!(verify(vec![Ok(claim.clone())], &[key]), [Found::By("own.pub".to_owned())]);
    assert_eq!(verify(vec![Ok(claim)], &KINDS.map(self::key)), [Found::Other(Signer::Certificate)]);
}

#[test]
fn what_is_no_key_is_named() {
    let p521 = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAOl34vxa+wu3ZBoIuRVal7ufSEe6H\nzhqmLO1W4EInzUoFErHU/rs6/WwAIIMcFm4NxLqNwv/i304RrKTRa7QfLgIBIex5\nWaJ7RY9jXBik5Y1rHeqvDY963bPzmPEAcv8A24mdrVW+EyyS1r1Y/e5r8EvS6Pq0\nClgzDss9JhVY2iZwCjI=\n-----END PUBLIC KEY-----\n";
    let private =
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    for (text, why) in [
        ("", "it does not hold `-----BEGIN PUBLIC KEY-----`"),
        (private, "it does not hold `-----BEGIN PUBLIC KEY-----`"),
        (p521, "only ECDSA P-256 and P-384, Ed25519, and RSA of 2048 bits or more are supported"),
        (&"x".repeat(70_000), "it is larger than any key"),
    ] {
        let error = PublicKey::parse("cosign.pub", text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("cosign.pub is not a valid public key: {why}"));
    }
    let error = PublicKey::read(Path::new("/nowhere/cosign.pub")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the public key /nowhere/cosign.pub");
}
