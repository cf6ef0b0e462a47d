//! What the process tells of itself: log lines on stderr, and metrics for Prometheus.

use crate::settings::LogFormat;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;
use std::time::Duration;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Upper bounds of the buckets that durations fall into, in seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// How often the handle's `run_upkeep` must be called, so that what was recorded does not pile up.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("ANYHOOK_LOG is no filter of log lines, such as info or anyhook::poll=debug,warn: {0}")]
    Filter(String),
    /// Something in this process takes log lines already.
    #[error("log lines are taken already: {0}")]
    Taken(#[from] TryInitError),
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] BuildError),
}

/// Starts writing log lines to stderr. Once per process.
pub fn start_log(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter(error.to_string()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

/// Starts recording metrics, and answers the handle that renders them. Every call answers the same one.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    if let Some(handle) = METRICS.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new().set_buckets(SECONDS)?.install_recorder()?;
    Ok(METRICS.get_or_init(|| handle).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_refused_by_name() {
        let error = start_log("anyhook=loud", LogFormat::Text).unwrap_err().to_string();
        assert!(error.contains("ANYHOOK_LOG"), "{error}");
    }

    #[test]
    fn what_is_counted_is_rendered() {
        start_metrics().unwrap();
        metrics::counter!("telemetry_test_total").increment(2);
        let text = start_metrics().unwrap().render();
        assert!(text.contains("telemetry_test_total 2"), "{text}");
    }
}
