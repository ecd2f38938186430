//! The plan of a decoder: what each event type has, read from JSON text and checked.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::plan_kinds;

/// What a decoder accepts, and how it writes documents.
#[derive(Debug)]
pub struct Plan {
    pub max_record_bytes: usize,
    /// The member that tells the type, `None` where records don't tell it.
    pub tag: Option<String>,
    /// The tag as members begin with it: `"type":`.
    pub tag_key: Vec<u8>,
    pub documents: bool,
    pub types: Vec<EventType>,
    /// The types' places by the text of the tag.
    pub by_text: HashMap<Vec<u8>, usize>,
}

/// One event type; its fields are in the order of columns and documents.
#[derive(Debug)]
pub struct EventType {
    pub text: String,
    pub fields: Vec<Field>,
    /// The fields' places by name; that of the tag is behind all fields.
    pub places: HashMap<Vec<u8>, usize>,
}

/// One field. Its name has no character that JSON escapes.
#[derive(Debug)]
pub struct Field {
    /// Its name as members begin with it: `"name":`.
    pub key: Vec<u8>,
    pub kind: Kind,
    pub nullable: bool,
    pub absent: Absent,
}

/// What values of a field are allowed; all limits are inclusive.
#[derive(Debug, PartialEq)]
pub enum Kind {
    Int32 { least: i64, most: i64 },
    Int64 { least: i64, most: i64 },
    Double { least: f64, most: f64 },
    Boolean,
    Text(TextLimits),
    Time(TimeForm),
}

/// Lengths are in characters. `allowed` is empty where every text is allowed.
#[derive(Debug, PartialEq)]
pub struct TextLimits {
    pub least: usize,
    pub most: usize,
    pub allowed: Vec<Vec<u8>>,
}

/// A timestamp on the wire: an integer to multiply by `factor`, or text where that is 0.
///
/// Its bounds come with each batch; `place` is the timestamp's among those of its type.
#[derive(Debug, PartialEq, Clone, Copy)]
pub struct TimeForm {
    pub unit: Unit,
    pub factor: i64,
    pub place: usize,
}

/// The unit of a timestamp.
#[derive(Debug, PartialEq, Clone, Copy, Deserialize)]
pub enum Unit {
    #[serde(rename = "ms")]
    Milli,
    #[serde(rename = "us")]
    Micro,
    #[serde(rename = "ns")]
    Nano,
}

impl Unit {
    /// Return the digits of a fraction of a second.
    pub fn digits(self) -> usize {
        match self {
            Self::Milli => 3,
            Self::Micro => 6,
            Self::Nano => 9,
        }
    }

    /// Return how many units a second has.
    pub fn per_second(self) -> i64 {
        match self {
            Self::Milli => 1_000,
            Self::Micro => 1_000_000,
            Self::Nano => 1_000_000_000,
        }
    }
}

/// What becomes of a record without the field, or which value its column has then.
#[derive(Debug, PartialEq)]
pub enum Absent {
    Refused,
    Null,
    /// An integer.
    Whole(i64),
    Double(f64),
    Boolean(bool),
    Text(String),
}

impl Field {
    /// Whether its column may have null.
    pub fn has_nulls(&self) -> bool {
        self.nullable || self.absent == Absent::Null
    }
}

