//! An HTTP service that classifies pictures.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /v1/predict` | the likeliest classes of one picture (its file is the body) or of several (`multipart/form-data`) |
//! | `GET /v1/models` | what is served: names, classes, sizes |
//! | `GET /healthz` | whether the service takes requests |
//! | `GET /metrics` | counts and times for Prometheus |
//! | `GET /openapi.json` | the description of all this in OpenAPI 3.1 |
//! | `GET /` | a page |
//!
//! Pictures that wait for a model are classified together, as many as there are up to [`Options::max_batch`]; one
//! that finds the model idle does not wait for others. Whatever serves predictions is a [`Predictor`]:
//! [`PackedPredictor`] is that of packed models.
//!
//! ```no_run
//! use gsb_packed::PackedModel;
//! use gsb_serve::{Options, PackedPredictor, Served, Server};
//!
//! let model = PackedPredictor::new(PackedModel::open("digits.safetensors")?, 90_000)?;
//! let models = vec![Served::new("digits", model)];
//! let bound = Server::new(models, Options::default())?.bind("127.0.0.1:8080".parse()?)?;
//! println!("listening on http://{}", bound.address());
//! bound.run()?; // until a `bound.stopper()` is used
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What clients can do
//!
//! Nothing of a request is trusted: bodies, pictures, their number, the requests that wait and the memory that all
//! of their bodies take are bounded by [`Options`], and so is the time that a client may take to send, to read the
//! next part of an answer, and to read all of it. What decoding takes follows from them: up to about 16 bytes for each
//! pixel, of one picture of more than 4,194,304 pixels ([`Options::max_pixels`]; 0.5 GB by default) and one smaller one
//! in each thread ([`Options::threads`]; 64 MB each, and 32 MB more for the colour profile of a PNG). A prediction that
//! panics is answered by status 500, the worker is replaced, and what was in the same batch is classified nevertheless.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod body;
mod error;
mod metrics;
mod options;
mod page;
mod predictor;
mod queue;
mod refusal;
mod request;
mod routes;
mod sending;
mod server;
mod worker;

pub use error::Error;
pub use options::Options;
pub use page::{OPENAPI, PageFile};
pub use predictor::{AttentionShape, Card, PackedPredictor, Predictor, Served};
pub use server::{Bound, Server, Stopper};
