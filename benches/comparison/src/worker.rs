//! An engine in a process of its own.
//!
//! It says its name and how far its logits are from the teacher's, with a tabulator between them. Each line that it
//! reads is a number of images: it computes one more, which is not timed, and answers with the milliseconds of each.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use crate::Fallible;
use crate::engines::Engine;

/// Computes until the standard input ends.
pub fn serve(engine: &Engine) -> Fallible<()> {
    let mut output = std::io::stdout().lock();
    let difference = engine.difference.map_or("-".into(), |x| format!("{x:e}"));
    writeln!(output, "{}\t{difference}", engine.name)?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        let images: u32 = line?.parse()?;
        // What the others left in the caches is not this one's affair.
        engine.classify()?;
        let mut times = Vec::new();
        for _ in 0..images {
            let start = Instant::now();
            black_box(engine.classify()?);
            times.push((start.elapsed().as_secs_f64() * 1e3).to_string());
        }
        writeln!(output, "{}", times.join(" "))?;
        output.flush()?;
    }
    Ok(())
}
