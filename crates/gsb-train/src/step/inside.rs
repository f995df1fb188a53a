//! What a student learns from what happens inside its teacher.

use burn::Tensor;
use burn::nn::Linear;
use burn::tensor::s;
use gsb_core::distill::{attention_loss, hidden_similarity_loss, hidden_state_loss};
use gsb_vit::Activations;

/// How much what happens inside the models counts beside the logits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InsideLoss {
    /// Weight of the mean over the blocks of [`hidden_state_loss`].
    pub hidden: f64,
    /// Weight of the mean over the blocks of [`attention_loss`].
    pub attention: f64,
    /// Weight of the mean over the blocks of [`hidden_similarity_loss`].
    pub similarity: f64,
}

impl InsideLoss {
    /// The weighted loss, `[1]`. Of models that differ in depth, each block of the student learns from the block
    /// that lies as far from the end of the teacher, relative to its depth.
    ///
    /// A student's distillation token learns from the class token of a teacher that has none. The hidden states of a
    /// student of another width pass a linear map first, one for all blocks.
    pub fn forward(
        self,
        student: &Activations,
        teacher: &Activations,
        hidden_map: Option<&Linear>,
    ) -> Tensor<1> {
        let depth = student.blocks.len();
        let mut total = Tensor::zeros([1], &student.features.device());
        for block in 0..depth {
            // The first blocks of a student that is deeper learn from the first of the teacher.
            let of_teacher = ((block + 1) * teacher.blocks.len() / depth).max(1) - 1;
            let found = student.blocks[block].clone();
            let expected = with_tokens(teacher.blocks[of_teacher].clone(), found.dims()[1]);
            if self.similarity > 0.0 {
                let loss = hidden_similarity_loss(found.clone(), expected.clone());
                total = total + loss.mul_scalar(self.similarity);
            }
            if self.hidden > 0.0 {
                let found = match hidden_map {
                    Some(map) => map.forward(found),
                    None => found,
                };
                total = total + hidden_state_loss(found, expected).mul_scalar(self.hidden);
            }
            if self.attention > 0.0 {
                let expected = teacher.attention[of_teacher].clone();
                let found = student.attention[block].clone();
                let found = without_token(found, expected.dims()[2]);
                total = total + attention_loss(found, expected).mul_scalar(self.attention);
            }
        }
        total.div_scalar(depth as f64)
    }
}

/// The hidden states of a teacher for a student of that number of tokens: class token, class token again in the place of the
/// distillation token, patches.
fn with_tokens(x: Tensor<3>, tokens: usize) -> Tensor<3> {
    if x.dims()[1] == tokens {
        return x;
    }
    let class = x.clone().slice(s![.., 0..1, ..]);
    Tensor::cat(vec![class, x], 1)
}

/// The attention of a student among the tokens that its teacher has as well.
fn without_token(attention: Tensor<4>, tokens: usize) -> Tensor<4> {
    if attention.dims()[2] == tokens {
        return attention;
    }
    let without = |x: Tensor<4>, dim: usize| {
        let class = x.clone().narrow(dim, 0, 1);
        Tensor::cat(vec![class, x.narrow(dim, 2, tokens - 1)], dim)
    };
    without(without(attention, 2), 3)
}
