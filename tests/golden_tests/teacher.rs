//! `f_teacher`: the float Vision Transformer, plain and distilled.

use burn::module::Module;
use gsb_vit::VisionTransformer;

use crate::check::Check;
use crate::fixture::Case;
use crate::model::{config, model};
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    let device = device();
    let config = config(case)?.with_distillation_token(case.has("param.dist_token"));
    let teacher: VisionTransformer = model(case, "param.", &config, &device)?;
    let x = case.tensor::<4>("x", &device)?;
    let mut check = Check::new(case);
    check.measured("out.eval", teacher.valid().infer(x.clone().inner()));
    if case.has("out.cls") {
        let logits = teacher.forward(x);
        check.measured("out.cls", logits.class);
        let distillation = logits.distillation.ok_or("the teacher has one head")?;
        check.measured("out.dist", distillation);
    }
    check.finish()
}
