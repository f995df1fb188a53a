//! What is counted and measured.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The type of the text: OpenMetrics, which Prometheus reads.
pub const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

/// Counts of a service since its start.
pub struct Metrics {
    registry: Registry,
    requests: Family<OfRequest, Counter>,
    seconds: Family<OfRoute, Histogram, fn() -> Histogram>,
    batches: Family<OfModel, Histogram, fn() -> Histogram>,
    panics: Family<OfModel, Counter>,
    queued: Family<OfModel, Gauge>,
    refused: Counter,
    connections: Gauge,
    body_bytes: Gauge,
    resident: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// Counts of nothing.
    pub fn new() -> Self {
        // 1 ms to 33 s, and 1 to 1024 pictures.
        let seconds = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(0.001, 2.0, 16))) as fn() -> _,
        );
        let batches = Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(1.0, 2.0, 11))) as fn() -> _,
        );
        let mut metrics = Self {
            registry: Registry::with_prefix("gsb"),
            requests: Family::default(),
            seconds,
            batches,
            panics: Family::default(),
            queued: Family::default(),
            refused: Counter::default(),
            connections: Gauge::default(),
            body_bytes: Gauge::default(),
            resident: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "requests",
            "Requests that were answered",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from the headers of a request to its answer",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "batch_pictures",
            "Pictures that were classified together",
            metrics.batches.clone(),
        );
        registry.register(
            "panics",
            "Predictions that panicked",
            metrics.panics.clone(),
        );
        registry.register(
            "queued_pictures",
            "Pictures that wait",
            metrics.queued.clone(),
        );
        registry.register(
            "refused_connections",
            "Connections beyond the limit",
            metrics.refused.clone(),
        );
        registry.register(
            "connections",
            "Open connections",
            metrics.connections.clone(),
        );
        registry.register_with_unit(
            "body",
            "Bodies in memory",
            Unit::Bytes,
            metrics.body_bytes.clone(),
        );
        registry.register_with_unit(
            "resident_memory",
            "Memory of the process, 0 where the system does not tell",
            Unit::Bytes,
            metrics.resident.clone(),
        );
        metrics
    }

    /// A request was answered.
    pub fn request(&self, route: &str, status: u16, time: Duration) {
        let route = route.to_string();
        self.seconds
            .get_or_create(&OfRoute {
                route: route.clone(),
            })
            .observe(time.as_secs_f64());
        self.requests
            .get_or_create(&OfRequest { route, status })
            .inc();
    }

    /// Pictures are classified together.
    pub fn batch(&self, model: &str, pictures: usize) {
        self.batches
            .get_or_create(&of_model(model))
            .observe(pictures as f64);
    }

    /// A prediction panicked.
    pub fn panic(&self, model: &str) {
        self.panics.get_or_create(&of_model(model)).inc();
    }

    /// A connection was turned away.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// How many pictures wait for a model.
    pub fn queued(&self, model: &str, pictures: usize) {
        self.queued
            .get_or_create(&of_model(model))
            .set(pictures as i64);
    }

    /// All of it as text.
    pub fn text(&self, connections: usize, body_bytes: usize) -> String {
        self.connections.set(connections as i64);
        self.body_bytes.set(body_bytes as i64);
        self.resident.set(resident());
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all text");
        text
    }
}

fn of_model(model: &str) -> OfModel {
    OfModel {
        model: model.into(),
    }
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        size.and_then(|size| size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
