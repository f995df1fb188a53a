//! Packed students against the Burn models they come from: every binary decision of every layer.

mod compare;
// What the golden tests read their files with; not all of it is used here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../golden_tests/fixture.rs"]
mod fixture;
mod golden;
mod odd;
mod random;
mod step;
mod trained;
