//! The dashboard's files.

/// One of them.
#[derive(Debug)]
pub(super) struct File {
    /// Its route.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/dashboard/", $name),
            content_type: $content_type,
            text: include_str!(concat!("dashboard/", $name)),
        }
    };
}

/// All of them.
pub(super) const FILES: &[File] = &[
    File { path: "/dashboard", content_type: HTML, text: include_str!("dashboard/index.html") },
    file!("dashboard.css", CSS),
    file!("main.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("chart.js", SCRIPT),
    file!("charts.js", SCRIPT),
    file!("choices.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("figures.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("insights.js", SCRIPT),
    file!("scale.js", SCRIPT),
    file!("session.js", SCRIPT),
    file!("table.js", SCRIPT),
];
