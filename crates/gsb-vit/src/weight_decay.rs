//! Which parameters weight decay shrinks.

use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param, ParamId};

/// What weight decay does with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// It shrinks it: a matrix or a kernel.
    Decays,
    /// A learned scale that is one number, for a tensor or for a group of it. It should not decay, and
    /// did in the published runs: the library they used exempts vectors and forgets numbers.
    Scale,
    /// Biases, shifts, vectors, tokens and positions: never.
    Never,
}

/// What weight decay does with each parameter of a model, in its order.
///
/// Tensors of two or more dimensions decay and vectors do not, unless the part of the model that they
/// belong to [declares](crate::EncoderBlock::weight_decay) otherwise.
///
/// ```
/// use burn::tensor::Device;
/// use gsb_vit::{Decay, VitConfig};
///
/// let student = VitConfig::micro().init_stage2(&Device::default())?;
/// let decay = student.weight_decay();
/// assert_eq!(decay.of(student.blocks[0].mlp.fc1.weight.id), Some(Decay::Decays));
/// assert_eq!(decay.of(student.blocks[0].attention.query.scale.id), Some(Decay::Scale));
/// assert_eq!(decay.of(student.tokens.position.id), Some(Decay::Never));
/// # Ok::<(), gsb_vit::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WeightDecay {
    parameters: Vec<(ParamId, Decay)>,
}

impl WeightDecay {
    /// That of a module without exceptions: matrices decay, vectors do not.
    pub fn by_rank<M: Module>(module: &M) -> Self {
        let mut decay = Self {
            parameters: Vec::new(),
        };
        module.visit(&mut decay);
        decay
    }

    /// Declares that a scale is one number.
    pub fn scale(&mut self, scale: &Param<Tensor<1>>) {
        self.set(scale.id, Decay::Scale);
    }

    /// Declares that a parameter never decays.
    pub fn never<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.set(parameter.id, Decay::Never);
    }

    fn set(&mut self, id: ParamId, decay: Decay) {
        let mut parameters = self.parameters.iter_mut();
        if let Some((_, found)) = parameters.find(|(known, _)| *known == id) {
            *found = decay;
        }
    }

    /// What it does with a parameter; none if it is not one of the model.
    pub fn of(&self, id: ParamId) -> Option<Decay> {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(known, _)| *known == id)
            .map(|&(_, decay)| decay)
    }

    /// The scales that are one number for a tensor or for a group of it.
    pub fn scales(&self) -> Vec<ParamId> {
        let scales = self.parameters.iter();
        let scales = scales.filter(|(_, decay)| *decay == Decay::Scale);
        scales.map(|&(id, _)| id).collect()
    }

    /// The parameters that do not decay; with `scales`, scales do.
    pub fn undecayed(&self, scales: bool) -> Vec<ParamId> {
        let undecayed = self.parameters.iter().filter(|(_, decay)| match decay {
            Decay::Decays => false,
            Decay::Scale => !scales,
            Decay::Never => true,
        });
        undecayed.map(|&(id, _)| id).collect()
    }
}

impl ModuleVisitor for WeightDecay {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let decay = if D > 1 { Decay::Decays } else { Decay::Never };
        self.parameters.push((param.id, decay));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::ids;
    use crate::{Model, Stage1Student, Stage2Student, VisionTransformer, VitConfig};
    use burn::tensor::Device;

    /// The rule by the names of fields and the shapes.
    fn decays_by_name(path: &str, rank: usize) -> Decay {
        let name = path.rsplit('.').next().unwrap();
        let is_scale = ["scale", "scales"].contains(&name);
        if is_scale && !path.starts_with("patch_embedding") {
            return Decay::Scale;
        }
        let exempt = ["bias", "class_token", "distillation_token", "position"];
        match rank > 1 && !exempt.contains(&name) {
            true => Decay::Decays,
            false => Decay::Never,
        }
    }

    struct Ranks(Vec<usize>);

    impl ModuleVisitor for Ranks {
        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            self.0.push(D);
        }
    }

    fn agrees<M: Model>(config: &VitConfig) {
        let model = M::fresh(config, &Device::default()).unwrap();
        let mut ranks = Ranks(Vec::new());
        model.visit(&mut ranks);
        let decay = model.weight_decay();
        let paths = ids(&model);
        assert_eq!(paths.len(), ranks.0.len());
        for ((path, id), rank) in paths.into_iter().zip(ranks.0) {
            assert_eq!(decay.of(id), Some(decays_by_name(&path, rank)), "{path}");
        }
    }

    #[test]
    fn what_the_parts_declare_is_the_rule_by_names() {
        for config in [
            VitConfig::micro(),
            VitConfig::micro().with_distillation_token(false),
        ] {
            agrees::<VisionTransformer>(&config);
            agrees::<Stage1Student>(&config);
            agrees::<Stage2Student>(&config);
        }
    }

    #[test]
    fn scales_decay_on_request() {
        let student = VitConfig::micro().init_stage2(&Device::default()).unwrap();
        let decay = student.weight_decay();
        let scale = student.class_head.input.scale.id;
        assert!(decay.undecayed(false).contains(&scale));
        assert!(!decay.undecayed(true).contains(&scale));
        let channels = student.patch_embedding.weight_quantizer.scale.id;
        assert!(decay.undecayed(true).contains(&channels));
    }
}
