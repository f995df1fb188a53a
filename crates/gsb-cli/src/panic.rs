//! What a user sees of a mistake in this program.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::output::say;

/// Whether the program goes on after a panic, as a service does.
static GOES_ON: AtomicBool = AtomicBool::new(false);

/// When a panic was said.
static SAID: Mutex<Option<Instant>> = Mutex::new(None);

/// For how long others are not said after a panic, if the program goes on.
const PAUSE: Duration = Duration::from_secs(1);

/// From now on not only the first panic is said, but one a second at most: what comes later has other causes.
pub fn go_on() {
    GOES_ON.store(true, Ordering::Relaxed);
}

/// Makes a panic one line on stderr; the exit code stays 101. `RUST_BACKTRACE=1` shows all of it.
pub fn explain() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        #[cfg(feature = "dashboard")]
        crate::progress::exit_without_terminal();
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        } else if is_due() {
            say(line(panic));
        }
    }));
}

fn is_due() -> bool {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let due = is_due_after(*said, now, GOES_ON.load(Ordering::Relaxed));
    if due {
        *said = Some(now);
    }
    due
}

/// One panic makes others, in the threads that wait for it.
fn is_due_after(said: Option<Instant>, now: Instant, goes_on: bool) -> bool {
    said.is_none_or(|said| goes_on && now.duration_since(said) >= PAUSE)
}

fn line(panic: &PanicHookInfo) -> String {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic
        .location()
        .map_or_else(String::new, |place| format!(" ({place})"));
    let message = message.lines().collect::<Vec<_>>().join(" ");
    format!(
        "error: internal error: {message}{place}; this is a mistake in gsb: please report it with what \
         RUST_BACKTRACE=1 shows"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{PAUSE, is_due_after};

    #[test]
    fn a_service_says_later_panics_as_well() {
        let first = Instant::now();
        let soon = first + Duration::from_millis(10);
        for goes_on in [false, true] {
            assert!(is_due_after(None, first, goes_on));
            assert!(!is_due_after(Some(first), soon, goes_on));
            assert_eq!(is_due_after(Some(first), first + PAUSE, goes_on), goes_on);
        }
    }

    #[test]
    fn a_panic_is_one_line() {
        let seen = Arc::new(Mutex::new(String::new()));
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new({
            let seen = seen.clone();
            move |panic| *seen.lock().unwrap() = super::line(panic)
        }));
        let number = 3;
        let panic = std::panic::catch_unwind(|| panic!("left {number}\nright"));
        std::panic::set_hook(usual);
        assert!(panic.is_err());
        let seen = seen.lock().unwrap();
        assert!(
            seen.starts_with("error: internal error: left 3 right ("),
            "{seen}"
        );
        assert!(
            seen.contains("panic.rs:") && seen.lines().count() == 1,
            "{seen}"
        );
    }
}
