//! Finds the tag of a record that was read as of another type.

use crate::text::{skip_space, string_end};

/// Return the text of a record's top-level member `tag`; `None` where finding it takes more.
///
/// It is a hint only, of which the reader of that type checks all.
pub fn tag_of<'r>(raw: &'r [u8], tag: &str) -> Option<&'r [u8]> {
    let mut at = skip_space(raw, 0);
    if raw.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = skip_space(raw, at + 1);
        let key = string(raw, at)?;
        at = skip_space(raw, at + key.len() + 2);
        if raw.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(raw, at + 1);
        if key == tag.as_bytes() {
            return string(raw, at);
        }
        at = value_end(raw, at)?;
        if raw.get(at) != Some(&b',') {
            return None;
        }
    }
}

/// Return the string whose quote is at `at`.
fn string(raw: &[u8], at: usize) -> Option<&[u8]> {
    if raw.get(at) != Some(&b'"') {
        return None;
    }
    Some(&raw[at + 1..string_end(raw, at + 1)?])
}

/// Return where a value that is no array or object, and white space behind it, ends.
fn value_end(raw: &[u8], mut at: usize) -> Option<usize> {
    if let Some(text) = string(raw, at) {
        at += text.len() + 2;
    } else {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        at += raw.get(at..)?.iter().take_while(|byte| is_plain(byte)).count();
    }
    Some(skip_space(raw, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tag_behind_other_members() {
        for raw in [
            r#"{"type":"trip"}"#,
            r#" { "a" : "x,\u007d" , "b":-1.5e3,"c":null, "type" : "trip" , ?"#,
            r#"{"type ":"x","type":"trip","type":"again"}"#,
        ] {
            let raw = raw.replace("\\u007d", "}");
            assert_eq!(tag_of(raw.as_bytes(), "type"), Some(&b"trip"[..]), "{raw}");
        }
    }

    #[test]
    fn ends_with_everything_else() {
        for raw in [
            "",
            "{",
            "{}",
            "[]",
            r#"{"a":{"type":"x"},"type":"y"}"#,
            r#"{"a":[],"type":"y"}"#,
            r#"{"type":1}"#,
            r#"{"a":1"#,
            r#"{"a"1,"type":"y"}"#,
            r#"{"a":1,}"#,
            r#"{"type":"y"#,
            r#"{"a\"":1,"type":"y"}"#,
        ] {
            assert_eq!(tag_of(raw.as_bytes(), "type"), None, "{raw}");
        }
    }
}
