use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};

use super::*;

const PLAN: &str = r#"{"max_record_bytes":60,"tag":"type","documents":true,"types":[
    {"text":"a","fields":[
        {"name":"n","kind":"int64","nullable":false,"optional":false,"minimum":0,"maximum":99},
        {"name":"x","kind":"double","nullable":true,"optional":true,"default":0,"minimum":-1e300,"maximum":1e300},
        {"name":"t","kind":"timestamp","nullable":true,"optional":true,"default":null,"unit":"ns","factor":0}]},
    {"text":"b","fields":[
        {"name":"s","kind":"string","nullable":false,"optional":true,"default":"-","max_length":50},
        {"name":"n","kind":"int64","nullable":true,"optional":true,"default":null,"minimum":0,"maximum":99}]}]}"#;

fn bounds() -> Bounds {
    vec![vec![(0, i64::MAX)], vec![]]
}

/// Return the documents of the parts by row, and the rows handed on.
fn decoded(raws: &[&str]) -> (Vec<(i64, String)>, Vec<i64>) {
    let (plan, bounds) = (Plan::read(PLAN).unwrap(), bounds());
    let mut batch = Batch::new(&plan, &bounds, raws.len());
    for (row, raw) in raws.iter().enumerate() {
        batch.add(row, Some(raw.as_bytes()), None);
    }
    let (parts, handed_on) = batch.finish().unwrap();
    let mut found = Vec::new();
    for part in &parts {
        let documents = part.documents.as_ref().unwrap().as_binary::<i32>();
        let rows = part.rows.as_primitive::<Int64Type>().values();
        for (row, document) in rows.iter().zip(documents) {
            found.push((*row, String::from_utf8(document.unwrap().to_vec()).unwrap()));
        }
    }
    found.sort();
    (found, handed_on.values().to_vec())
}

#[test]
fn puts_every_row_in_one_place() {
    let (found, handed_on) = decoded(&[
        r#"{"type":"a","n":1}"#,
        r#"{"n":1,"type":"b"}"#,
        r#"{"s":"x","type":"b"}"#,
        r#"{"type":"c","n":1}"#,
        r#"{"n":100,"type":"a"}"#,
        "",
        r#"{"n":2,"type":"a"}"#,
        r#"{"s":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","type":"b"}"#,
        r#"{"type":"a","n":0,"x":1e5}"#,
        r#"{"type":"b"}"#,
    ]);
    let rows: Vec<_> = found.iter().map(|each| each.0).collect();
    assert_eq!(rows, [0, 1, 2, 6, 9]);
    assert_eq!(handed_on, [3, 4, 5, 7, 8]);
    assert_eq!(found[1].1, r#"{"type":"b","n":1}"#);
    assert_eq!(found[4].1, r#"{"type":"b"}"#);
}

#[test]
fn writes_documents_in_their_canonical_form() {
    for (raw, document) in [
        (r#"{"n":1,"x":1.50,"type":"a"}"#, r#"{"type":"a","n":1,"x":1.5}"#),
        (r#"{"x":12, "n" : 1,"type":"a"}"#, r#"{"type":"a","n":1,"x":12.0}"#),
        (r#"{"n":1,"x":0.0,"t":null,"type":"a"}"#, r#"{"type":"a","n":1}"#),
        (r#"{"n":1,"x":null,"type":"a"}"#, r#"{"type":"a","n":1,"x":null}"#),
        (
            r#"{"n":1,"x":0.3000000000000000444,"type":"a"}"#,
            r#"{"type":"a","n":1,"x":0.30000000000000004}"#,
        ),
        (
            r#"{"x":634846499436022.25,"n":1,"type":"a"}"#,
            r#"{"type":"a","n":1,"x":634846499436022.2}"#,
        ),
        (
            r#"{"type":"a","t":"2018-01-01T00:21:05Z","n":1}"#,
            r#"{"type":"a","n":1,"t":"2018-01-01T00:21:05.000000000Z"}"#,
        ),
        (r#"{"s":"é{}","n":1,"type":"b"}"#, r#"{"type":"b","s":"é{}","n":1}"#),
        (r#"{"s":"-","n":null,"type":"b"}"#, r#"{"type":"b"}"#),
    ] {
        assert_eq!(decoded(&[raw]).0, [(0, document.to_string())], "{raw}");
    }
    for raw in
        [r#"{"type":"a","n":1,"x":0.000001}"#, r#"{"type":"a","n":1,"x":1000000000000000.5}"#]
    {
        assert_eq!(decoded(&[raw]).1, [0], "{raw}");
    }
}

#[test]
fn has_the_columns_of_the_plan() {
    let (plan, bounds) = (Plan::read(PLAN).unwrap(), bounds());
    let mut batch = Batch::new(&plan, &bounds, 3);
    batch.add(0, Some(br#"{"type":"a","n":5,"x":null,"t":"1970-01-01T00:00:01Z"}"#), None);
    batch.add(1, None, None);
    batch.add(2, Some(br#"{"type":"a","n":6}"#), None);
    let (parts, handed_on) = batch.finish().unwrap();
    assert_eq!(handed_on.values(), &[1]);
    let [n, x, t] = &parts[0].columns[..] else { panic!("not three") };
    assert_eq!(n.as_primitive::<Int64Type>().values(), &[5, 6]);
    assert!(n.nulls().is_none() && x.is_null(0) && !x.is_null(1) && t.is_null(1));
    assert_eq!(t.as_primitive::<TimestampNanosecondType>().value(0), 1_000_000_000);
    assert_eq!(t.data_type().to_string(), "Timestamp(Nanosecond, Some(\"UTC\"))");
}

#[test]
fn hands_on_rows_without_room() {
    let (plan, bounds) = (Plan::read(PLAN).unwrap(), bounds());
    let raw = br#"{"type":"b","s":"x"}"#;
    let mut reader = Reader::new(&plan, &plan.types[1], bounds[1].clone());
    let mut events = Events::new(&plan, &plan.types[1], 2);
    let record = reader.read(raw).unwrap();
    events.room = raw.len() + events.most_added;
    assert!(events.add(0, &record));
    assert!(!events.add(1, &record));
}
