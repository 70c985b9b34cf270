//! What a process tells about itself: a log on standard error, and traces over OTLP where asked for.
//!
//! It is initialised once, first thing in a process, and flushed last: see [`Guard::stop`]. A collector that does not answer
//! costs at most [`FLUSH`] at the end and nothing before.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Longest wait for the last spans to be taken by the collector.
pub const FLUSH: Duration = Duration::from_secs(3);

/// Libraries whose own log is of use only when they are in error, or not even then: the embedded broker's transport calls its own
/// first attempt to reach the name server an error.
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

/// What is told, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the service, such as `rocketbridge-router`.
    pub service: String,
    /// `info`, or targets with levels as `tracing`'s `EnvFilter` reads them.
    pub level: String,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// OTLP over gRPC; `None` exports nothing.
    pub otlp_endpoint: Option<String>,
}

/// Telemetry cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is not one.
    #[error("cannot read the log level {level:?}")]
    Level {
        /// As given.
        level: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The exporter cannot be made.
    #[error("cannot export to {endpoint}")]
    Exporter {
        /// Where.
        endpoint: String,
        /// Why.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Something else in this process has started telemetry already.
    #[error("telemetry has been started before")]
    Started,
}

/// Keeps telemetry going; stop it last.
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
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = if settings.json { log.json().boxed() } else { log.with_ansi(false).boxed() };
    tracing_subscriber::registry().with(filter).with(log).with(traces).try_init().map_err(|_| Error::Started)?;
    Ok(Guard { provider })
}

impl Guard {
    /// Flushes what is left, for at most [`FLUSH`].
    pub async fn stop(self) {
        if let Some(provider) = self.provider {
            // Blocks until the collector answers, so it runs apart from the tasks and is given up in time.
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
