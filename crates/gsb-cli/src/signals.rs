//! Signals that end a training or a service.

use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};

use gsb_train::{Error as TrainError, Interrupter};

use crate::error::Error;
use crate::output::say;

/// The signal that stopped the program; 0 if none did.
static STOPPED_BY: AtomicI32 = AtomicI32::new(0);

/// A signal stops a training after its batch, and a second one at once, as [`on_signals`] says.
pub fn stop_on_signals(interrupter: &Interrupter) {
    let interrupter = interrupter.clone();
    on_signals(
        "stopping after this batch; once more stops at once",
        move || {
            interrupter.stop(Some("stopped by the user"));
        },
    );
}

/// Ctrl-C, SIGTERM and SIGHUP stop gently, which is said, and a second one of them at once. Those that were
/// ignored when the program started, as by `nohup`, stay ignored.
#[cfg(unix)]
pub fn on_signals(said: &'static str, stop: impl Fn() + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let ignored = ignored();
    let handled = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0);
    // Without a handler they do what they always did.
    let Ok(mut signals) = Signals::new(handled) else {
        return;
    };
    let watch = move || {
        for signal in signals.forever() {
            first(signal, said);
            stop();
        }
    };
    let _ = std::thread::Builder::new()
        .name("signals".into())
        .spawn(watch);
}

/// The signals that this process ignores, bit 0 for signal 1. Where the system does not tell, SIGHUP
/// counts as ignored: a run under `nohup` must go on.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.unwrap_or(1 << (signal_hook::consts::SIGHUP - 1))
}

/// Ctrl-C stops gently, which is said, and a second one at once.
#[cfg(not(unix))]
pub fn on_signals(said: &'static str, stop: impl Fn() + Send + 'static) {
    const SIGINT: i32 = 2;
    // Without a handler Ctrl-C does what it always did.
    let _ = ctrlc::set_handler(move || {
        first(SIGINT, said);
        stop();
    });
}

/// Notes the first signal; the second ends the program.
fn first(signal: i32, said: &str) {
    if STOPPED_BY.swap(signal, Ordering::Relaxed) != 0 {
        std::process::exit(128 + signal);
    }
    say(said);
}

/// The exit code of a failed command: 128 and the number of the signal, as shells have it, where a
/// signal stopped it.
pub fn exit_code(error: &Error) -> ExitCode {
    let stopped = matches!(
        error,
        Error::Resumable { error, .. } | Error::Repeatable { error, .. }
            if matches!(error, TrainError::Stopped { .. })
    );
    match STOPPED_BY.load(Ordering::Relaxed) {
        signal @ 1..128 if stopped => ExitCode::from(128 + signal as u8),
        _ => ExitCode::FAILURE,
    }
}
