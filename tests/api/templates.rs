//! Templates and headers of a webhook: what is taken, what is told of them, and previews.

use crate::http_support::{Server, webhook};
use serde_json::{Value, json};

const LINE: &str = r#"{"text": "{{ object.name }} of {{ object.company }}"}"#;

fn line(template: &str) -> Value {
    json!({"template": template, "template_per": "object"})
}

#[tokio::test]
async fn a_template_is_kept_told_changed_and_taken_out() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, line(LINE)).await;
    let shown = |answer: &Value| (answer["template"].clone(), answer["template_per"].clone());
    assert_eq!(shown(&made), (json!(LINE), json!("object")));
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    assert_eq!(shown(&server.get(&path).await.ok()), shown(&made));
    // What is sent back unchanged changes nothing.
    let same = server.call("PUT", &path, &made).await.ok();
    assert_eq!((shown(&same), &same["updated_at"]), (shown(&made), &made["updated_at"]));
    let plain = json!({"template": "{{ data|length }} new", "template_per": "batch", "content_type": "text/plain"});
    let changed = server.call("PATCH", &path, &plain).await.ok();
    assert_eq!(changed["content_type"], "text/plain");
    assert_eq!(shown(&changed), (plain["template"].clone(), json!("batch")));
    let out = server.call("PATCH", &path, &json!({"template": null, "content_type": ""})).await.ok();
    assert!(out.get("template").is_none() && out.get("content_type").is_none(), "{out}");
}

