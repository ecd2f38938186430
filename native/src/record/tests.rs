use super::*;

const PLAN: &str = r#"{"max_record_bytes":1000,"tag":"type","documents":false,"types":[{"text":"t","fields":[
    {"name":"i","kind":"int32","nullable":false,"optional":true,"default":7,"minimum":-5,"maximum":99},
    {"name":"d","kind":"double","nullable":true,"optional":false,"minimum":-1.5,"maximum":1e300},
    {"name":"b","kind":"boolean","nullable":false,"optional":true,"default":null},
    {"name":"s","kind":"string","nullable":false,"optional":true,"default":"x","max_length":3,"min_length":1},
    {"name":"e","kind":"string","nullable":true,"optional":true,"default":"Y","max_length":9,"enum":["Y","é"]},
    {"name":"w","kind":"timestamp","nullable":true,"optional":true,"default":null,"unit":"us","factor":1000},
    {"name":"z","kind":"timestamp","nullable":true,"optional":true,"default":null,"unit":"ms","factor":0}]}]}"#;

fn check(raws: &[&str], accepted: bool) {
    let plan = Plan::read(PLAN).unwrap();
    let bounds = vec![(0, 10_000), (0, 1_600_000_000_000)];
    let mut reader = Reader::new(&plan, &plan.types[0], bounds);
    for raw in raws {
        assert_eq!(reader.read(raw.as_bytes()).is_some(), accepted, "{raw}");
    }
}

#[test]
fn accepts_members_in_any_order_with_white_space() {
    check(
        &[
            r#"{"type":"t","d":1}"#,
            r#"{"d":null,"type":"t"}"#,
            " {\r\n\t\"d\" : 1.5 , \"type\" :\t\"t\" ,\"z\":null, \"i\":-5 } \n",
            r#"{"z":"2018-01-01T00:00:00Z","w":10,"e":"é","s":"éé€","b":true,"d":-1.5,"i":99,"type":"t"}"#,
            r#"{"i":1,"d":1,"b":false,"s":"x","e":null,"w":null,"z":"2018-01-01T00:00:00.000Z","type":"t"}"#,
        ],
        true,
    );
}

#[test]
fn hands_on_what_is_not_the_object_of_its_type() {
    check(
        &[
            "",
            " ",
            "{}",
            "[]",
            "{",
            r#"{"d":1}"#,
            r#"{"type":"t"}"#,
            r#"{"type":"u","d":1}"#,
            r#"{"type":"tt","d":1}"#,
            r#"{"type":"","d":1}"#,
            r#"{"type":t,"d":1}"#,
            r#"{"type":"t","d":1,}"#,
            r#"{"type":"t","d":1"#,
            r#"{"type":"t","d":1}}"#,
            r#"{"type":"t","d":1}x"#,
            r#"{"type":"t","d":1,"d":1}"#,
            r#"{"type":"t","d":1,"type":"t"}"#,
            r#"{"type":"t","d":1,"unknown":1}"#,
            r#"{"type":"t","d":1,"":1}"#,
            r#"{"type":"t""d":1}"#,
            r#"{"type":"t","d" 1}"#,
            r#"{"type":"t",,"d":1}"#,
            r#"{,"type":"t","d":1}"#,
            r#"{"type":"t","d":{}}"#,
            r#"{"type":"t","d":[1]}"#,
            r#"{"type":"t",d:1}"#,
            "{\"type\":\"t\",\x0b\"d\":1}",
            "\u{feff}{\"type\":\"t\",\"d\":1}",
        ],
        false,
    );
}

#[test]
fn hands_on_values_that_a_field_may_not_have() {
    for member in [
        r#""i":100"#,
        r#""i":-6"#,
        r#""i":null"#,
        r#""i":1.0"#,
        r#""i":"1""#,
        r#""i":-0"#,
        r#""i":"#,
        r#""b":null"#,
        r#""b":1"#,
        r#""b":True"#,
        r#""b":truex"#,
        r#""b":tru"#,
        r#""b":"true""#,
        r#""s":"""#,
        r#""s":"éé€é""#,
        r#""s":null"#,
        r#""s":1"#,
        r#""s":"\u0041""#,
        "\"s\":\"\t\"",
        r#""e":"N""#,
        r#""e":"""#,
        r#""e":nul"#,
        r#""e":nulll"#,
        r#""e":"Y"#,
        r#""w":-1"#,
        r#""w":11"#,
        r#""w":"10""#,
        r#""w":9223372036854775807"#,
        r#""w":1.0"#,
        r#""z":"2030-01-01T00:00:00Z""#,
        r#""z":"1969-12-31T23:59:59.999Z""#,
        r#""z":0"#,
        r#""z":"2018-01-01T00:00:00""#,
        r#""z":"2018-01-01T00:00:00Z"#,
        r#""z":"2018-01-01T00:00:00Z ""#,
    ] {
        check(&[&format!(r#"{{"type":"t",{member},"d":1}}"#)], false);
        check(&[&format!(r#"{{"type":"t","d":1,{member}}}"#)], false);
    }
    for value in ["-1.6", "1e5", "true", "\"1\"", "-0.0", "01", "1.", "nul"] {
        check(&[&format!(r#"{{"type":"t","d":{value}}}"#)], false);
    }
}

#[test]
fn fills_slots_and_forgets_those_of_the_record_before() {
    let plan = Plan::read(PLAN).unwrap();
    let mut reader = Reader::new(&plan, &plan.types[0], vec![(0, 10_000), (0, 0)]);
    let first = br#"{"i":3,"d":null,"b":true,"s":"abc","w":2,"type":"t"}"#;
    let record = reader.read(first).unwrap();
    let slots = record.slots;
    assert_eq!((slots[0].bits, slots[2].bits, slots[5].bits), (3, 1, 2000));
    assert!(slots[1].is_null() && !slots[1].is_absent());
    assert_eq!(record.text(&slots[3]), b"abc");
    let slots = reader.read(br#"{"type":"t","d":0.5}"#).unwrap().slots;
    assert_eq!((slots[0].bits, slots[0].form), (7, Form::Default));
    assert_eq!(slots[1].bits, 0.5_f64.to_bits());
    assert!(slots[2].is_null() && slots[2].is_absent() && slots[5].is_null());
    assert!(reader.read(br#"{"type":"t"}"#).is_none());
    assert!(reader.tag_found());
    assert!(reader.read(br#"{"d":1}"#).is_none());
    assert!(!reader.tag_found());
}
