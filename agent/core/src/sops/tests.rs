//! Files that sops 3.13.3 itself encrypted, for keys made for these tests: `fixtures/age.txt` has the first, `other.txt` the second.

use proptest::prelude::*;
use quarterdeck_shared::error::chain;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

const KEY: &[u8] = fixture!("age.txt");
const OTHER: &[u8] = fixture!("other.txt");

/// Who has these keys, and a program that gives what it is made with.
struct Holder {
    keys: Vec<&'static [u8]>,
    program: Option<&'static str>,
}

#[derive(Debug, thiserror::Error)]
#[error("sops is not installed")]
struct Missing;

impl Hint for Missing {
    fn hint(&self) -> Cow<'_, str> {
        "install it".into()
    }
}

impl Keys for Holder {
    fn identities(&self) -> Result<Vec<Identity>, KeyFailure> {
        let read = |key: &&[u8]| Identity::read(std::str::from_utf8(key).unwrap()).unwrap();
        Ok(self.keys.iter().flat_map(read).collect())
    }

    fn by_program(&self, _: Format, _: &[u8]) -> Result<Vec<u8>, KeyFailure> {
        self.program.map(|clear| clear.as_bytes().to_vec()).ok_or_else(|| KeyFailure::new(Missing))
    }
}

fn with(keys: &[&'static [u8]]) -> Holder {
    Holder { keys: keys.to_vec(), program: None }
}

fn clear(path: &str, content: &[u8]) -> (String, Vec<String>) {
    let Clear { content, secrets, exposed: _ } =
        decrypt(path, content, &with(&[OTHER, KEY])).unwrap().expect("it is encrypted");
    (String::from_utf8(content).unwrap(), secrets)
}

fn refusal(path: &str, content: &[u8], keys: &Holder) -> String {
    let error = decrypt(path, content, keys).unwrap_err();
    format!("{}\nhint: {}", chain(&error), error.hint())
}

const KEY_LINES: &str = "-----BEGIN KEY-----\na: b # c\n-----END KEY-----\n";

#[test]
fn a_secret_is_decrypted_in_its_place() {
    let (text, secrets) = clear("db.yaml", fixture!("secret.yaml"));
    let expected = "# The database of the shop.\napiVersion: v1\nkind: Secret\nmetadata:\n    name: db\n    labels:\n        tier: \"1\"\n\
                    stringData:\n";
    let rest = text.strip_prefix(expected).unwrap_or_else(|| panic!("{text}"));
    let lines: Vec<&str> = rest.lines().collect();
    assert!(lines[0].trim_start().starts_with("#ENC["), "a comment is left as it is: {}", lines[0]);
    let expected = [
        r#"    user: "shop""#,
        r#"    password: "corr3ct-horse \"battery\" ünï""#,
        r#"    empty: """#,
        r#"    key: "-----BEGIN KEY-----\na: b # c\n-----END KEY-----\n""#,
    ];
    assert_eq!(lines[1..], expected);
    assert_eq!(secrets, ["shop", "corr3ct-horse \"battery\" ünï", KEY_LINES]);
    let exposed = |content| decrypt("a.yaml", content, &with(&[KEY])).unwrap().unwrap().exposed;
    assert!(exposed(fixture!("secret.yaml")).is_empty(), "a Secret hides its data itself");
    assert_eq!(exposed(fixture!("several.yaml")), ["second-secret-2", "stays"]);
    assert_eq!(exposed(fixture!("whole.yaml")), ["first-secret-1", "second-secret-2"], "its kind is encrypted as well");
}

#[test]
fn each_option_of_sops_says_which_values_are_encrypted() {
    let first = "stringData:\n    password: \"first-secret-1\"\n";
    let second = "data:\n    password: \"second-secret-2\"\n";
    for (content, texts, count) in [
        (fixture!("several.yaml"), [first, second, "plain_unencrypted: \"stays\""], 3),
        (
            fixture!("whole.yaml"),
            [first, second, "apiVersion: \"v1\"\nkind: \"ConfigMap\"\nmetadata:\n    name: \"second\""],
            2,
        ),
        (fixture!("whole.yaml"), [first, second, "plain_unencrypted: stays"], 2),
        (fixture!("unencrypted-regex.yaml"), [first, second, "kind: ConfigMap\n"], 3),
        (
            fixture!("encrypted-suffix.yaml"),
            ["password_enc: \"first-secret-1\"", "password_enc: \"second-secret-2\"", "plain_unencrypted: stays"],
            2,
        ),
    ] {
        let (text, secrets) = clear("a.yml", content);
        texts.iter().for_each(|part| assert!(text.contains(part), "{part:?} in\n{text}"));
        assert_eq!(secrets.len(), count, "{secrets:?}");
        assert!(!text.contains("sops") && !text.contains("ENC["), "{text}");
        assert_eq!(crate::yaml::parse(text.as_bytes()).unwrap().len(), 2, "two documents");
    }
    for content in [fixture!("mac-only-encrypted.yaml"), fixture!("comment-regex.yaml")] {
        let (text, _) = clear("a.yaml", content);
        let document = crate::yaml::parse(text.as_bytes()).unwrap().remove(0).value;
        assert_eq!(document["stringData"]["user"], "shop");
        assert_eq!(document["stringData"]["key"], KEY_LINES);
        assert!(document.get("sops").is_none(), "{text}");
    }
}

#[test]
fn values_keep_their_types() {
    let (text, _) = clear("values.yaml", fixture!("values.yaml"));
    let document = crate::yaml::parse(text.as_bytes()).unwrap().remove(0).value;
    let expected = serde_json::json!({
        "replicas": 3, "ratio": 1.5, "exp": 1000, "on": true, "off": false, "word": "yes", "nothing": null, "octal": 420,
        "hex": 31, "date": "2024-05-06T00:00:00Z", "time": "2024-05-06T07:08:09.5+02:00", "quoted": "12",
        "list": ["one", 2, {"deep": "value", "other": ["a", "b: c"]}], "nested": {"a": {"b": "deep-secret"}},
    });
    assert_eq!(document, expected, "{text}");
    // Nothing of this one is encrypted, and the MAC covers all of it.
    let (text, secrets) = clear("values.yaml", fixture!("plain-types.yaml"));
    assert!(secrets.is_empty() && text.contains("time: 2024-05-06T07:08:09.5+02:00\n"), "{text}");
}

#[test]
fn json_dotenv_and_any_other_file_are_decrypted_too() {
    let (text, secrets) = clear("conf.json", fixture!("two-recipients.json"));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({
        "name": "shop", "port": 8080, "ratio": 0.5, "on": true, "none": null, "list": ["a", 1, {"b": "c \"q\" \n é"}], "empty": "",
    });
    assert_eq!(document, expected);
    assert_eq!(secrets, ["shop", "8080", "0.5", "a", "1", "c \"q\" \n é"]);
    assert_eq!(
        decrypt("conf.json", fixture!("two-recipients.json"), &with(&[OTHER])).unwrap().unwrap().content,
        text.as_bytes()
    );
    assert_eq!(clear("app.env", fixture!("app.env")).0, "USER=shop\nPASSWORD=dotenv-secret-1\nEMPTY=\nLINES=a\\nb\n");
    assert_eq!(
        clear("tls.key", fixture!("tls.key")),
        ("raw bytes of a key".to_owned(), vec!["raw bytes of a key".to_owned()])
    );
}

#[test]
fn what_is_not_encrypted_is_left_alone() {
    for (path, content) in [
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
        ("a.yaml", "sops: {mac: x}\n"),
        ("a.yaml", "text: 'see ENC[AES256_GCM,…]'\nsops: mine\n"),
        ("templates/a.yaml", "{{ .Values.x }} ENC[AES256_GCM,\n"),
        ("a.txt", "ENC[AES256_GCM, is how it begins\n"),
        ("a.json", "{\"a\": \"ENC[AES256_GCM,\"}"),
    ] {
        assert_eq!(decrypt(path, content.as_bytes(), &with(&[])).unwrap(), None, "{path} {content}");
    }
    assert_eq!(decrypt("a.bin", b"\xff\xfeENC[AES256_GCM,", &with(&[])).unwrap(), None);
}

#[test]
fn a_file_without_a_key_says_for_whom_it_is() {
    let recipient = "age1dfm22kur48n6aa0rgnw5h37l57gs9q78xuyqf8h8q4cz29jhd9hq84mzj9";
    let other = "age17553s2x7fd08zsflpvasyxjdhy2l4qc84zw3qhyx0tewqhla6daq3ud9mr";
    assert_eq!(
        refusal("db.yaml", fixture!("secret.yaml"), &with(&[])),
        format!(
            "it is encrypted with SOPS for {recipient}, and no age key is configured\nhint: name the file of an age key by `age_keys` of \
             [sops]"
        )
    );
    assert_eq!(
        refusal("db.yaml", fixture!("secret.yaml"), &with(&[OTHER])),
        format!(
            "it is encrypted with SOPS for {recipient}; the configured keys are {other}\nhint: add its key to `age_keys` of [sops], or \
             encrypt the file for yours: `sops updatekeys FILE`"
        )
    );
    assert_eq!(
        refusal("db.yaml", fixture!("key-groups.yaml"), &with(&[KEY, OTHER])),
        "its data key is kept by several groups of keys: sops is not installed\nhint: install it"
    );
}

#[test]
fn the_program_decrypts_for_other_keys_and_its_secrets_are_known_as_well() {
    let content = String::from_utf8(fixture!("secret.yaml").to_vec()).unwrap().replace("    age:\n", "    kms:\n");
    assert_eq!(
        refusal("db.yaml", content.as_bytes(), &with(&[KEY])),
        "its data key is kept by AWS KMS: sops is not installed\nhint: install it"
    );
    let plugin = String::from_utf8(fixture!("secret.yaml").to_vec())
        .unwrap()
        .replace("recipient: age1d", "recipient: age1plugin1d");
    assert_eq!(
        refusal("db.yaml", plugin.as_bytes(), &with(&[OTHER])),
        "its data key is kept by another kind of age key: sops is not installed\nhint: install it"
    );
    let program =
        "stringData:\n  user: shop\n  password: hunter22\n  key: other-secret\nmetadata: {name: db}\nkind: Secret\n";
    let keys = Holder { keys: vec![], program: Some(program) };
    let Clear { content, secrets, exposed } = decrypt("db.yaml", content.as_bytes(), &keys).unwrap().unwrap();
    assert_eq!(
        (content, secrets),
        (program.as_bytes().to_vec(), ["other-secret", "hunter22", "shop"].map(str::to_owned).into())
    );
    assert!(exposed.is_empty(), "{exposed:?}");
}

#[test]
fn what_was_changed_or_moved_is_refused() {
    let text = String::from_utf8(fixture!("several.yaml").to_vec()).unwrap();
    let value = |name: &str, text: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    let (password, plain) = (value("password:", &text), value("plain_unencrypted:", &text));
    let moved = "cannot decrypt data:plain_unencrypted: it was changed or moved after it was encrypted";
    for (changed, problem) in [
        (
            text.replace("name: first", "name: other"),
            "its MAC does not match its values: it was changed after SOPS encrypted it",
        ),
        (
            text.replacen("kind: Secret\n", "", 1),
            "its MAC does not match its values: it was changed after SOPS encrypted it",
        ),
        (
            text.replace("2026-11-30T", "2026-11-29T"),
            "its MAC does not match its values: it was changed after SOPS encrypted it",
        ),
        (text.replace(&plain, &password), moved),
        (text.replace(&plain, "in-clear"), "cannot decrypt data:plain_unencrypted: it is not encrypted, and should be"),
        (text.replace(&plain, "3"), "cannot decrypt data:plain_unencrypted: it is not encrypted, and should be"),
        (
            text.replace(&plain, "ENC[AES256_GCM,data:x]"),
            "cannot decrypt data:plain_unencrypted: it is not a valid encrypted value",
        ),
    ] {
        let said = refusal("a.yaml", changed.as_bytes(), &with(&[KEY]));
        assert_eq!(said, format!("{problem}\nhint: undo the change, and edit the file with `sops edit FILE` alone"));
    }
    for (from, to, problem) in [
        (
            "    mac: ENC",
            "    mac: [ENC]\n    x: ENC",
            "its SOPS metadata is not valid: it has no mac, or one that is not text",
        ),
        (
            "    lastmodified:",
            "    last:",
            "its SOPS metadata is not valid: it has no lastmodified, or one that is not text",
        ),
        (
            "          recipient:",
            "          of:",
            "its SOPS metadata is not valid: an age key of it has no recipient or no enc",
        ),
        ("^(data|stringData)$", "'('", "its SOPS metadata is not valid: its encrypted_regex is not valid"),
        ("    age:\n", "    nobody:\n", "it is encrypted with SOPS, and its metadata names no key that decrypts it"),
        (
            "-----BEGIN AGE",
            "-----BEGIN",
            "its data key is not valid: it is not an age file: it has no BEGIN and END lines",
        ),
        (
            "    name: first",
            "    name: &a first\n    b: *a",
            "it has SOPS metadata and is not a valid yaml file: it has an alias, which SOPS writes none of",
        ),
    ] {
        let said = refusal("a.yaml", text.replace(from, to).as_bytes(), &with(&[KEY]));
        assert!(said.starts_with(problem), "{said}");
        assert!(said.ends_with("\nhint: encrypt it again with sops"), "{said}");
    }
}

#[test]
fn a_changed_data_key_is_refused() {
    let armored = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN")).collect();
        let end = lines.iter().position(|line| line.starts_with("-----END")).unwrap();
        lines[..=end].join("\n")
    };
    let sealed = armored(std::str::from_utf8(fixture!("secret.yaml")).unwrap());
    let identities = with(&[KEY]).identities().unwrap();
    assert_eq!(age::open(&sealed, &identities).unwrap().unwrap().len(), 32);
    assert_eq!(age::open(&sealed, &with(&[OTHER]).identities().unwrap()), Ok(None));
    // The last line is of the content, the one before it of the MAC of the header.
    let lines: Vec<&str> = sealed.lines().collect();
    let content = lines[lines.len() - 2];
    let changed = format!("{}{}", if content.starts_with('A') { "B" } else { "A" }, &content[1..]);
    assert_eq!(age::open(&sealed.replace(content, &changed), &identities), Err(AgeError::Tampered));
    assert!(age::open(&sealed.replace("YWdl", "YWdm"), &identities).is_err());
}

