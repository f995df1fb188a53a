//! `gsb serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use gsb_data::Image;
use gsb_packed::PackedModel;
use gsb_serve::{Card, Options, PackedPredictor, Predictor, Served, Server};
use gsb_train::{Heads, load_model};
use gsb_vit::checkpoint::describe;
use gsb_vit::{
    Classifier, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};
use indicatif::HumanCount;

use crate::compute::DeviceName;
use crate::error::Error;
use crate::model::{ModelInput, expect_file, is_packed, open_packed};
use crate::options::numbers::{above_zero, few, positive};
use crate::options::path;
use crate::output::stdout;
use crate::packed;
use crate::panic;
use crate::signals::on_signals;

/// Options of `gsb serve`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  gsb serve digits.safetensors\n  \
                  gsb serve student.safetensors float=runs/flowers/teacher.bpk --port 80 --host 0.0.0.0\n\n\
                  curl -H \"Content-Type: image/jpeg\" --data-binary @flower.jpg http://127.0.0.1:8080/v1/predict")]
pub struct ServeArgs {
    /// Packed models, or checkpoints, which Burn runs; NAME=FILE gives one another name than its file has
    ///
    /// The first answers requests that name none.
    #[arg(required = true, value_name = "MODEL", value_parser = path::argument())]
    pub models: Vec<PathBuf>,

    /// The address to listen on; 0.0.0.0 is all addresses of this machine, for anybody to use
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,

    /// The port to listen on; 0 is any that is free
    #[arg(long, default_value_t = 8080)]
    pub port: u16,

    /// Threads that decode and classify [default: as many as the machine runs at once]
    #[arg(long, value_parser = few())]
    pub threads: Option<usize>,

    /// Pictures that are classified together, at most
    #[arg(long, value_name = "PICTURES", default_value_t = 32, value_parser = few())]
    pub max_batch: usize,

    /// Pictures that may wait for a model; beyond them requests get status 503
    #[arg(long, value_name = "PICTURES", default_value_t = 256, value_parser = positive())]
    pub queue: usize,

    /// Megabytes of a request; beyond them it gets status 413
    #[arg(long, value_name = "MB", default_value_t = 16, value_parser = few())]
    pub max_body: usize,

    /// Seconds that a request may wait for its answer, before it gets status 504
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = above_zero)]
    pub timeout: f64,

    /// Seconds that a client may take to read an answer to its end, before its connection is closed
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = above_zero)]
    pub send_timeout: f64,

    /// The page to show: a folder with index.html, such as web/dist after `just web` [default: the one that is built in]
    #[arg(long, value_name = "FOLDER", value_parser = path::option())]
    pub page: Option<PathBuf>,

    /// Where checkpoints compute
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceName,
}

/// The longest time that can be waited for: a day.
const MAX_TIMEOUT: f64 = 86400.0;

/// The most memory that bodies can be given: what permits count, which on machines of 32 bits are fewer.
const MAX_MEMORY: usize = if usize::BITS > 32 {
    u32::MAX as usize
} else {
    usize::MAX >> 3
};

/// Serves until a signal ends it; then it answers what it has accepted.
///
/// # Errors
/// If a model cannot be read or the address not be listened on.
pub fn run(args: &ServeArgs) -> Result<String, Error> {
    let usual = Options::default();
    let max_body = args.max_body << 20;
    let options = Options {
        threads: args.threads.unwrap_or(usual.threads),
        max_batch: args.max_batch,
        queue: args.queue,
        max_pictures: usual.max_pictures.min(args.queue),
        max_body,
        memory: usual.memory.max(max_body.saturating_mul(4).min(MAX_MEMORY)),
        answer_timeout: duration(args.timeout),
        send_timeout: duration(args.send_timeout),
        ..usual
    };
    let models = args.models.iter().map(|model| served(model, args.device));
    let models = models.collect::<Result<Vec<_>, _>>()?;
    let list: Vec<String> = models.iter().map(described).collect();
    let mut server = Server::new(models, options)?;
    if let Some(folder) = &args.page {
        server = server.with_page(packed::page(folder)?);
    }
    let bound = server.bind(SocketAddr::new(args.host, args.port))?;
    // A prediction that panics ends nothing.
    panic::go_on();
    let stopper = bound.stopper();
    on_signals(
        "answering what was accepted; once more stops at once",
        move || stopper.stop(),
    );
    // Whoever waits for this line may ask from now on.
    let line = format!(
        "listening on http://{}: {}\n",
        bound.address(),
        list.join(", ")
    );
    stdout::print(line.as_bytes())?;
    bound.run()?;
    Ok(String::new())
}

fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.min(MAX_TIMEOUT))
}

fn described(model: &Served) -> String {
    let card = model.card();
    format!(
        "{} ({}, {} bytes)",
        model.name(),
        card.kind,
        HumanCount(card.bytes)
    )
}

/// A model by the name of its file, or by the one before `=`.
fn served(argument: &Path, device: DeviceName) -> Result<Served, Error> {
    let text = argument.to_string_lossy();
    let (name, file) = match text.split_once('=') {
        Some((name, file)) if !argument.exists() && !name.is_empty() => {
            (name.to_string(), Path::new(file))
        }
        _ => (stem(argument), argument),
    };
    let bytes = |file: &Path| std::fs::metadata(file).map(|file| file.len());
    expect_file(file, "stage2.packed.safetensors")?;
    if !is_packed(file)
        && let Ok((phase, config)) = describe(file)
    {
        let bytes = bytes(file).map_err(|error| Error::file(file, error))?;
        let device = device.open()?;
        return match phase {
            Phase::Teacher => checkpoint::<VisionTransformer>(name, file, config, bytes, device),
            Phase::Stage1 => checkpoint::<Stage1Student>(name, file, config, bytes, device),
            Phase::Stage2 => checkpoint::<Stage2Student>(name, file, config, bytes, device),
        };
    }
    let model = open_packed(file, |path| PackedModel::open(path))?;
    let bytes = bytes(file).map_err(|error| Error::file(file, error))?;
    let predictor = PackedPredictor::new(model, bytes).map_err(|error| Error::file(file, error))?;
    Ok(Served::new(name, predictor))
}

/// The name of a file up to its first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name
        .trim_start_matches('.')
        .split('.')
        .next()
        .unwrap_or_default();
    if stem.is_empty() {
        name.into_owned()
    } else {
        stem.into()
    }
}

fn checkpoint<M: Model + Classifier + 'static>(
    name: String,
    file: &Path,
    config: VitConfig,
    bytes: u64,
    device: Device,
) -> Result<Served, Error> {
    let input = ModelInput::of(file, &config)?;
    let model: M = load_model(file, &config, Heads::Kept, &device)?;
    let classes = match input.classes.is_empty() {
        true => (0..config.classes).map(|class| class.to_string()).collect(),
        false => input.classes,
    };
    let card = Card {
        kind: "checkpoint".into(),
        classes,
        preprocessing: input.transform,
        bytes,
        attention: None,
    };
    let model = Mutex::new(model);
    Ok(Served::new(
        name,
        BurnPredictor {
            model,
            card,
            device,
        },
    ))
}

/// A model of any phase, run by Burn.
struct BurnPredictor<M> {
    /// Modules are not made for several threads; a batch is one call.
    model: Mutex<M>,
    card: Card,
    device: Device,
}

impl<M: Classifier> Predictor for BurnPredictor<M> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String> {
        let transform = &self.card.preprocessing;
        let shape = [
            images.len(),
            transform.channels(),
            transform.image_size,
            transform.image_size,
        ];
        let normalized = images
            .iter()
            .flat_map(|image| transform.normalization.apply(image));
        let images = TensorData::new(normalized.collect::<Vec<f32>>(), shape);
        let images = Tensor::<4>::from_data(images, &self.device);
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let logits: Vec<f32> = model.infer(images).into_data().iter::<f32>().collect();
        let each = logits.chunks(self.card.classes.len());
        Ok(each.map(<[f32]>::to_vec).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_called_by_their_files() {
        for (path, name) in [
            ("runs/a/stage2.packed.safetensors", "stage2"),
            ("digits", "digits"),
            (".hidden.st", "hidden"),
            ("...", "..."),
        ] {
            assert_eq!(stem(Path::new(path)), name);
        }
    }
}