impl EventType {
    /// Return how many timestamps it has.
    pub fn times(&self) -> usize {
        let is_time = |field: &&Field| matches!(field.kind, Kind::Time(_));
        self.fields.iter().filter(is_time).count()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanText {
    max_record_bytes: u32,
    tag: String,
    documents: bool,
    types: Vec<TypeText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeText {
    text: String,
    fields: Vec<FieldText>,
}

/// A field as written; which limits it may have depends on its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldText {
    pub name: String,
    pub kind: String,
    pub nullable: bool,
    pub optional: bool,
    #[serde(default)]
    pub default: Value,
    pub minimum: Option<Value>,
    pub maximum: Option<Value>,
    pub max_length: Option<usize>,
    pub min_length: Option<usize>,
    #[serde(rename = "enum")]
    pub allowed: Option<Vec<String>>,
    pub unit: Option<Unit>,
    pub factor: Option<i64>,
}

impl Plan {
    /// Read a plan; a key that is not known is an error, as it might be a limit.
    pub fn read(text: &str) -> Result<Self, String> {
        let plan: PlanText = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if plan.types.is_empty() {
            return Err("types: there are none".into());
        }
        check_name(&plan.tag, "tag")?;
        let mut types = Vec::new();
        let mut by_text = HashMap::new();
        for each in plan.types {
            let taken = by_text.insert(each.text.clone().into_bytes(), types.len());
            if taken.is_some() && !plan.tag.is_empty() {
                return Err(format!("{}: is the text of two types", each.text));
            }
            types.push(event_type(each, &plan.tag)?);
        }
        Ok(Self {
            max_record_bytes: plan.max_record_bytes as usize,
            tag_key: key(&plan.tag),
            tag: Some(plan.tag).filter(|tag| !tag.is_empty()),
            documents: plan.documents,
            types,
            by_text,
        })
    }
}

fn event_type(written: TypeText, tag: &str) -> Result<EventType, String> {
    let TypeText { text, fields } = written;
    let mut made = Vec::with_capacity(fields.len());
    let mut places = HashMap::new();
    let mut times = 0;
    for each in fields {
        let place = format!("{text}.{}", each.name);
        check_name(&each.name, &place)?;
        let taken = places.insert(each.name.clone().into_bytes(), made.len());
        if each.name.is_empty() || each.name == tag || taken.is_some() {
            return Err(format!("{place}: its name is empty, the tag or taken"));
        }
        let kind = plan_kinds::kind(&each, times).map_err(|what| format!("{place}: {what}"))?;
        times += usize::from(matches!(kind, Kind::Time(_)));
        let absent = plan_kinds::absent(&each, &kind).map_err(|what| format!("{place}: {what}"))?;
        let (key, nullable) = (key(&each.name), each.nullable);
        made.push(Field { key, kind, nullable, absent });
    }
    if !tag.is_empty() {
        places.insert(tag.as_bytes().to_vec(), made.len());
    }
    Ok(EventType { text, fields: made, places })
}

fn key(name: &str) -> Vec<u8> {
    format!("\"{name}\":").into_bytes()
}

/// Refuse a name beyond ASCII, or that JSON would escape: msgspec does not find all of them.
fn check_name(name: &str, place: &str) -> Result<(), String> {
    if name.bytes().any(|each| !matches!(each, b' '..=b'~') || matches!(each, b'"' | b'\\')) {
        return Err(format!("{place}: its name is not of ASCII, or JSON escapes it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str) -> Result<Plan, String> {
        Plan::read(&format!(
            r#"{{"max_record_bytes":9,"tag":"type","documents":true,"types":[{{"text":"t","fields":[{fields}]}}]}}"#
        ))
    }

    #[test]
    fn has_fields_in_order_and_places_of_timestamps() {
        let plan = read(
            r#"{"name":"a","kind":"timestamp","nullable":true,"optional":false,"unit":"us","factor":0},
               {"name":"b","kind":"boolean","nullable":false,"optional":true,"default":true},
               {"name":"c","kind":"timestamp","nullable":false,"optional":true,"default":null,"unit":"ns","factor":1000}"#,
        )
        .unwrap();
        let fields = &plan.types[0].fields;
        let form = TimeForm { unit: Unit::Nano, factor: 1000, place: 1 };
        assert_eq!(fields[2].kind, Kind::Time(form));
        assert_eq!(fields[1].absent, Absent::Boolean(true));
        assert!(fields[0].has_nulls() && !fields[1].has_nulls() && fields[2].has_nulls());
        assert_eq!(plan.types[0].times(), 2);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let field = r#"{"name":"a","kind":"boolean","nullable":false,"optional":false"#;
        assert!(read(&format!("{field}}}")).is_ok());
        for more in [r#","pattern":"x""#, r#","minimum":1"#, r#","enum":["x"]"#] {
            assert!(read(&format!("{field}{more}}}")).is_err(), "{more}");
        }
        assert!(read(&format!("{field}}},{field}}}")).is_err());
        assert!(read(&field.replace(r#""a""#, r#""type""#)).is_err());
        assert!(read(&format!("{}}}", field.replace("boolean", "decimal"))).is_err());
        assert!(Plan::read("[]").is_err());
    }
}
