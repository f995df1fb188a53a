//! The encoder blocks with the plain binarizers, on the parameters of the real ones.

use burn::Tensor;
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::module::linear;
use burn::tensor::s;
use gsb_core::nn::{BinaryLinear, QkvShifts, Stage1Block, Stage2Block, WeightBinaryLinear};

use crate::binarizers::{attention, signed, unsigned, value, weight};

/// The block of stage 1 in plain tensor operations.
pub fn stage1(block: &Stage1Block, x: Tensor<3>) -> Tensor<3> {
    let part = &block.attention;
    let [q, k, v] = split(
        &part.shifts,
        part.qkv.forward(block.norm1.forward(x.clone())),
    );
    let x = x + part.output.forward(merge(scores(q, k).matmul(v)));
    let hidden = gelu(weight_binary(
        &block.mlp.fc1,
        block.norm2.forward(x.clone()),
    ));
    x + weight_binary(&block.mlp.fc2, hidden)
}

/// The block of stage 2 in plain tensor operations.
pub fn stage2(block: &Stage2Block, x: Tensor<3>) -> Tensor<3> {
    let part = &block.attention;
    let [q, k, v] = split(
        &part.shifts,
        binary(&part.qkv, block.norm1.forward(x.clone()), signed),
    );
    let q = signed(q, part.query.scale.val());
    let k = signed(k, part.key.scale.val());
    let shifted = part.attention_shift.forward(scores(q, k));
    let matrix = attention(shifted, part.attention.scales.val());
    let attended = merge(matrix.matmul(value(v, part.value.scales.val())));
    let x = x + binary(&part.output, attended, signed);
    let hidden = gelu(binary(
        &block.mlp.fc1,
        block.norm2.forward(x.clone()),
        signed,
    ));
    x + binary(&block.mlp.fc2, hidden.clamp(-10.0, 10.0), unsigned)
}

fn binary(
    layer: &BinaryLinear,
    x: Tensor<3>,
    binarize: fn(Tensor<3>, Tensor<1>) -> Tensor<3>,
) -> Tensor<3> {
    let x = binarize(layer.shift.forward(x), layer.input.scale().val());
    linear(
        x,
        weight(layer.weight.val()),
        layer.bias.as_ref().map(|bias| bias.val()),
    )
}

fn weight_binary(layer: &WeightBinaryLinear, x: Tensor<3>) -> Tensor<3> {
    let x = layer.shift.forward(x);
    linear(
        x,
        weight(layer.weight.val()),
        layer.bias.as_ref().map(|bias| bias.val()),
    )
}

fn split(shifts: &QkvShifts, qkv: Tensor<3>) -> [Tensor<4>; 3] {
    let [batch, tokens, width] = qkv.dims();
    let [heads, _, channels] = shifts.query.bias.val().dims();
    assert_eq!(width, 3 * heads * channels);
    let qkv: Tensor<5> = qkv.reshape([batch, tokens, 3, heads, channels]);
    let part = |i: usize| -> Tensor<4> {
        qkv.clone()
            .slice(s![.., .., i..i + 1, .., ..])
            .squeeze_dim::<4>(2)
            .swap_dims(1, 2)
    };
    [
        shifts.query.forward(part(0)),
        shifts.key.forward(part(1)),
        shifts.value.forward(part(2)),
    ]
}

fn scores(q: Tensor<4>, k: Tensor<4>) -> Tensor<4> {
    let [.., channels] = q.dims();
    softmax(
        q.matmul(k.swap_dims(2, 3))
            .mul_scalar((channels as f64).powf(-0.5)),
        3,
    )
}

fn merge(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, channels] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * channels])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal;
    use burn::tensor::Tolerance;
    use gsb_core::nn::{Stage1BlockConfig, Stage2BlockConfig};

    #[test]
    fn plain_blocks_compute_what_the_custom_ones_do() {
        let x = normal([2, 7, 12]);
        let block = Stage1BlockConfig::new(12, 3, 48).init(&x.device());
        let (plain, custom) = (stage1(&block, x.clone()), block.forward(x.clone()));
        plain
            .into_data()
            .assert_approx_eq::<f32>(&custom.into_data(), Tolerance::default());
        let block = Stage2BlockConfig::new(12, 3, 7, 48)
            .init(&x.device())
            .calibrate(&x);
        let (plain, custom) = (stage2(&block, x.clone()), block.forward(x));
        plain
            .into_data()
            .assert_approx_eq::<f32>(&custom.into_data(), Tolerance::default());
    }
}
