//! The limits of a service.

use std::time::Duration;

use crate::Error;

/// Limits of a service. All of them are above 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Threads that decode pictures and predict.
    pub threads: usize,
    /// Pictures that a model classifies together, at most.
    pub max_batch: usize,
    /// Pictures that may wait for a model; beyond them requests get status 503.
    pub queue: usize,
    /// Pictures of a request; beyond them it gets status 413.
    pub max_pictures: usize,
    /// Bytes of the body of a request; beyond them it gets status 413.
    pub max_body: usize,
    /// Pixels of a picture before it is resized; beyond them its request gets status 422. Decoding takes up to about 16
    /// bytes for each; pictures of more than 4,194,304 are decoded one at a time, others one in each thread.
    pub max_pixels: usize,
    /// Bytes of all bodies that are held at a time; beyond them requests get status 503.
    pub memory: usize,
    /// Connections at a time; those beyond get status 503 and are closed.
    pub connections: usize,
    /// How long a client may take for the headers of a request, and be silent between requests, before
    /// its connection is closed.
    pub header_timeout: Duration,
    /// How long a client may take for the body of a request, before it gets status 408.
    pub body_timeout: Duration,
    /// How long a request waits for its predictions, before it gets status 504.
    pub answer_timeout: Duration,
    /// How long a client may read nothing of an answer, before its connection is closed.
    pub write_timeout: Duration,
    /// How long a client may take to read an answer to its end, before its connection is closed.
    pub send_timeout: Duration,
    /// How long the end of the service waits for requests that it has accepted.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            max_batch: 32,
            queue: 256,
            max_pictures: 64,
            max_body: 16 << 20,
            max_pixels: 1 << 25,
            memory: 256 << 20,
            connections: 512,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            answer_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(15),
            send_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(60),
        }
    }
}

impl Options {
    /// # Errors
    /// [`Error::Option`] for the first limit that is 0, or does not go with another.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let counts = [
            ("threads", self.threads),
            ("max_batch", self.max_batch),
            ("queue", self.queue),
            ("max_pictures", self.max_pictures),
            ("max_body", self.max_body),
            ("max_pixels", self.max_pixels),
            ("memory", self.memory),
            ("connections", self.connections),
        ];
        let times = [
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("answer_timeout", self.answer_timeout),
            ("write_timeout", self.write_timeout),
            ("send_timeout", self.send_timeout),
            ("drain_timeout", self.drain_timeout),
        ];
        let none = counts
            .iter()
            .find(|(_, count)| *count == 0)
            .map(|(name, _)| *name);
        let none = none.or_else(|| {
            times
                .iter()
                .find(|(_, time)| time.is_zero())
                .map(|(name, _)| *name)
        });
        if let Some(option) = none {
            let problem = "expected more than 0".into();
            return Err(Error::Option { option, problem });
        }
        let most = u32::MAX as usize;
        for (option, count) in [("memory", self.memory), ("connections", self.connections)] {
            if count > most {
                let problem = format!("{count}, expected at most {most}");
                return Err(Error::Option { option, problem });
            }
        }
        if self.max_body > self.memory {
            return Err(Error::Option {
                option: "max_body",
                problem: format!(
                    "{} bytes, expected at most the {} of all bodies together (memory)",
                    self.max_body, self.memory
                ),
            });
        }
        if self.max_pictures > self.queue {
            return Err(Error::Option {
                option: "max_pictures",
                problem: format!(
                    "{}, expected at most the {} that may wait (queue)",
                    self.max_pictures, self.queue
                ),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_go_together() {
        let usual = Options::default();
        assert!(usual.validate().is_ok());
        for (wrong, option) in [
            (
                Options {
                    threads: 0,
                    ..usual.clone()
                },
                "threads",
            ),
            (
                Options {
                    body_timeout: Duration::ZERO,
                    ..usual.clone()
                },
                "body_timeout",
            ),
            (
                Options {
                    queue: 63,
                    ..usual.clone()
                },
                "max_pictures",
            ),
            (
                Options {
                    memory: 1,
                    ..usual.clone()
                },
                "max_body",
            ),
            (
                Options {
                    connections: usize::MAX,
                    ..usual.clone()
                },
                "connections",
            ),
        ] {
            let refusal = wrong.validate().unwrap_err().to_string();
            assert!(refusal.starts_with(option), "{refusal}");
        }
    }
}