#[tokio::test]
async fn a_template_is_checked_before_it_is_kept() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let made = server.webhook(&connection, line(LINE)).await;
    let path = format!("/unified/webhook/{}", made["id"].as_str().unwrap());
    let long = "x".repeat(65_537);
    let wrong = [
        (line("{\"text\":\n \"{{ object.nam }}\"}"), "template: line 2: undefined value"),
        (line("{% if %}"), "template: line 1: syntax error"),
        (line(r#"{"text": {{ object.name }}}"#), "template: what it makes is not JSON"),
        (line(r#"{"text": {{ object.emails|length + none }}}"#), "template: line 1:"),
        (
            line("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
            "steps that are allowed",
        ),
        (line("{{ 'x' * 1048577 }}"), "template: it makes more than the 1048576 bytes"),
        (line(&long), "template: longer than the 65536 bytes"),
        (json!({"template": LINE}), "template: line 1: undefined value: `object"),
        (json!({"template": LINE, "template_per": "page"}), "template_per: `page` is not known"),
        (json!({"template": 1}), "template: expected text"),
        (json!({"template": "1", "content_type": "json"}), "content_type: expected a type"),
        (json!({"headers": {"Host": "x"}}), "headers.Host: is set by Anyhook"),
        (json!({"headers": {"webhook-id": "x"}}), "headers.webhook-id: is set by Anyhook"),
        (json!({"headers": {"x-a": "a\nb"}}), "headers.x-a: has characters"),
        (json!({"headers": {"x-a": "{{ nothing }}"}}), "headers.x-a: line 1: undefined value"),
        (json!({"headers": {"x-a": "***"}}), "headers.x-a: is the mask"),
        (json!({"headers": "x-a: b"}), "headers: expected an object"),
        // Only what is delivered can be rendered.
        (json!({"template": LINE, "template_per": "object", "fields": "id,name"}), "`object.company` is undefined"),
    ];
    for (changes, part) in wrong {
        let created = server.call("POST", "/unified/webhook", &webhook(&connection, changes.clone())).await;
        created.refused(400, part);
        let stateless = webhook(&connection, changes);
        server.call("POST", "/unified/webhook/preview", &stateless).await.refused(400, part);
    }
    server.call("PATCH", &path, &line("{% if %}")).await.refused(400, "template: line 1: syntax error");
    server.call("PATCH", &path, &json!({"fields": "id,name"})).await.refused(400, "`object.company` is undefined");
    assert_eq!(server.get(&path).await.ok()["template"], LINE);
    let raw =
        json!({"template": r#"{"text": "{{ object.raw.any.thing }}"}"#, "template_per": "object", "fields": "id,raw"});
    server.webhook(&connection, raw).await;
}

#[tokio::test]
async fn values_of_headers_are_answered_by_nobody() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let headers = json!({"Authorization": "Bearer very-secret", "x-kind": "{{ type }}"});
    let made = server.webhook(&connection, json!({"headers": headers})).await;
    assert_eq!(made["headers"], json!({"authorization": "***", "x-kind": "***"}));
    let id = made["id"].as_str().unwrap();
    let path = format!("/unified/webhook/{id}");
    let preview = format!("{path}/preview");
    let texts = [
        made.to_string(),
        server.get(&path).await.text,
        server.get("/unified/webhook").await.text,
        server.call("POST", &preview, &json!({})).await.text,
        format!("{:?}", server.store.webhook(id.parse().unwrap()).await.unwrap()),
        serde_json::to_string(&server.store.webhook(id.parse().unwrap()).await.unwrap()).unwrap(),
    ];
    for text in texts {
        assert!(text.contains("authorization") && !text.contains("very-secret"), "{text}");
    }
    // The mask stands for what is kept; what is left out is taken out.
    let before = server.store.webhook(id.parse().unwrap()).await.unwrap().unwrap();
    server.call("PUT", &path, &made).await.ok();
    assert_eq!(server.store.webhook(id.parse().unwrap()).await.unwrap().unwrap(), before);
    let fewer = server.call("PATCH", &path, &json!({"headers": {"authorization": "***"}})).await.ok();
    assert_eq!(fewer["headers"], json!({"authorization": "***"}));
    let none = server.call("PATCH", &path, &json!({"headers": {}})).await.ok();
    assert!(none.get("headers").is_none(), "{none}");
}

#[tokio::test]
async fn previews_show_what_would_be_sent() {
    let server = Server::start().await;
    let connection = server.connection().await;
    let asked = json!({"object_type": "crm_contact", "template": LINE, "template_per": "object", "headers": {"x-kind": "{{ type }}"},
        "data": {"id": "7", "name": "Ann \"A\"", "company": "C"}});
    let made = server.call("POST", "/unified/webhook/preview", &asked).await.ok();
    let shown = json!({"is_sent": true, "body": r#"{"text": "Ann \"A\" of C"}"#, "content_type": "application/json", "headers": {"x-kind": "VIRTUAL"}});
    assert_eq!(made, shown);
    let sampled = json!({"object_type": "crm_contact", "template": r#"{{ data[0].emails[0].email|tojson }}"#});
    let sampled = server.call("POST", "/unified/webhook/preview", &sampled).await.ok();
    assert!(sampled["body"].as_str().unwrap().contains('@'), "{sampled}");
    let nothing = json!({"object_type": "crm_contact", "template": "{% if object.title == 'x' %}1{% endif %}", "template_per": "object"});
    assert_eq!(server.call("POST", "/unified/webhook/preview", &nothing).await.ok(), json!({"is_sent": false}));

    let webhook = server.webhook(&connection, line(LINE)).await;
    let path = format!("/unified/webhook/{}/preview", webhook["id"].as_str().unwrap());
    let own = server.call("POST", &path, &json!({"data": [{"id": "1", "name": "B"}]})).await.ok();
    assert_eq!(own["body"], r#"{"text": "B of "}"#);
    let other = server.call("POST", &path, &json!({"template": "{{ webhook.id|tojson }}"})).await.ok();
    assert_eq!(other["body"], format!("{:?}", webhook["id"].as_str().unwrap()));
    assert_eq!(server.get(&path.replace("/preview", "")).await.ok()["template"], LINE, "nothing is kept");
    server.call("POST", &path, &json!({"data": [1]})).await.refused(400, "data: expected");
    server
        .call("POST", "/unified/webhook/preview", &json!({"object_type": "crm_contact"}))
        .await
        .refused(400, "template: is missing");
    server
        .call("POST", "/unified/webhook/preview", &json!({"object_type": "x", "template": "1"}))
        .await
        .refused(400, "object_type");
    let stranger = server.other_key().await;
    let headers = [("authorization", stranger.as_str())];
    server.send("POST", &path, &headers, b"").await.refused(404, "webhook");
    server.send("POST", "/unified/webhook/preview", &[], b"{}").await.refused(401, "authorization");
}
