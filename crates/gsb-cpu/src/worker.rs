//! Where the caller of parallel loops runs.

/// Runs `task` on one of the threads that the CPU backend's loops are shared by.
///
/// A loop that is started elsewhere wakes all of them and waits; started there, it wakes only the
/// others. That pays for models so small that their loops take microseconds. Without the CPU backend
/// it just runs the task.
///
/// ```
/// assert_eq!(gsb_cpu::on_worker(|| 6 * 7), 42);
/// ```
pub fn on_worker<R: Send>(task: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    return rayon::scope(|_| task());
    #[cfg(not(feature = "flex"))]
    task()
}
