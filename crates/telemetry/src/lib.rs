//! The telemetry of a process: a log on standard error, and traces over OTLP where configured.
//!
//! A process starts telemetry first and flushes it last: see [`Guard::stop`]. A collector that does not answer delays the end by at most
//! [`FLUSH`], and nothing before.

mod writer;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The longest wait until the collector has taken the last spans.
pub const FLUSH: Duration = Duration::from_secs(3);

/// Libraries whose log is useful only for errors, or not even then: the embedded broker's transport logs its first attempt to reach the
/// name server as an error.
const QUIET: [(&str, &str); 13] = [
    ("h2", "error"),
    ("hyper", "error"),
    ("tower", "error"),
    ("tonic", "error"),
    ("rustls", "error"),
    ("rocketmq_auth", "error"),
    ("rocketmq_broker", "error"),
    ("rocketmq_model", "error"),
    ("rocketmq_namesrv", "error"),
    ("rocketmq_runtime", "error"),
    ("rocketmq_store", "error"),
    ("rocketmq_store_local", "error"),
    ("rocketmq_transport", "off"),
];

/// What is logged and traced, and where to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the service, such as `rocketbridge-router`.
    pub service: String,
    /// `info`, or targets with levels as `tracing`'s `EnvFilter` reads them.
    pub level: String,
    /// Whether the log is one JSON object for each line instead of text.
    pub json: bool,
    /// The OTLP endpoint (gRPC); `None` exports nothing.
    pub otlp_endpoint: Option<String>,
}

/// Telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log level cannot be read.
    #[error("cannot read the log level {level:?}")]
    Level {
        /// The level as it was given.
        level: String,
        /// The cause.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter cannot be made.
    #[error("cannot export to {endpoint}")]
    Exporter {
        /// The endpoint.
        endpoint: String,
        /// The cause.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Telemetry was started before in this process.
    #[error("telemetry was started before in this process")]
    Started,
}

/// Keeps telemetry running; stop it last.
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

/// Starts telemetry. Must be called within a tokio runtime if it exports.
pub fn start(settings: &Settings) -> Result<Guard, Error> {
    let mut filter = EnvFilter::try_new(&settings.level).map_err(|source| Error::Level { level: settings.level.clone(), source })?;
    for (library, level) in QUIET {
        if !settings.level.contains(library) {
            let directive =
                format!("{library}={level}").parse().map_err(|source| Error::Level { level: settings.level.clone(), source })?;
            filter = filter.add_directive(directive);
        }
    }
    let provider = settings.otlp_endpoint.as_deref().map(|endpoint| provider(&settings.service, endpoint)).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("rocketbridge")).with_location(false).with_threads(false)
    });
    let log = tracing_subscriber::fmt::layer().with_writer(writer::Escaped(std::io::stderr));
    let log = if settings.json { log.json().boxed() } else { log.with_ansi(false).boxed() };
    tracing_subscriber::registry().with(filter).with(log).with(traces).try_init().map_err(|_| Error::Started)?;
    Ok(Guard { provider })
}

impl Guard {
    /// Flushes the remaining spans, for at most [`FLUSH`].
    pub async fn stop(self) {
        if let Some(provider) = self.provider {
            // The flush blocks until the collector answers, so it runs apart from the tasks and is abandoned at the limit.
            let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
            let _ = tokio::time::timeout(FLUSH, flush).await;
        }
    }
}

fn provider(service: &str, endpoint: &str) -> Result<SdkTracerProvider, Error> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(FLUSH)
        .build()
        .map_err(|source| Error::Exporter { endpoint: endpoint.to_owned(), source })?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(service.to_owned()).build())
        .build())
}
