//! Engines that take turns.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Fallible;

/// How far logits of 32-bit floats may be from the teacher's, which adds in another order, and of 8-bit integers,
/// where it only has to be the same network.
const MOST_DIFFERENT: [(&str, f32); 2] = [("int8", 0.5), ("", 1e-3)];

/// A process that computes when it is told to.
pub struct Runner {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Runner {
    /// Starts a process and waits for its name.
    pub fn start(mut command: Command) -> Fallible<Self> {
        let what = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{what}: {error}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut runner = Self {
            name: what,
            child,
            input,
            output: BufReader::new(output),
        };
        let line = runner.line()?;
        let (name, difference) = line.split_once('\t').ok_or(line.clone())?;
        runner.name = name.into();
        if difference != "-" {
            let difference: f32 = difference.parse()?;
            eprintln!(
                "{name}: logits differ from our teacher's by {difference:.1e} of the largest"
            );
            let most = MOST_DIFFERENT.iter().find(|(kind, _)| name.contains(kind));
            if !most.is_some_and(|(_, most)| difference < *most) {
                return Err(format!("{name} is not the network of our teacher").into());
            }
        }
        Ok(runner)
    }

    /// Milliseconds of each of as many images.
    fn turn(&mut self, images: u32) -> Fallible<Vec<f64>> {
        let input = self.input.as_mut().ok_or("no standard input")?;
        writeln!(input, "{images}")?;
        let line = self.line()?;
        Ok(line.split(' ').map(str::parse).collect::<Result<_, _>>()?)
    }

    fn line(&mut self) -> Fallible<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.into()),
            None => Err(format!("{} ended; what it said is above", self.name).into()),
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.input = None;
        // It ends with its input; one that does not is of no use any more.
        let _ = self.child.wait();
    }
}

/// Milliseconds of all images of each engine, by number of threads.
pub fn race(rows: &mut [Vec<Runner>], rounds: u32, turn: u32) -> Fallible<Vec<Vec<Vec<f64>>>> {
    let mut times: Vec<Vec<Vec<f64>>> =
        rows.iter().map(|row| vec![Vec::new(); row.len()]).collect();
    for _ in 0..rounds {
        for (row, times) in rows.iter_mut().zip(&mut times) {
            for (runner, times) in row.iter_mut().zip(times) {
                times.extend(runner.turn(turn)?);
            }
        }
    }
    Ok(times)
}

/// A ratio is the median over that of the first engine on as many threads.
pub fn print_table(rows: &[Vec<Runner>], threads: &[u32], times: Vec<Vec<Vec<f64>>>) {
    let mut first: Vec<Option<f64>> = vec![None; threads.len()];
    print!("| milliseconds |");
    for threads in threads {
        let of = if *threads == 1 {
            "1 thread".into()
        } else {
            format!("{threads} threads")
        };
        print!(" {of}: min | median | ratio |");
    }
    println!("\n| --- |{}", " --: | --: | --: |".repeat(threads.len()));
    for (row, times) in rows.iter().zip(times) {
        print!("| {} |", row[0].name);
        for (mut times, first) in times.into_iter().zip(&mut first) {
            times.sort_by(f64::total_cmp);
            let (min, median) = (times[0], times[times.len() / 2]);
            let ratio = median / *first.get_or_insert(median);
            print!(" {min:.2} | {median:.2} | {ratio:.1} |");
        }
        println!();
    }
}
