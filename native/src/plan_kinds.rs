//! The kinds of a plan's fields with their limits, and their defaults.

use serde_json::Value;

use crate::plan::{Absent, FieldText, Kind, TextLimits, TimeForm};

/// From here on not every integer is a double.
const EXACT: i64 = 1 << 53;

/// Return the kind of a field; `times` is how many timestamps are before it.
pub(crate) fn kind(field: &FieldText, times: usize) -> Result<Kind, String> {
    check_limits(field)?;
    Ok(match field.kind.as_str() {
        "int32" => {
            let (least, most) = (whole(&field.minimum)?, whole(&field.maximum)?);
            let (least, most) = (least.max(i32::MIN.into()), most.min(i32::MAX.into()));
            Kind::Int32 { least, most }
        }
        "int64" => Kind::Int64 { least: whole(&field.minimum)?, most: whole(&field.maximum)? },
        "double" => Kind::Double { least: double(&field.minimum)?, most: double(&field.maximum)? },
        "boolean" => Kind::Boolean,
        "string" => Kind::Text(text(field)?),
        "timestamp" => {
            let unit = field.unit.ok_or("unit: is missing")?;
            let factor = field.factor.ok_or("factor: is missing")?;
            if factor < 0 {
                return Err("factor: is negative".into());
            }
            Kind::Time(TimeForm { unit, factor, place: times })
        }
        _ => return Err("kind: is not known".into()),
    })
}

/// Return what becomes of a record without the field.
pub(crate) fn absent(field: &FieldText, kind: &Kind) -> Result<Absent, String> {
    if !field.optional {
        return match field.default {
            Value::Null => Ok(Absent::Refused),
            _ => Err("default: the field is not optional".into()),
        };
    }
    Ok(match (kind, &field.default) {
        (_, Value::Null) => Absent::Null,
        (Kind::Int32 { .. }, value) => {
            let value = number(value)?;
            i32::try_from(value).map_err(|_| "default: has more than 32 bits")?;
            Absent::Whole(value)
        }
        (Kind::Int64 { .. }, value) => Absent::Whole(number(value)?),
        (Kind::Double { .. }, value) => Absent::Double(real(value)?),
        (Kind::Boolean, Value::Bool(value)) => Absent::Boolean(*value),
        (Kind::Text(_), Value::String(value)) => Absent::Text(value.clone()),
        _ => return Err("default: is not of the field's kind".into()),
    })
}

/// Refuse a limit that the field's kind doesn't have: it might be meant to hold.
fn check_limits(field: &FieldText) -> Result<(), String> {
    let kind = field.kind.as_str();
    let number = matches!(kind, "int32" | "int64" | "double");
    let found = [
        (field.minimum.is_some() || field.maximum.is_some(), number),
        (field.max_length.is_some() || field.min_length.is_some(), kind == "string"),
        (field.allowed.is_some(), kind == "string"),
        (field.unit.is_some() || field.factor.is_some(), kind == "timestamp"),
    ];
    if found.iter().any(|(has, may)| *has && !may) {
        return Err("has a limit that its kind can't have".into());
    }
    Ok(())
}

fn text(field: &FieldText) -> Result<TextLimits, String> {
    let most = field.max_length.ok_or("max_length: is missing")?;
    let texts = field.allowed.clone().unwrap_or_default();
    if field.allowed.is_some() && texts.is_empty() {
        return Err("enum: is empty".into());
    }
    let allowed = texts.into_iter().map(String::into_bytes).collect();
    Ok(TextLimits { least: field.min_length.unwrap_or(0), most, allowed })
}

fn whole(limit: &Option<Value>) -> Result<i64, String> {
    number(limit.as_ref().ok_or("a limit is missing")?)
}

fn double(limit: &Option<Value>) -> Result<f64, String> {
    real(limit.as_ref().ok_or("a limit is missing")?)
}

fn number(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or("a limit or default is no integer of 64 bits".into())
}

/// Return the value as a double; an integer that none is exactly is refused.
fn real(value: &Value) -> Result<f64, String> {
    if value.is_i64() || value.is_u64() {
        let exact = number(value)?;
        if exact.unsigned_abs() > EXACT.unsigned_abs() {
            return Err("a limit or default is no double".into());
        }
    }
    value.as_f64().ok_or("a limit or default is no number".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(written: &str) -> Result<(Kind, Absent), String> {
        let field = serde_json::from_str(written).map_err(|error| error.to_string())?;
        let kind = kind(&field, 0)?;
        let absent = absent(&field, &kind)?;
        Ok((kind, absent))
    }

    #[test]
    fn clamps_limits_of_32_bits() {
        let (kind, absent) = made(
            r#"{"name":"a","kind":"int32","nullable":false,"optional":true,"default":7,
                "minimum":-9007199254740991,"maximum":5}"#,
        )
        .unwrap();
        assert_eq!(kind, Kind::Int32 { least: i32::MIN.into(), most: 5 });
        assert_eq!(absent, Absent::Whole(7));
    }

    #[test]
    fn reads_limits_of_doubles_to_the_last_bit() {
        let (kind, absent) = made(
            r#"{"name":"a","kind":"double","nullable":false,"optional":true,"default":0,
                "minimum":-1.7976931348623157e308,"maximum":122.416294033786585}"#,
        )
        .unwrap();
        assert_eq!(
            kind,
            Kind::Double { least: f64::MIN, most: "122.416294033786585".parse().unwrap() }
        );
        assert_eq!(absent, Absent::Double(0.0));
    }

    #[test]
    fn refuses_defaults_and_limits_of_other_kinds() {
        for written in [
            r#"{"name":"a","kind":"double","nullable":false,"optional":false,"minimum":0,"maximum":9007199254740993}"#,
            r#"{"name":"a","kind":"double","nullable":false,"optional":false,"minimum":0}"#,
            r#"{"name":"a","kind":"int64","nullable":false,"optional":true,"default":1.5,"minimum":0,"maximum":9}"#,
            r#"{"name":"a","kind":"string","nullable":false,"optional":true,"default":1,"max_length":9}"#,
            r#"{"name":"a","kind":"string","nullable":false,"optional":false}"#,
            r#"{"name":"a","kind":"boolean","nullable":false,"optional":false,"default":true}"#,
            r#"{"name":"a","kind":"timestamp","nullable":false,"optional":true,"default":1,"unit":"ms","factor":0}"#,
            r#"{"name":"a","kind":"timestamp","nullable":false,"optional":false,"unit":"s","factor":0}"#,
        ] {
            assert!(made(written).is_err(), "{written}");
        }
    }
}
