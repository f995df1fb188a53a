//! The three phases, one after another.

use burn::module::Module;
use gsb_vit::{PatchNormalization, Stage2Student, VitConfig};

use crate::args::Args;
use crate::batch::Data;
use crate::error::Error;
use crate::report::Row;
use crate::train::Phase;

const TEST_FRACTION: f64 = 0.2;
/// The same images are held out whatever the seed of the training, so that runs compare.
const SPLIT_SEED: u64 = 0;

/// Trains the teacher, then the student of stage 1 and, from its weights, that of stage 2.
///
/// # Errors
/// If the device is not there or a loss is not finite.
pub fn run(args: &Args) -> Result<Vec<Row>, Error> {
    let split = gsb_data::digits()?.split(TEST_FRACTION, SPLIT_SEED)?;
    let data = Data::new(split.train, split.test);
    let config = VitConfig::micro();
    let device = args.device.open()?.autodiff();
    device.seed(args.seed);
    let phase = |name, index, epochs, lr, teacher| Phase {
        name,
        index,
        epochs,
        batch_size: args.batch_size,
        lr,
        seed: args.seed,
        teacher,
    };

    let training = phase("teacher", 0, args.teacher_epochs, args.lr, None);
    let teacher = config
        .clone()
        .with_distillation_token(false)
        .init_teacher(&device)?;
    let (teacher, teacher_row) = training.train(teacher, &data, &device)?;

    let training = phase("stage1", 1, args.stage1_epochs, args.lr, Some(&teacher));
    let (stage1, stage1_row) = training.train(config.init_stage1(&device)?, &data, &device)?;

    let training = phase(
        "stage2",
        2,
        args.stage2_epochs,
        args.stage2_lr,
        Some(&teacher),
    );
    let (mut student, _) =
        Stage2Student::from_stage1(&stage1, &config, PatchNormalization::Folded)?;
    let plain = device.clone().inner();
    if let Some(batch) = training.batches(0, &data, &plain).next() {
        student = student.calibrate(&batch.images);
    }
    let (_, stage2_row) = training.train(student.train(), &data, &device)?;
    Ok(vec![teacher_row, stage1_row, stage2_row])
}
