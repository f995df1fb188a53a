//! Times a packed DeiT-S against the same network in floats, one image of 224 pixels: our teacher on Burn's `flex`
//! backend, candle, and ONNX Runtime in floats and in 8 bits. All have the teacher's weights, but the packed model,
//! and must come to its logits.
//!
//! Each engine is a process of its own for each number of threads, for most fix it once in a process. They take
//! turns: while one computes, the others wait for a line on their standard input.

mod deit;
mod engines;
mod race;
mod worker;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::{Device, TensorData};
use clap::{Parser, Subcommand, value_parser};
use gsb_packed::Isa;
use gsb_vit::checkpoint::Published;
use gsb_vit::{VisionTransformer, VitConfig};

use crate::engines::EngineName;
use crate::race::Runner;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Times a packed DeiT-S against float models of other engines.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,
    /// Rounds, in each of which every engine has its turn.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// Images that are timed in a turn, after one that is not.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    turn: u32,
    /// Threads that share an image; several numbers are several columns.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = value_parser!(u32).range(1..))]
    threads: Vec<u32>,
    /// The Python that has onnxruntime and onnx.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Leave ONNX Runtime out.
    #[arg(long)]
    no_onnx: bool,
}

#[derive(Subcommand)]
enum Role {
    /// One engine that computes when it is told to.
    #[command(hide = true)]
    Worker {
        engine: EngineName,
        /// What the model's files are in.
        folder: PathBuf,
    },
}

fn main() -> Fallible<()> {
    let args = Args::parse();
    if let Some(Role::Worker { engine, folder }) = args.command {
        return worker::serve(&engines::open(&engine, &folder)?);
    }
    let folder = tempfile::tempdir()?;
    let parameters = write_model(folder.path())?;
    println!("DeiT-S of {parameters} parameters, one image of 224 pixels\n");
    let mut rows = Vec::new();
    for command in commands(&args, folder.path())? {
        let mut runners = Vec::new();
        for &threads in &args.threads {
            runners.push(Runner::start(command(threads))?);
        }
        rows.push(runners);
    }
    let times = race::race(&mut rows, args.rounds, args.turn)?;
    race::print_table(&rows, &args.threads, times);
    Ok(())
}

/// How each engine is started with a number of threads, the packed model on the fastest instruction set first.
fn commands(args: &Args, folder: &Path) -> Fallible<Vec<Box<dyn Fn(u32) -> Command>>> {
    let program = std::env::current_exe()?;
    let packed = Isa::available().map(EngineName::Packed);
    let ours = packed.chain([EngineName::Candle, EngineName::Teacher]);
    let mut commands: Vec<Box<dyn Fn(u32) -> Command>> = Vec::new();
    for engine in ours {
        let (program, folder) = (program.clone(), folder.to_path_buf());
        commands.push(Box::new(move |threads| {
            let mut command = Command::new(&program);
            command.arg("worker").arg(engine.to_string()).arg(&folder);
            command.env("RAYON_NUM_THREADS", threads.to_string());
            command
        }));
    }
    let bits: &[u32] = if args.no_onnx { &[] } else { &[32, 8] };
    for bits in bits {
        let (python, folder) = (args.python.clone(), folder.to_path_buf());
        commands.push(Box::new(move |threads| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx_runtime.py");
            let mut command = Command::new(&python);
            command.arg(script).arg(&folder);
            command.args([
                "--threads",
                &threads.to_string(),
                "--bits",
                &bits.to_string(),
            ]);
            command
        }));
    }
    Ok(commands)
}

/// Writes the weights of a teacher, an image and its logits; the number of weights.
fn write_model(folder: &Path) -> Fallible<usize> {
    let config = VitConfig::preset("deit_small_distilled_patch16_224", 1000)?;
    let model: VisionTransformer = config.init_teacher(&Device::flex())?;
    let image = engines::image(&config.packed());
    let logits = engines::teacher_logits(&model, &image)?;
    let logits = TensorData::new(logits, [1, config.classes]);
    let weights = Published::of(&model);
    weights.write(folder.join(engines::WEIGHTS))?;
    let example = [("image".into(), image), ("logits".into(), logits)];
    Published::new(example).write(folder.join(engines::EXAMPLE))?;
    let sizes = weights.names().filter_map(|name| weights.get(name));
    Ok(sizes.map(TensorData::num_elements).sum())
}
