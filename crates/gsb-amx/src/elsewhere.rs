//! Systems that are not asked for tiles.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::{Missing, Operands};

/// Evidence that the process may use tiles, which there is not on this system.
#[derive(Debug, Clone, Copy)]
pub struct Amx(Infallible);

impl Amx {
    /// # Errors
    /// Always: tiles are used on Linux on x86-64 alone.
    pub fn new(_: Operands) -> Result<Self, Missing> {
        Err(Missing("only Linux on x86-64 gives tiles (AMX)"))
    }

    /// There are none.
    pub fn set_up(self) -> Tiles {
        match self.0 {}
    }
}

/// The tiles of a thread, which there are not on this system.
#[derive(Debug)]
pub struct Tiles(#[allow(dead_code)] Infallible, PhantomData<*const ()>);
