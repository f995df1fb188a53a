//! Distillation of what happens inside a model: hidden states, attention, similarities.

use burn::Tensor;
use burn::tensor::assert_shape;

/// Mean squared difference of the hidden states of a student and its teacher, each normalized over the
/// width of a token, averaged over tokens and batch; shape `[1]`.
///
/// With `n(h) = (h - mean h) / sqrt(var h + 1e-6)` over the width:
/// `L = mean (n(student) - n(teacher))^2`. The normalization is what keeps the few channels that grow
/// large in pretrained models from being all that counts; every block normalizes what it reads as well.
///
/// No gradient reaches the teacher.
///
/// # Shapes
/// - student and teacher: `[batch, tokens, width]`
///
/// Source: after BiT (arXiv 2205.13016) and TinyBERT (arXiv 1909.10351), which do not normalize.
///
/// # Panics
/// If the shapes differ.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::distill::hidden_state_loss;
///
/// let device = Device::default();
/// let teacher = Tensor::<3>::from_floats([[[1.0, -1.0]]], &device);
/// // The same direction, whatever its length.
/// let loss = hidden_state_loss(teacher.clone() * 3.0, teacher.clone());
/// assert!(loss.into_scalar::<f32>() < 1e-6);
/// let loss = hidden_state_loss(teacher.clone().neg(), teacher);
/// assert!((loss.into_scalar::<f32>() - 4.0).abs() < 1e-4);
/// ```
pub fn hidden_state_loss(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
    let [batch, tokens, width] = student.dims();
    assert_shape!(teacher, [batch, tokens, width]);
    (normalized(student) - normalized(teacher.detach()))
        .square()
        .mean()
}

fn normalized(x: Tensor<3>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    centred / variance.add_scalar(1e-6).sqrt()
}

/// Mean squared difference of the attention matrices of a student and its teacher, averaged over
/// their heads first where they have different numbers of them; summed over the keys, averaged over the
/// rest; shape `[1]`.
///
/// No gradient reaches the teacher.
///
/// # Shapes
/// - student: `[batch, heads, queries, keys]`
/// - teacher: `[batch, its heads, queries, keys]`
///
/// Source: after BiT (arXiv 2205.13016) and TinyBERT (arXiv 1909.10351).
///
/// # Panics
/// If the shapes differ in more than the heads.
pub fn attention_loss(student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
    let (student, teacher) = with_equal_heads(student, teacher.detach());
    (student - teacher).square().sum_dim(3).mean()
}

/// How the similarities of tokens differ between a student and its teacher; shape `[1]`.
///
/// Of the query or key `z` of a head, `[tokens, channels]`: `G = z z^T / ||z z^T||_F`;
/// `L = sum (G_teacher - G_student)^2`, averaged over batch and heads. Widths may differ; so may the
/// numbers of heads, whose `G` are then averaged first.
///
/// No gradient reaches the teacher.
///
/// # Shapes
/// - student: `[batch, heads, tokens, channels]`
/// - teacher: `[batch, its heads, tokens, its channels]`
///
/// Source: after Q-ViT (arXiv 2210.06707), distribution guided distillation.
///
/// # Panics
/// If batches or tokens differ.
pub fn similarity_loss(student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
    let (student, teacher) = with_equal_heads(similarity(student), similarity(teacher.detach()));
    let [batch, heads, ..] = student.dims();
    (student - teacher)
        .square()
        .sum()
        .div_scalar((batch * heads) as f64)
}

