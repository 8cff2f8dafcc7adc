//! A file of `NAME=value` lines, whose metadata are lines as well: `sops_age__list_0__map_enc=…`.

use serde_json::{Map, Value, json};

use super::metadata::Metadata;
use super::seal::{Opened, Opener, Written};
use super::{Format, SopsError};

/// What the lines of the metadata begin with.
const METADATA: &str = "sops_";

/// The metadata of a file; nothing where it has none.
pub(super) fn metadata(text: &str) -> Result<Option<Metadata>, SopsError> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(METADATA)?.split_once('='));
    let mut fields = Map::new();
    for (name, value) in lines {
        let value = value.replace("\\n", "\n");
        let mut parts = name.split("__");
        let field = parts.next().unwrap_or_default();
        let Some(item) = parts.next() else {
            fields.insert(field.to_owned(), value.into());
            continue;
        };
        // A list of keys: `list_0`, then `map_enc`. Whoever keeps such a key is known by the name of the list alone.
        let wrong = || SopsError::Metadata(format!("the line {METADATA}{name} is not understood"));
        let index: usize = item.strip_prefix("list_").and_then(|index| index.parse().ok()).ok_or_else(wrong)?;
        let list = fields.entry(field).or_insert_with(|| json!([])).as_array_mut().ok_or_else(wrong)?;
        // In their order: a gap would be a list as long as somebody wishes.
        if index > list.len() {
            return Err(wrong());
        }
        if index == list.len() {
            list.push(json!({}));
        }
        if let Some(part) = parts.next().and_then(|part| part.strip_prefix("map_")) {
            list[index][part] = value.into();
        }
    }
    Metadata::of(&json!({ "sops": Value::Object(fields) }))
}

/// The lines in clear, without the metadata.
pub(super) fn decrypt(text: &str, opener: &mut Opener<'_>) -> Result<Vec<u8>, SopsError> {
    let mut clear = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(METADATA)) {
        // Encrypted comments say nothing to whoever reads such a file.
        if line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(SopsError::Text { format: Format::Dotenv, problem: "a line of it has no `=`".to_owned() });
        };
        let value = value.replace("\\n", "\n");
        clear.extend(format!("{name}=").into_bytes());
        match opener.open(&[name.to_owned()], &Written::Text(&value))? {
            Opened::Text(bytes) => clear.extend(String::from_utf8_lossy(&bytes).replace('\n', "\\n").into_bytes()),
            Opened::Kept => clear.extend(value.replace('\n', "\\n").into_bytes()),
            Opened::Word(word) => clear.extend(word.into_bytes()),
            Opened::Comment => {}
        }
        clear.push(b'\n');
    }
    Ok(clear)
}
