use super::canonical;
use crate::model::js_number;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::Value;

#[track_caller]
fn becomes(raw: &str, expected: &str) {
    assert_eq!(canonical(raw).unwrap(), expected, "from {raw}");
}

#[test]
fn white_space_goes_and_everything_else_stays() {
    becomes(" { \"b\" : [ 1 , true , null ] ,\n\t\"a\" : { } } ", r#"{"b":[1,true,null],"a":{}}"#);
    becomes("[]", "[]");
    becomes("\"x\"", "\"x\"");
    becomes("false", "false");
}

#[test]
fn keys_stand_in_javascripts_order() {
    becomes(r#"{"b":1,"10":2,"a":3,"9":4,"0":5}"#, r#"{"0":5,"9":4,"10":2,"b":1,"a":3}"#);
    becomes(
        r#"{"x":1,"01":2,"-1":3,"1.5":4,"4294967295":5,"4294967294":6,"":7}"#,
        r#"{"4294967294":6,"x":1,"01":2,"-1":3,"1.5":4,"4294967295":5,"":7}"#,
    );
    becomes(r#"{"\u0031":1,"0":2}"#, r#"{"0":2,"1":1}"#);
}

#[test]
fn of_a_key_twice_the_last_value_stands_at_the_first_place() {
    becomes(r#"{"a":1,"b":2,"a":{"c":3}}"#, r#"{"a":{"c":3},"b":2}"#);
    becomes(r#"{"a":1,"\u0061":2}"#, r#"{"a":2}"#);
    becomes(r#"[{"2":1,"1":1,"2":3}]"#, r#"[{"1":1,"2":3}]"#);
}

#[test]
fn numbers_are_javascripts_and_no_digit_of_an_integer_is_lost() {
    becomes("[1.0,-0,-0.0,1e3,0.10,1E-7,123456789.50]", "[1,0,0,1000,0.1,1e-7,123456789.5]");
    becomes("[9007199254740991,-9007199254740991]", "[9007199254740991,-9007199254740991]");
    becomes("[9007199254740992,-9007199254740993]", r#"["9007199254740992","-9007199254740993"]"#);
    becomes("[123456789012345678901234567890,1e30,1e999]", r#"["123456789012345678901234567890",1e+30,"1e999"]"#);
}

#[test]
fn escapes_are_those_of_stringify() {
    becomes(r#""\/\u002f\u00e9\u2028\u007f""#, "\"//\u{e9}\u{2028}\u{7f}\"");
    becomes(r#""\u0022\u005c\u0008\u000C\u000a\u000d\u0009\u0000\u001F""#, r#""\"\\\b\f\n\r\t\u0000\u001f""#);
    becomes(r#""\ud83d\ude00""#, "\"\u{1f600}\"");
    becomes(r#""\uD83D""#, r#""\ud83d""#);
    becomes(r#""\ude00\ud83d\ud83d\ude00 \ud83dx""#, "\"\\ude00\\ud83d\u{1f600} \\ud83dx\"");
}

#[test]
fn what_is_no_json_is_an_error_and_depth_has_a_limit() {
    for text in ["", "{", "[1,]", "{\"a\":1,}", "01", "nul", "\"\n\"", "1 2", "\"\\x\""] {
        assert!(canonical(text).is_err(), "{text:?}");
    }
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(canonical(&nested(120)).unwrap(), nested(120));
    assert!(canonical(&nested(100_000)).is_err());
}

/// JSON text with free spacing, escapes, keys and numbers.
fn json_text() -> impl Strategy<Value = String> {
    let string = prop_oneof!["[a-c0-3]{0,2}", "[ -~]{0,4}", any::<String>(),]
        .prop_map(|text| serde_json::to_string(&text).unwrap());
    let escaped = any::<Vec<u16>>()
        .prop_map(|units| format!("\"{}\"", units.iter().map(|unit| format!("\\u{unit:04X}")).collect::<String>()));
    let string = prop_oneof![4 => string, 1 => escaped];
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
        (any::<i32>(), 0..1000u32).prop_map(|(whole, fraction)| format!("{whole}.{fraction:03}")),
    ];
    let leaf = prop_oneof![string.clone(), number, Just("null".to_owned()), Just("true".to_owned())];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let member = (string.clone(), inner.clone()).prop_map(|(key, value)| format!("{key} :\t{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,\n"))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// The same text with each number as JavaScript reads and writes it, by another way than the code under test.
fn as_javascript_sees_it(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let is_rounded = number.as_i64().is_some_and(|n| n.unsigned_abs() > 9_007_199_254_740_991);
            let shown = number.to_string();
            if is_rounded { Value::String(shown) } else { Value::String(js_number(number.as_f64().unwrap())) }
        }
        Value::Array(items) => items.iter().map(as_javascript_sees_it).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), as_javascript_sees_it(v))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

proptest! {
    #[test]
    fn it_says_the_same_and_a_second_pass_changes_nothing(text in json_text()) {
        let once = canonical(&text).unwrap();
        // Half surrogate pairs are text to JavaScript but not to Rust.
        if let (Ok(before), Ok(after)) = (serde_json::from_str::<Value>(&text), serde_json::from_str::<Value>(&once)) {
            prop_assert_eq!(as_javascript_sees_it(&before), as_javascript_sees_it(&after));
        }
        // A fraction such as 1e20 is an integer to a second pass, and so is quoted by it.
        if !text.contains('e') {
            prop_assert_eq!(canonical(&once).unwrap(), once);
        }
    }

    #[test]
    fn any_text_is_rewritten_or_refused(text in "[\\[\\]{}:,\"\\\\u0-9a-e. -]{0,40}") {
        prop_assert_eq!(canonical(&text).is_ok(), serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
    }
}

/// Against JavaScript itself, where there is a `node` to ask.
#[test]
fn node_keeps_every_byte() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    const SCRIPT: &str = "const lines=require('fs').readFileSync(0,'utf8').split('\\n').filter(Boolean);\
        for(const line of lines){const kept=JSON.stringify(JSON.parse(line));\
        if(kept!==line){console.error(line+' becomes '+kept);process.exit(1)}}";
    let child = Command::new("node").args(["-e", SCRIPT]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        return;
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = json_text();
    let lines: Vec<String> =
        (0..500).map(|_| canonical(&strategy.new_tree(&mut runner).unwrap().current()).unwrap()).collect();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
