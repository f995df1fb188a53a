//! Answers that are read within a time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection whose other side has a time to read what is written: from when something of it has to wait until all
/// of it is sent, however much of it is read meanwhile.
pub struct Sending<S> {
    stream: Pin<Box<S>>,
    most: Duration,
    /// When the time is over, if something waits.
    end: Option<Pin<Box<Sleep>>>,
}

impl<S> Sending<S> {
    /// A connection whose other side has so much time.
    pub fn new(stream: S, most: Duration) -> Self {
        Self {
            stream: Box::pin(stream),
            most,
            end: None,
        }
    }

    /// What came of writing, or an error if the time is over.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_pending() && self.end.is_none() {
            self.end = Some(Box::pin(sleep(self.most)));
        }
        let end = self.end.as_mut();
        match end.is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => outcome,
        }
    }
}

impl<S: AsyncRead> AsyncRead for Sending<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for Sending<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.as_mut().poll_write_vectored(cx, parts);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Whoever writes flushes when all that there was is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream.as_mut().poll_flush(cx);
        if flushed.is_ready() {
            self.end = None;
        }
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.stream.as_mut().poll_shutdown(cx);
        self.in_time(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(test)
    }

    /// Reads a byte now and then.
    async fn dribble(mut stream: DuplexStream) {
        while stream.read_u8().await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn a_client_that_reads_bit_by_bit_is_cut_off() {
        let written = run(async {
            let (ours, theirs) = duplex(4);
            let mut ours = Sending::new(ours, Duration::from_millis(100));
            tokio::select! {
                written = ours.write_all(&[0; 10_000]) => written,
                () = dribble(theirs) => panic!("it is there"),
            }
        });
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn each_answer_has_a_time_of_its_own() {
        run(async {
            let (ours, theirs) = duplex(4);
            let mut ours = Sending::new(ours, Duration::from_secs(60));
            let write = async {
                for _ in 0..3 {
                    ours.write_all(&[0; 20]).await.unwrap();
                    assert!(ours.end.is_some());
                    ours.flush().await.unwrap();
                    assert!(ours.end.is_none());
                }
            };
            tokio::select! {
                () = write => {}
                () = dribble(theirs) => panic!("it is there"),
            }
        });
    }
}
