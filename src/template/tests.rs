use super::*;
use crate::limits::DeliverLimits;
use crate::store::TemplatePer;
use std::collections::BTreeMap;

const OBJECTS: &[u8] = br#"{"id":"1","name":"Say \"hi\" & <go>\n","n":2.5,"list":["a","b"],"at":null},{"id":"2"}"#;
const FIRST: &[u8] = br#"{"id":"1","name":"Say \"hi\" & <go>\n","n":2.5,"list":["a","b"],"at":null}"#;

fn seen() -> Seen {
    Seen::new(br#"{"id":"w","event":"updated"}"#, Some("their-ref")).unwrap()
}

fn plan(template: &str) -> Plan {
    Plan { template: Some(template.to_owned()), ..Plan::default() }
}

fn with_headers(headers: &[(&str, &str)]) -> Plan {
    let headers = headers.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
    Plan { headers, ..Plan::default() }
}

fn limits() -> DeliverLimits {
    DeliverLimits::default()
}

fn render_with(plan: &Plan, reading: Reading, objects: &[u8], limits: &DeliverLimits) -> Result<Rendered, String> {
    let payload = Payload { objects, kind: "VIRTUAL", nonce: "abc" };
    let made = Output::new(plan, seen(), reading, limits).and_then(|output| output.render(payload));
    made.map_err(|error| error.to_string())
}

fn parts(plan: &Plan, objects: &[u8]) -> Parts {
    match render_with(plan, Reading::Lenient, objects, &limits()).unwrap() {
        Rendered::Parts(parts) => parts,
        Rendered::Nothing => panic!("there is something to send"),
    }
}

fn text(plan: &Plan, objects: &[u8]) -> String {
    String::from_utf8(parts(plan, objects).body.unwrap().0.to_vec()).unwrap()
}

fn wrong(plan: &Plan, objects: &[u8]) -> String {
    render_with(plan, Reading::Lenient, objects, &limits()).unwrap_err()
}

fn typed(template: &str, content_type: &str) -> Plan {
    Plan { content_type: Some(content_type.to_owned()), ..plan(template) }
}

#[test]
fn it_sees_the_payload() {
    let all = r#"{"ids": [{% for o in data %}"{{ o.id }}"{{ "," if not loop.last }}{% endfor %}], "is": "{{ type }} {{ nonce }} {{ external_xref }} {{ webhook.event }}"}"#;
    assert_eq!(text(&plan(all), OBJECTS), r#"{"ids": ["1","2"], "is": "VIRTUAL abc their-ref updated"}"#);
    let each = Plan { per: TemplatePer::Object, ..plan(r#"{"text": "{{ object.id }} of {{ data|length }}"}"#) };
    assert_eq!(text(&each, FIRST), r#"{"text": "1 of 1"}"#);
    assert_eq!(
        text(&plan("{{ data|tojson }}"), FIRST),
        r#"[{"id": "1", "name": "Say \"hi\" \u0026 \u003cgo\u003e\n", "n": 2.5, "list": ["a", "b"], "at": null}]"#,
        "in the order of the object"
    );
    assert!(text(&plan(r#""{{ sig }}{{ sig256 }}""#), FIRST) == r#""""#, "a signature cannot be over itself");
}

#[test]
fn what_is_printed_cannot_leave_its_place() {
    let quoted = text(&plan(r#"{"a": "{{ data[0].name }}", "n": {{ data[0].n }}, "z": {{ data[0].at }}}"#), FIRST);
    assert_eq!(quoted, r#"{"a": "Say \"hi\" & <go>\n", "n": 2.5, "z": null}"#);
    assert_eq!(text(&plan("{{ ('x' ~ data[0].id)|tojson }}"), FIRST), r#""x1""#);
    assert_eq!(text(&plan(r#"{% set x %}"{{ data[0].name }}"{% endset %}{{ x }}"#), FIRST), r#""Say \"hi\" & <go>\n""#);
    assert_eq!(
        text(&typed("n={{ data[0].name }}", "application/x-www-form-urlencoded"), FIRST),
        "n=Say+%22hi%22+%26+%3Cgo%3E%0A"
    );
    assert_eq!(
        text(&typed("<b>{{ data[0].name|trim }}</b>", "text/html; charset=utf-8"), FIRST),
        "<b>Say &quot;hi&quot; &amp; &lt;go&gt;</b>"
    );
    assert_eq!(text(&typed("{{ data[0].name }}", "text/plain"), FIRST), "Say \"hi\" & <go>\n");
    assert!(wrong(&plan("{{ data[0].list }}"), FIRST).contains("|tojson"));
}

#[test]
fn json_has_to_be_json() {
    let error = wrong(&plan("{\"a\": {{ data[0].name }}}"), FIRST);
    assert!(error.starts_with("template: what it makes is not JSON") && error.contains("|tojson"), "{error}");
    assert!(wrong(&typed("a", "application/vnd.api+json"), FIRST).contains("not JSON"));
    assert_eq!(parts(&typed("a", "text/plain"), FIRST).body.unwrap().1, "text/plain");
    assert_eq!(parts(&plan("1"), FIRST).body.unwrap().1, "application/json");
    for content_type in ["json", "a b/c", "text/plain\r\nx: y", "/", ""] {
        assert!(wrong(&typed("1", content_type), FIRST).starts_with("content_type: expected"), "{content_type}");
    }
}

#[test]
fn nothing_is_nothing_to_send() {
    let if_named = plan("  {% if data[0].name %}1{% endif %}\n\t");
    assert_eq!(render_with(&if_named, Reading::Lenient, br#"{"id":"1"}"#, &limits()), Ok(Rendered::Nothing));
    assert_eq!(text(&if_named, FIRST).trim(), "1");
    let each = Plan { per: TemplatePer::Object, ..plan("1") };
    assert_eq!(
        render_with(&each, Reading::Lenient, b"", &limits()),
        Ok(Rendered::Nothing),
        "no object, nothing to say"
    );
    assert_eq!(text(&plan("{{ data|length }}"), b""), "0");
}

#[test]
fn a_check_finds_what_a_delivery_would_forgive() {
    let check = |template: &str| {
        let sample = Sample { object: FIRST, open: &["raw"] };
        super::check(&plan(template), &seen(), sample, &limits()).map_err(|error| error.to_string())
    };
    assert_eq!(check(r#"{"a": "{{ data[0].name }}"}"#), Ok(()));
    assert_eq!(text(&plan(r#""{{ data[0].nam.x }}""#), FIRST), r#""""#);
    let error = check("{\"a\":\n \"{{ data[0].nam }}\"}").unwrap_err();
    assert!(error.starts_with("template: line 2: undefined value") && error.contains("nam"), "{error}");
    let error = check("{\"a\": {{ data[0].n }}}").unwrap_err();
    assert!(error.contains("only its id") && error.contains("default"), "{error}");
    assert_eq!(check("{\"a\": {{ data[0].n|tojson }}}"), Ok(()), "a field that is missing is null");
    let optional =
        r#"{"a": "{{ data[0].name|upper|trim }} {{ data[0].list[0] }} {{ data[0].name|default('')|length }}"}"#;
    assert_eq!(check(optional), Ok(()));
    let raw = r#"{"a": "{{ data[0].raw.list[0].name }}", "b": {{ data[0].raw.n|tojson }}{% for x in data[0].raw.y %}{% endfor %}}"#;
    assert_eq!(check(raw), Ok(()), "what the vendor's own object has is not known here");
    let error = check("\n{% if %}").unwrap_err();
    assert!(error.starts_with("template: line 2: syntax error"), "{error}");
}

#[test]
fn loops_and_bytes_and_depth_have_an_end() {
    let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{% set x = 1 %}{% endfor %}{% endfor %}";
    assert!(wrong(&plan(endless), FIRST).contains("ANYHOOK_DELIVER_TEMPLATE_FUEL"));
    for huge in [
        "{{ 'x' * 1000000000 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ 1|indent(999999999) }}",
        "{% set ns = namespace(x='x') %}{% for i in range(99999) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ] {
        let error = wrong(&typed(huge, "text/plain"), FIRST);
        assert!(error.contains("FUEL") || error.contains("invalid operation"), "{huge}: {error}");
    }
    let output = wrong(&typed("{{ 'x' * 1048577 }}", "text/plain"), FIRST);
    assert_eq!(output, "template: it makes more than the 1048576 bytes that are taken");
    let deep = "{% for o in data recursive %}{{ loop(data) }}{% endfor %}";
    assert!(
        wrong(&typed(deep, "text/plain"), FIRST).contains("recursion limit"),
        "{}",
        wrong(&typed(deep, "text/plain"), FIRST)
    );
    let long = " ".repeat(limits().template_bytes_max + 1);
    assert!(wrong(&plan(&long), FIRST).contains("ANYHOOK_DELIVER_TEMPLATE_BYTES_MAX"));
    let nested = "(".repeat(60_000);
    assert!(wrong(&plan(&format!("{{{{ {nested} }}}}")), FIRST).starts_with("template: line 1"));
}

#[test]
fn what_is_not_there_cannot_be_used() {
    for (template, _) in [
        ("{% include 'x' %}", 1),
        ("{% import 'x' as y %}", 1),
        ("{% extends 'x' %}", 1),
        ("{% macro x() %}{% endmacro %}", 1),
        ("{{ debug() }}", 1),
        ("{{ now() }}", 1),
        ("{{ data|random }}", 1),
        ("{{ lipsum() }}", 1),
    ] {
        assert!(wrong(&typed(template, "text/plain"), FIRST).starts_with("template: line 1"), "{template}");
    }
}

#[test]
fn the_same_payload_renders_the_same_bytes() {
    let template = plan(r#"{{ dict(z=1, a=data[0], m=webhook)|tojson }}"#);
    assert_eq!(text(&template, OBJECTS), text(&template, OBJECTS));
    assert!(text(&template, OBJECTS).starts_with(r#"{"z": 1, "a": {"id": "1""#));
}

#[test]
fn headers_are_written_and_marked_as_secret() {
    let plan =
        with_headers(&[("authorization", "Bearer t"), ("x-kind", "{{ type|lower }}"), ("x-none", "{{ external }}")]);
    let made = parts(&plan, FIRST);
    assert_eq!(made.body, None, "the payload is sent");
    let headers: Vec<_> = made.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("authorization", "Bearer t"), ("x-kind", "virtual")]);
    assert!(!format!("{:?}", made.headers).contains("Bearer"));
    let injected = with_headers(&[("x-a", "{{ data[0].name }}x")]);
    assert_eq!(wrong(&injected, FIRST), "headers.x-a: has characters that cannot stand in a header");
    let broken = with_headers(&[("x-a", "{{ 'very-secret'|nofilter }}")]);
    assert!(!wrong(&broken, FIRST).contains("very-secret"));
}

#[test]
fn names_that_are_ours_are_refused() {
    let names = "Host content-length Content-Type connection keep-alive proxy-connection te trailer transfer-encoding upgrade expect webhook-id Webhook-Signature anyhook-sequence x-hub-signature-256 accept-encoding content-encoding";
    for name in names.split(' ') {
        let error = wrong(&with_headers(&[(name, "x")]), FIRST);
        assert!(error.starts_with(&format!("headers.{name}: is set by")), "{error}");
    }
    assert_eq!(wrong(&with_headers(&[("a b", "x")]), FIRST), "headers.a b: is not the name of a header");
    let many: Vec<String> = (0..33).map(|number| format!("x-{number}")).collect();
    let headers: BTreeMap<String, String> = many.into_iter().map(|name| (name, "x".to_owned())).collect();
    assert!(wrong(&Plan { headers, ..Plan::default() }, FIRST).starts_with("headers: more than the 32"));
    let long = "x".repeat(limits().header_bytes_max + 1);
    assert!(wrong(&with_headers(&[("x-a", &long)]), FIRST).contains("ANYHOOK_DELIVER_HEADER_BYTES_MAX"));
}
