//! Requests and who answers them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{self, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::Options;
use crate::answer::{Predicted, Predictions};
use crate::body::{self, Incoming};
use crate::metrics::{self, Metrics};
use crate::page::{OPENAPI, PageFile, find};
use crate::queue::Job;
use crate::refusal::Refusal;
use crate::request::{Form, Query, Wanted};
use crate::worker::Worker;

/// What all requests share.
pub struct Service {
    pub workers: Vec<Arc<Worker>>,
    pub options: Options,
    pub page: &'static [PageFile],
    pub metrics: Arc<Metrics>,
    /// Bytes that bodies may still take.
    pub memory: Arc<Semaphore>,
    /// Connections that may still come.
    pub connections: Arc<Semaphore>,
    /// Whether the end has begun.
    pub ending: AtomicBool,
}

type Shared = State<Arc<Service>>;

/// All routes.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/predict", post(predict))
        .route("/v1/models", get(models))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .fallback(page)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(service.clone(), count))
        .with_state(service)
}

async fn count(State(service): Shared, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    // Paths that anybody may invent would each get counts of their own.
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    service
        .metrics
        .request(route, response.status().as_u16(), start.elapsed());
    response
}

async fn health(State(service): Shared) -> Response {
    match service.ending.load(Ordering::Relaxed) {
        false => Json(json!({"status": "ok"})).into_response(),
        true => Refusal::busy("the service is ending").into_response(),
    }
}

async fn models(State(service): Shared) -> Json<Value> {
    let models = service.workers.iter().map(|worker| {
        let mut model = json!(worker.card());
        model["name"] = json!(worker.served.name());
        model
    });
    Json(json!({"models": models.collect::<Vec<_>>()}))
}

async fn metrics(State(service): Shared) -> Response {
    for worker in &service.workers {
        service
            .metrics
            .queued(worker.served.name(), worker.queue.len());
    }
    let Options {
        connections,
        memory,
        ..
    } = service.options;
    let open = connections - service.connections.available_permits();
    let held = memory - service.memory.available_permits();
    let text = service.metrics.text(open, held);
    ([(header::CONTENT_TYPE, metrics::TYPE)], text).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn page(State(service): Shared, method: Method, uri: Uri) -> Response {
    let file = find(service.page, uri.path());
    let readable = matches!(method, Method::GET | Method::HEAD);
    match file {
        Some(file) if readable => file,
        Some(_) => {
            let allowed = [(header::ALLOW, "GET, HEAD")];
            (allowed, wrong_method(method, uri).await).into_response()
        }
        None => {
            let reason = format!(
                "nothing at {}: /openapi.json says what there is",
                uri.path()
            );
            Refusal::new(StatusCode::NOT_FOUND, reason).into_response()
        }
    }
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let reason = format!("{method} {}: /openapi.json says what there is", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason).into_response()
}

async fn predict(
    State(service): Shared,
    query: Result<extract::Query<Query>, extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = Incoming::new(body);
    let query = query.map(|extract::Query(query)| query);
    let query = query.map_err(|error| Refusal::malformed(error.body_text()));
    match answer(&service, query, &headers, &mut body).await {
        Ok(predictions) => Json(predictions).into_response(),
        Err(refusal) => {
            if !refusal.is_of_time() {
                body::linger(&mut body, &headers, service.options.max_body).await;
            }
            refusal.into_response()
        }
    }
}

async fn answer(
    service: &Service,
    query: Result<Query, Refusal>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Predictions, Refusal> {
    let Options {
        max_pictures,
        answer_timeout,
        ..
    } = service.options;
    let query = query?;
    if query.top_k == 0 {
        return Err(Refusal::malformed("top_k is 0, expected at least 1"));
    }
    let worker = service.worker(query.model.as_deref())?;
    let (name, card) = (worker.served.name(), worker.card());
    if query.attention != Wanted::None && card.attention.is_none() {
        let reason = format!(
            "attention: model {name:?}, of the kind {}, shows none",
            card.kind
        );
        return Err(Refusal::unprocessable(reason));
    }
    let form = Form::of(headers)?;
    if !worker.queue.has_room(1) {
        return Err(Refusal::busy(format!(
            "as many pictures wait for model {name:?} as may"
        )));
    }
    let purge = || service.purge();
    let (bytes, share) = body::read(body, &service.options, &service.memory, purge).await?;
    let pictures = form.pictures(bytes, max_pictures).await?;
    let names: Vec<String> = pictures
        .iter()
        .map(|picture| picture.name.clone())
        .collect();
    let (jobs, answers): (Vec<_>, Vec<_>) = pictures
        .into_iter()
        .map(|picture| {
            let (answer, waiting) = oneshot::channel();
            let job = Job {
                picture,
                attention: query.attention,
                orientation: query.orientation,
                answer,
                _share: share.clone(),
            };
            (job, waiting)
        })
        .unzip();
    worker.queue.push(jobs)?;
    let all = async {
        let mut predictions = Vec::with_capacity(answers.len());
        for (name, answer) in names.into_iter().zip(answers) {
            // Nobody answers whose thread is gone.
            let answer = answer
                .await
                .unwrap_or_else(|_| Err(Refusal::internal("the prediction was given up")))?;
            predictions.push(Predicted::new(name, answer, &card.classes, query.top_k));
        }
        Ok(predictions)
    };
    let late = |_| {
        let reason = format!("no answer within {} s", answer_timeout.as_secs_f32());
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, reason)
    };
    let predictions = timeout(answer_timeout, all).await.map_err(late)??;
    Ok(Predictions {
        model: name.into(),
        predictions,
    })
}

impl Service {
    /// Forgets pictures that nobody waits for any more.
    fn purge(&self) {
        for worker in &self.workers {
            worker.queue.purge();
        }
    }

    fn worker(&self, name: Option<&str>) -> Result<&Worker, Refusal> {
        let Some(name) = name else {
            return Ok(&self.workers[0]);
        };
        let worker = self
            .workers
            .iter()
            .find(|worker| worker.served.name() == name);
        worker.map(Arc::as_ref).ok_or_else(|| {
            let names = self.workers.iter().map(|worker| worker.served.name());
            let names = names.collect::<Vec<_>>().join(", ");
            Refusal::new(
                StatusCode::NOT_FOUND,
                format!("no model {name:?}, there is: {names}"),
            )
        })
    }
}
