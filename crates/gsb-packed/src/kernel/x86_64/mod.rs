//! Kernels of x86-64 processors.

/// Calls instructions.
macro_rules! call {
    ($($body:tt)*) => {
        // SAFETY: an instruction set is a value only where the machine has the instructions, and pointers
        // are those of arrays as long as a register.
        unsafe { $($body)* }
    };
}

pub(crate) mod avx2;
pub(crate) mod avx512;