/// How the similarities of the tokens after a block differ between a student and its teacher; shape `[1]`.
///
/// The [`similarity_loss`] of hidden states, each normalized over its width as [`hidden_state_loss`] does: what
/// can be compared where widths differ.
///
/// # Shapes
/// - student: `[batch, tokens, width]`
/// - teacher: `[batch, tokens, its width]`
///
/// # Panics
/// If batches or tokens differ.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::distill::hidden_similarity_loss;
///
/// let device = Device::default();
/// let teacher = Tensor::<3>::from_floats([[[1.0, -1.0], [-1.0, 1.0]]], &device);
/// // The same similarities in four channels.
/// let student = Tensor::cat(vec![teacher.clone(), teacher.clone()], 2);
/// let loss = hidden_similarity_loss(student, teacher);
/// assert!(loss.into_scalar::<f32>() < 1e-6);
/// ```
pub fn hidden_similarity_loss(student: Tensor<3>, teacher: Tensor<3>) -> Tensor<1> {
    similarity_loss(
        normalized(student).unsqueeze_dim(1),
        normalized(teacher.detach()).unsqueeze_dim(1),
    )
}

fn similarity(z: Tensor<4>) -> Tensor<4> {
    let products = z.clone().matmul(z.transpose());
    // Before the root: its gradient at 0 is infinite.
    let squares = products.clone().square().sum_dim(3).sum_dim(2);
    products / squares.clamp_min(1e-24).sqrt()
}

/// The means over the heads, unless both have the same number of them.
fn with_equal_heads(student: Tensor<4>, teacher: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [batch, heads, rows, columns] = student.dims();
    let of_teacher = teacher.dims()[1];
    assert_shape!(teacher, [batch, of_teacher, rows, columns]);
    match heads == of_teacher {
        true => (student, teacher),
        false => (student.mean_dim(1), teacher.mean_dim(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::default())
    }

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar()
    }

    #[test]
    fn equal_insides_cost_nothing() {
        let (x, a) = (random([2, 5, 8]), random([2, 3, 5, 5]));
        assert_eq!(value(hidden_state_loss(x.clone(), x)), 0.0);
        assert_eq!(value(attention_loss(a.clone(), a.clone())), 0.0);
        assert_eq!(value(similarity_loss(a.clone(), a)), 0.0);
    }

    #[test]
    fn attention_sums_over_keys() {
        let device = Device::default();
        let student = Tensor::<4>::zeros([2, 3, 4, 5], &device);
        let teacher = Tensor::<4>::full([2, 3, 4, 5], 0.5, &device);
        assert_eq!(value(attention_loss(student.clone(), teacher)), 1.25);
        // Heads are averaged where their numbers differ.
        let teacher = Tensor::<4>::full([2, 6, 4, 5], 0.5, &device);
        assert_eq!(value(attention_loss(student, teacher)), 1.25);
    }

    #[test]
    fn similarities_compare_angles_of_tokens() {
        let device = Device::default();
        // Orthogonal tokens against equal ones: G = I / sqrt(2) against ones / 2.
        let apart = Tensor::<4>::from_floats([[[[3.0, 0.0], [0.0, 3.0]]]], &device);
        let equal = Tensor::<4>::from_floats([[[[1.0], [1.0]]]], &device);
        let loss = value(similarity_loss(apart, equal));
        let expected = 2.0 * (0.5f32.sqrt() - 0.5).powi(2) + 2.0 * 0.25;
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_student_alone_gets_gradients() {
        let device = Device::flex().autodiff();
        let fresh =
            || Tensor::<4>::random([1, 2, 3, 3], Distribution::Default, &device).require_grad();
        for loss in [attention_loss, similarity_loss] {
            let (student, teacher) = (fresh(), fresh());
            let gradients = loss(student.clone(), teacher.clone()).backward();
            assert!(student.grad(&gradients).is_some());
            assert!(teacher.grad(&gradients).is_none());
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn tokens_of_zeros_have_a_gradient_of_numbers() {
        let device = Device::flex().autodiff();
        let student = Tensor::<4>::zeros([1, 1, 3, 2], &device).require_grad();
        let loss = similarity_loss(student.clone(), random([1, 1, 3, 2]).to_device(&device));
        let gradient = student.grad(&loss.backward()).unwrap();
        assert!(gradient.into_data().iter::<f32>().all(f32::is_finite));
    }
}
