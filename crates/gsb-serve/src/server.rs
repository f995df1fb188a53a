//! Connections, from the first to the last.

use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::metrics::Metrics;
use crate::page::INDEX;
use crate::routes::{Service, router};
use crate::sending::Sending;
use crate::worker::Worker;
use crate::{Error, Options, PageFile, Served};

/// Threads that speak with clients; those that predict are others.
const TALKERS: usize = 2;

/// Bytes of the headers of a request, beyond which it gets status 431.
const MAX_HEADERS: usize = 64 << 10;

/// What connections beyond the limit get.
const CROWDED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 68\r\n\r\n\
    {\"error\":{\"message\":\"more connections than are taken\",\"status\":503}}";

/// A service that is not yet listening.
pub struct Server {
    models: Vec<Served>,
    options: Options,
    page: &'static [PageFile],
}

/// A service with an address, whose clients wait until it [runs](Self::run).
pub struct Bound {
    service: Arc<Service>,
    listener: net::TcpListener,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

/// Ends a service from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Ends it: no connection is taken any more, requests that were accepted are answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// A service of these models, of which the first answers requests that name none.
    ///
    /// # Errors
    /// [`Error::NoModel`], [`Error::SameName`], or [`Error::Option`] for limits that do not go together.
    pub fn new(models: Vec<Served>, options: Options) -> Result<Self, Error> {
        options.validate()?;
        if models.is_empty() {
            return Err(Error::NoModel);
        }
        for (index, model) in models.iter().enumerate() {
            if models[..index].iter().any(|other| other.name == model.name) {
                let name = model.name.clone();
                return Err(Error::SameName { name });
            }
        }
        Ok(Self {
            models,
            options,
            page: INDEX,
        })
    }

    /// With the files of a page in place of the built-in one; `/index.html` is also `/`.
    pub fn with_page(self, page: &'static [PageFile]) -> Self {
        Self { page, ..self }
    }

    /// Listens on an address; port 0 is any that is free.
    ///
    /// # Errors
    /// [`Error::Bind`] if it is taken or not of this machine.
    pub fn bind(self, address: SocketAddr) -> Result<Bound, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let Self {
            models,
            options,
            page,
        } = self;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|index| format!("predict {index}"))
            .build()
            .map_err(|error| Error::Threads(error.into()))?;
        let (pool, metrics) = (Arc::new(pool), Arc::new(Metrics::new()));
        let large = Arc::default();
        let worker = |served| {
            let (pool, metrics) = (pool.clone(), metrics.clone());
            Arc::new(Worker::new(
                served,
                &options,
                pool,
                metrics,
                Arc::clone(&large),
            ))
        };
        let service = Arc::new(Service {
            workers: models.into_iter().map(worker).collect(),
            memory: Arc::new(Semaphore::new(options.memory)),
            connections: Arc::new(Semaphore::new(options.connections)),
            page,
            metrics,
            options,
            ending: AtomicBool::new(false),
        });
        Ok(Bound {
            service,
            listener,
            address,
            stop: watch::Sender::new(false),
        })
    }
}

impl Bound {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until it is stopped, and finishes what it has accepted.
    ///
    /// # Errors
    /// [`Error::Threads`] if threads cannot be started, [`Error::Cut`] if requests were not finished in time.
    pub fn run(self) -> Result<(), Error> {
        let Self {
            service,
            listener,
            stop,
            address,
        } = self;
        for worker in &service.workers {
            worker.start()?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(TALKERS)
            .thread_name("serve")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::Threads(error.into()))?;
        let outcome = runtime.block_on(async {
            let listener = TcpListener::from_std(listener);
            let listener = listener.map_err(|source| Error::Bind { address, source })?;
            serve(&service, listener, stop.subscribe()).await
        });
        for worker in &service.workers {
            worker.queue.close();
        }
        close(runtime);
        outcome
    }
}

/// Ends what connections were cut in the middle of.
fn close(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(1));
}

async fn serve(
    service: &Arc<Service>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Error> {
    let router = router(service.clone());
    let graceful = GracefulShutdown::new();
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        match accepted {
            Ok((stream, _)) => take(service, stream, &router, &graceful),
            // Out of file descriptors, most likely: others may be given back meanwhile.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    service.ending.store(true, Ordering::Relaxed);
    drop(listener);
    let options = &service.options;
    let drained = timeout(options.drain_timeout, graceful.shutdown()).await;
    drained.map_err(|_| Error::Cut {
        connections: options.connections - service.connections.available_permits(),
    })
}

fn take(service: &Arc<Service>, stream: TcpStream, router: &Router, graceful: &GracefulShutdown) {
    let Options {
        header_timeout,
        write_timeout,
        send_timeout,
        ..
    } = service.options;
    let Ok(permit) = service.connections.clone().try_acquire_owned() else {
        service.metrics.refused();
        turn_away(stream, header_timeout.min(Duration::from_secs(1)));
        return;
    };
    // An answer is written at once: there is nothing to collect.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    let stream = Sending::new(stream, send_timeout);
    let service = TowerToHyperService::new(router.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // What ends a connection early is its client's affair.
        let _ = connection.await;
        drop(permit);
    });
}

/// Answers 503 and reads on for a moment: a connection that is closed while its client still sends may lose the
/// answer.
fn turn_away(mut stream: TcpStream, patience: Duration) {
    tokio::spawn(async move {
        let farewell = async {
            stream.write_all(CROWDED).await?;
            stream.shutdown().await?;
            while stream.read(&mut [0; 4096]).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        let _ = timeout(patience, farewell).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_crowds_is_as_long_as_it_says() {
        let text = std::str::from_utf8(CROWDED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
