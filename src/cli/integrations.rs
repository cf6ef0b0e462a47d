//! `anyhook integrations`: what each integration can do, drawn from its manifest.

use super::CliError;
use super::output::{Tone, toned};
use crate::api_model::integration::{IntegrationView, kinds};
use crate::store::WebhookKind;
use anyhook_connectors::contract::{AuthMethod, AuthScheme, Change, Manifest, ObjectSpec};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

/// Columns of the table where stdout is no terminal whose width is known.
const PLAIN_WIDTH: u16 = 160;

/// List what each integration can do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  anyhook integrations
  anyhook integrations github
  anyhook integrations --json | jq '.[].type'

virtual: found by polling. native: sent by the vendor, and taken in by Anyhook.")]
pub(super) struct Arguments {
    /// Only this integration, with how to sign in
    integration: Option<String>,
    /// Print JSON, as GET /unified/integration answers it
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let all = anyhook_connectors::all().iter().map(|connector| connector.manifest());
    let wanted =
        |manifest: &&Manifest| arguments.integration.as_deref().is_none_or(|name| name == manifest.integration);
    let manifests: Vec<&Manifest> = all.filter(wanted).collect();
    if let (Some(name), true) = (&arguments.integration, manifests.is_empty()) {
        return Err(CliError::Usage(format!("there is no integration {name}: see anyhook integrations")));
    }
    let mut out = stdout().lock();
    if arguments.json {
        let rows: Vec<_> = manifests.iter().map(|manifest| IntegrationView::new(manifest, false)).collect();
        serde_json::to_writer_pretty(&mut out, &rows).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}", table(&manifests).trim_fmt())?;
    if arguments.integration.is_some() {
        manifests.iter().try_for_each(|manifest| write!(out, "{}", how_to_connect(manifest)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How an event of this kind reaches a webhook.
fn ways(manifest: &Manifest, spec: &ObjectSpec, change: Change) -> String {
    let kinds = kinds(manifest, spec, change).into_iter().map(|kind| match kind {
        WebhookKind::Virtual => "virtual",
        WebhookKind::Native => "native",
    });
    cell(&kinds.collect::<Vec<_>>())
}

fn method_name(method: &AuthMethod) -> &'static str {
    match method.scheme {
        AuthScheme::Bearer(_) => "bearer token",
        AuthScheme::Header { .. } => "key in a header",
        AuthScheme::Query { .. } => "key in the query",
        AuthScheme::Basic { .. } => "user and password",
        AuthScheme::OAuth2 { .. } => "OAuth 2",
        AuthScheme::None => "none",
    }
}

fn table(manifests: &[&Manifest]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !stdout().is_terminal() {
        table.set_width(PLAIN_WIDTH);
    }
    table.set_header(["INTEGRATION", "OBJECT TYPE", "CREATED", "UPDATED", "DELETED", "FILTERS", "SIGN IN"]);
    for manifest in manifests {
        let sign_in: Vec<&str> = manifest.auth.iter().map(method_name).collect();
        for (line, spec) in manifest.objects.iter().enumerate() {
            // What holds for the whole integration stands in its first line alone.
            let first = |text: String| if line == 0 { text } else { String::new() };
            table.add_row([
                first(manifest.integration.to_owned()),
                spec.object_type.to_string(),
                ways(manifest, spec, Change::Created),
                ways(manifest, spec, Change::Updated),
                ways(manifest, spec, Change::Deleted),
                cell(spec.filters),
                first(sign_in.join(", ")),
            ]);
        }
    }
    table
}

fn cell(words: &[&str]) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// What a person needs to connect an account.
fn how_to_connect(manifest: &Manifest) -> String {
    let mut text = format!("\n{}  {}\n", toned(manifest.name, Tone::Strong), manifest.web_url);
    for method in manifest.auth {
        text.push_str(&format!("  sign in by {}:\n", method_name(method)));
        for field in method.fields {
            text.push_str(&format!("    {:<24} {}: {}\n", field.field.path(), field.name, field.instruction));
        }
    }
    text.push_str(&format!("  rate limit: {}\n  API: {}\n", manifest.rate_limit.description, manifest.api_docs_url));
    text
}
