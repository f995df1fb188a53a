//! The results in `data`, and where the book has them.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Result;

/// Times of one image, `data/speed.toml`.
#[derive(Deserialize)]
pub struct Speed {
    /// DeiT-S in turns with ONNX Runtime alone.
    pub alone: Alone,
    /// The engines in turns.
    pub engine: Vec<Engine>,
}

#[derive(Deserialize)]
pub struct Alone {
    /// Milliseconds of the packed model and of ONNX Runtime.
    pub packed: f64,
    pub onnx: f64,
}

/// A row of the table "Against float models".
#[derive(Deserialize)]
pub struct Engine {
    pub name: String,
    pub median: String,
    /// What else is in the row.
    #[cfg(test)]
    pub min: String,
    #[cfg(test)]
    pub ratio: String,
}

/// Times on several backends, `data/backends.toml`.
#[derive(Deserialize)]
pub struct Backends {
    /// Their names.
    pub names: Vec<String>,
    /// The rows of the table that the benchmark prints: a case, and the milliseconds on each backend.
    pub rows: Vec<(String, Vec<String>)>,
}

impl Backends {
    /// The milliseconds of a case on a backend, by its number.
    pub fn time(&self, case: &str, backend: usize) -> Result<f64> {
        let row = self.rows.iter().find(|(name, _)| name == case);
        let (_, times) = row.ok_or_else(|| format!("data/backends.toml has no {case:?}"))?;
        Ok(times[backend].parse()?)
    }
}

/// Accuracies of `gsb table`, `data/ablation.toml`.
#[derive(Deserialize)]
pub struct Ablation {
    pub panel: Vec<Panel>,
}

/// One column of a table.
#[derive(Deserialize)]
pub struct Panel {
    pub title: String,
    pub row: Vec<Row>,
}

#[derive(Deserialize)]
pub struct Row {
    pub name: String,
    pub mean: f64,
    pub deviation: f64,
}

/// What a file of TOML holds.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    Ok(toml::from_str(text)?)
}

pub fn speed() -> Result<Speed> {
    parse(include_str!("../data/speed.toml"))
}

pub fn backends() -> Result<Backends> {
    parse(include_str!("../data/backends.toml"))
}

pub fn ablation() -> Result<Ablation> {
    parse(include_str!("../data/ablation.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BENCHMARKS: &str = include_str!("../../src/benchmarks.md");
    const ABLATION: &str = include_str!("../../src/ablation.md");

    #[test]
    fn times_are_those_of_the_book() {
        let Speed { alone, engine } = speed().unwrap();
        for Engine {
            name,
            min,
            median,
            ratio,
        } in engine
        {
            let row = format!("| {name} | {min} | {median} | {ratio} |\n");
            assert!(BENCHMARKS.contains(&row), "benchmarks.md lacks {row}");
        }
        for readme in [
            include_str!("../../../README.md"),
            include_str!("../../../crates/gsb/README.md"),
        ] {
            let readme = readme.replace('\n', " ");
            for time in [
                format!("{:.1} ms", alone.packed),
                format!("{:.0} ms", alone.onnx),
            ] {
                assert!(readme.contains(&time), "a README.md lacks {time}");
            }
        }
        let sentence = format!("against {:.1}", alone.onnx);
        assert!(
            BENCHMARKS.contains(&sentence),
            "benchmarks.md lacks {sentence}"
        );
    }

    #[test]
    fn times_of_backends_are_those_of_the_book() {
        let Backends { names, rows } = backends().unwrap();
        let head = format!("| ms | {} |\n", names.join(" | "));
        assert!(BENCHMARKS.contains(&head), "benchmarks.md lacks {head}");
        for (case, times) in rows {
            let row = format!("| {case} | {} |\n", times.join(" | "));
            assert!(BENCHMARKS.contains(&row), "benchmarks.md lacks {row}");
        }
    }

    #[test]
    fn accuracies_are_those_of_the_book() {
        for Panel { title, row } in ablation().unwrap().panel {
            for Row {
                name,
                mean,
                deviation,
            } in row
            {
                let of_row = |line: &&str| line.starts_with(&format!("| {name} |"));
                let (pair, apart) = (
                    format!("{mean:.1} ({deviation:.1})"),
                    format!("| {mean:.1} | {deviation:.1} |"),
                );
                let shown = ABLATION.lines().filter(of_row).any(|line| {
                    let plain = line.replace(" %", "");
                    plain.contains(&pair) || plain.contains(&apart)
                });
                assert!(shown, "ablation.md lacks {name} of {title:?}: {pair}");
            }
        }
    }
}
