//! What a word of YAML means: a boolean, a number, nothing, or text, as go-yaml 2 resolves it for `kubectl`
//! (`resolve.go` of go.yaml.in/yaml/v2).

use base64::Engine as _;
use serde_json::{Number, Value};

/// What a plain word means. Without quotes it may be anything; what is in quotes is text.
///
/// # Errors
/// Where JSON has no such number.
pub(super) fn plain(word: &str) -> Result<Value, String> {
    Ok(match word {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(format!("{word} is not a JSON number")),
        _ => number_of(word).unwrap_or_else(|| word.into()),
    })
}

/// What a word with a tag means; `tag` is what follows `!!`.
///
/// # Errors
/// Where the word is not of that type.
pub(super) fn tagged(tag: &str, word: &str) -> Result<Value, String> {
    let unfit = || format!("{word:?} is not a value of type !!{tag}");
    let value = match tag {
        "binary" => {
            // Line breaks are how long values are written.
            let bytes: Vec<u8> = word.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            return text.map(Value::String).ok_or_else(|| format!("{word:?} is not text in base64"));
        }
        "bool" | "int" | "float" | "null" => plain(word)?,
        // A moment stays the text that it is written as.
        "timestamp" if !is_moment(word) => return Err(unfit()),
        _ => return Ok(word.into()),
    };
    let fits = match (tag, &value) {
        ("bool", Value::Bool(_)) | ("null", Value::Null) | ("float", Value::Number(_)) => true,
        ("int", Value::Number(_)) => integer(&word.replace('_', "")).is_some(),
        _ => false,
    };
    if fits { Ok(value) } else { Err(unfit()) }
}

/// The JSON number of a float: Go prints one without a fraction as an integer, and API servers refuse `1.0` and `1e16`
/// where they want one. From 1e21 on it prints an exponent.
pub(super) fn float(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e21 {
        let digits = value.to_string();
        let whole = digits.parse::<i64>().map(Number::from);
        if let Ok(whole) = whole.or_else(|_| digits.parse::<u64>().map(Number::from)) {
            return Some(whole);
        }
    }
    Number::from_f64(value)
}

/// The JSON number of an integer. `kubectl` holds one beyond 64 bits with a sign as a float.
pub(super) fn unsigned(value: u64) -> Option<Number> {
    if i64::try_from(value).is_ok() { Some(value.into()) } else { float(value as f64) }
}

fn number_of(word: &str) -> Option<Value> {
    match word.as_bytes().first()? {
        // An underscore stands between digits here, and anywhere in what begins with a digit.
        b'.' => {
            let between = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if word[1..].split('_').all(between) { decimal(&word.replace('_', "")) } else { decimal(word) }
        }
        b'0'..=b'9' | b'+' | b'-' => {
            let word = word.replace('_', "");
            integer(&word).map(Value::Number).or_else(|| decimal(&word))
        }
        _ => None,
    }
}

/// An integer in the four bases; a leading zero is octal.
fn integer(word: &str) -> Option<Number> {
    let (negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust takes one more sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    match negative {
        true => i64::try_from(-i128::from(size)).ok().map(Number::from),
        false => unsigned(size),
    }
}

/// Whether a word begins as a date does.
fn is_moment(word: &str) -> bool {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits == 4 && word.as_bytes().get(4) == Some(&b'-')
}

/// `1.5`, `.5`, `1.`, `1e3`: what every reader of YAML takes for a float, and nothing more that Rust would take. One that
/// is too large for a float is text.
fn decimal(word: &str) -> Option<Value> {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (front, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((front, exponent)) => (front, Some(exponent)),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = front.split_once('.').unwrap_or((front, ""));
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        !digits.is_empty() && all_digits(digits)
    };
    let is_float = all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    if !is_float || !exponent.is_none_or(is_exponent) {
        return None;
    }
    word.parse::<f64>().ok().filter(|value| value.is_finite()).and_then(float).map(Value::Number)
}
