//! What keeps a service from starting, or ends it.

use std::net::SocketAddr;

/// What another library or the system says of a failure.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Errors of a service; what is wrong with a request is answered to its client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to serve.
    #[error("no model to serve")]
    NoModel,
    /// Two models have the same name.
    #[error("two models are called {name:?}: expected a name for each")]
    SameName {
        /// The name.
        name: String,
    },
    /// A limit is impossible.
    #[error("{option}: {problem}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(#[source] Cause),
    /// The end did not wait any longer for requests that were accepted.
    #[error(
        "{connections} connections were cut: their requests took longer than the end waits for"
    )]
    Cut {
        /// How many connections.
        connections: usize,
    },
}
