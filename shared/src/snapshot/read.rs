//! Reading an [`Object`]: its `kind` says what the rest is.
//!
//! Written by hand, since what is derived keeps each object in pieces until it has found its kind, wherever that stands;
//! that is most of the time in which a console reads a state of 10,000 pods. Our own agent writes the kind first, and
//! then the rest is read at once. Where another comes first, the pieces are kept as before.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Object;

/// The field that says what an object is.
const KIND: &str = "kind";

#[derive(serde::Deserialize)]
enum Kind {
    Agent,
    Application,
    Environment,
    Repository,
    Connection,
    ApplicationSource,
    FollowedImage,
    Run,
    Resource,
    Pod,
}

impl Kind {
    fn read<'de, D: Deserializer<'de>>(self, fields: D) -> Result<Object, D::Error> {
        match self {
            Self::Agent => Deserialize::deserialize(fields).map(Object::Agent),
            Self::Application => Deserialize::deserialize(fields).map(Object::Application),
            Self::Environment => Deserialize::deserialize(fields).map(Object::Environment),
            Self::Repository => Deserialize::deserialize(fields).map(Object::Repository),
            Self::Connection => Deserialize::deserialize(fields).map(Object::Connection),
            Self::ApplicationSource => Deserialize::deserialize(fields).map(Object::ApplicationSource),
            Self::FollowedImage => Deserialize::deserialize(fields).map(Object::FollowedImage),
            Self::Run => Deserialize::deserialize(fields).map(Object::Run),
            Self::Resource => Deserialize::deserialize(fields).map(Object::Resource),
            Self::Pod => Deserialize::deserialize(fields).map(Object::Pod),
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with its kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Object, A::Error> {
        let mut before = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name != KIND {
                before.insert(name, fields.next_value()?);
                continue;
            }
            let kind: Kind = fields.next_value()?;
            if before.is_empty() {
                return kind.read(MapAccessDeserializer::new(fields));
            }
            while let Some((name, value)) = fields.next_entry()? {
                before.insert(name, value);
            }
            return kind.read(Value::Object(before)).map_err(A::Error::custom);
        }
        Err(A::Error::missing_field(KIND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: &str = r#""to":"engine","name":"docker","reachable":true,"since":"2026-01-01T00:00:00Z""#;

    #[test]
    fn an_object_is_the_same_wherever_its_kind_stands() {
        let read = |text: String| serde_json::from_str::<Object>(&text).map_err(|error| error.to_string());
        let first = read(format!(r#"{{"kind":"Connection",{ENGINE}}}"#)).expect("an engine");
        assert!(matches!(&first, Object::Connection(engine) if engine.name == "docker"), "{first:?}");
        assert_eq!(read(format!(r#"{{{ENGINE},"kind":"Connection"}}"#)), Ok(first.clone()));
        assert_eq!(read(format!(r#"{{"new":1,"kind":"Connection","newer":[{{}}],{ENGINE}}}"#)), Ok(first.clone()));
        let written = serde_json::to_string(&first).expect("objects can be written");
        assert!(written.starts_with(r#"{"kind":"Connection","#), "the kind is written first: {written}");
        assert_eq!(read(written), Ok(first));
    }

    #[test]
    fn what_is_no_object_is_told() {
        for (text, told) in [
            (r#"{"name":"docker"}"#, "missing field `kind`"),
            (r#"{"kind":"Ship"}"#, "unknown variant `Ship`"),
            (r#"{"kind":"Pod","name":"shop"}"#, "missing field `environment`"),
            (r#"{"name":"shop","kind":"Pod"}"#, "missing field `environment`"),
            ("[]", "an object with its kind"),
        ] {
            let error = serde_json::from_str::<Object>(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
