//! An allocator that counts the bytes in use, and the allocations of each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counted. To be made the global one.
pub struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Without a destructor, so that threads may allocate until they end.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code)]
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(used, Ordering::Relaxed);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's layout, as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's pointer and layout, as they came.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that a model may take while it is made of a file of `len` bytes.
///
/// The constant is a panel of the largest patch: 64 channels of 65,536 weights of 16 bits, however few
/// channels there are. The factor leaves room for heads of one channel, which are padded to 32 with a
/// bias, a threshold and more for each, 36 bytes.
///
/// Weights of one bit of patches of one pixel take more: each becomes a level of 1 byte, a word of 4 and
/// a factor of 4, 72 bytes for each of the file and more with padding to panels. But there are at most
/// 16,384 colours, so that the constant, the colours' means and deviations and, where the width is
/// large, the other layers leave enough. Up to 96 % of the bound were measured, at widths of 65 to 1537.
pub fn most_bytes(len: usize) -> usize {
    64 * len + (10 << 20)
}

/// What a call gives, and the most bytes in use during it beyond those before. Calls take turns, and
/// nothing else may run meanwhile.
pub fn peak<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = USED.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let result = call();
    (result, MOST.load(Ordering::Relaxed) - before)
}

/// What a call gives, and how often its thread allocates during it.
#[allow(dead_code)] // Not every crate that includes this file looks at it.
pub fn allocations<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let result = call();
    (result, ALLOCATIONS.get() - before)
}
