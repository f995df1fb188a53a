//! Where the caller of parallel loops runs.

/// Runs `task` on one of the threads that the CPU backend's loops are shared by.
///
/// A loop that is started elsewhere wakes all of them and waits; started there, it wakes only the
/// others. That pays for models so small that their loops take microseconds. The task computes the same
/// [products](crate::Products) as its caller. Without the CPU backend it is just run.
///
/// ```
/// assert_eq!(gsb_cpu::on_worker(|| 6 * 7), 42);
/// ```
pub fn on_worker<R: Send>(task: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "flex")]
    {
        // A worker that waits in a loop may take up this task with a choice of its own.
        let products = crate::Products::chosen();
        rayon::scope(|_| products.during(task))
    }
    #[cfg(not(feature = "flex"))]
    task()
}