#[test]
fn a_file_of_keys_is_read_line_by_line_and_its_keys_are_never_told() {
    let key = std::str::from_utf8(KEY).unwrap();
    let identities = Identity::read(&format!("\n{key}\n\n# another\n")).unwrap();
    assert_eq!(format!("{identities:?}"), "[age1dfm22kur48n6aa0rgnw5h37l57gs9q78xuyqf8h8q4cz29jhd9hq84mzj9]");
    let secret = key.lines().last().unwrap();
    let short = &secret[..secret.len() - 1];
    let other = "only AGE-SECRET-KEY-1… is known here, a key of X25519; other keys are for the sops program";
    for (text, problem) in [
        ("# none\n", "it holds no age identity".to_owned()),
        (&*format!("# cut\n{short}\n"), "line 2 is not a valid age identity: it was cut off or mistyped".to_owned()),
        (&identities[0].recipient(), format!("line 1 is not a valid age identity: {other}")),
    ] {
        assert_eq!(Identity::read(text).unwrap_err().to_string(), problem);
    }
}

proptest! {
    /// The name of an encrypted value is part of what was encrypted. SOPS encrypts no empty value, and its MAC is of values alone:
    /// the name of one is the only thing that may differ.
    #[test]
    fn whatever_is_changed_in_a_file_it_is_refused_or_says_the_same(at in 0_usize..1_500, byte in any::<u8>()) {
        let content = fixture!("secret.yaml");
        let mut changed = content.to_vec();
        let at = at.min(changed.len() - 1);
        changed[at] = byte;
        let (whole, _) = clear("db.yaml", content);
        let values = |text: &[u8]| {
            let mut object = crate::yaml::parse(text).unwrap().remove(0).value;
            object["stringData"].as_object_mut().unwrap().retain(|_, value| *value != "");
            object["stringData"].clone()
        };
        // Where it is no file of SOPS any more, what is encrypted in it is refused as an object.
        if let Ok(Some(Clear { content, .. })) = decrypt("db.yaml", &changed, &with(&[KEY])) {
            prop_assert_eq!(values(&content), values(whole.as_bytes()));
        }
    }
}
