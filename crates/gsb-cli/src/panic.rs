//! What a user sees of a mistake in this program.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output::say;

/// Makes a panic one line on stderr; the exit code stays 101. `RUST_BACKTRACE=1` shows all of it.
pub fn explain() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        #[cfg(feature = "dashboard")]
        crate::progress::exit_without_terminal();
        // One panic makes others, in the threads that wait for it.
        static SAID: AtomicBool = AtomicBool::new(false);
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        } else if !SAID.swap(true, Ordering::Relaxed) {
            say(line(panic));
        }
    }));
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
