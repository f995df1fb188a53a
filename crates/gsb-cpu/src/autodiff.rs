//! Hand-written backward passes: the forward operations on `Autodiff` record them.

use burn::backend::{
    Autodiff, AutodiffBackend, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    ops::FloatTensorOps,
    tensor::FloatTensor,
};

use crate::adamw::AdamWStep;
use crate::backend::FloatOps;
use crate::primitive;

/// Hands a gradient to a parent that wants it.
fn hand<B: FloatOps>(
    grads: &mut Gradients,
    parent: Option<NodeId>,
    grad: impl FnOnce() -> FloatTensor<B>,
) {
    if let Some(parent) = parent {
        grads.register::<B>(parent, grad());
    }
}

/// [`affine`](FloatOps::affine) with the gradients of that and a forward pass of its own, which computes the same.
pub fn recorded_affine<B: FloatOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    forward: impl FnOnce(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    #[derive(Debug)]
    struct Affine;
    impl<B: FloatOps> Backward<B, 3> for Affine {
        // Each of the two is needed for the gradient of the other.
        type State = (Option<NodeId>, Option<NodeId>);
        fn backward(
            self,
            ops: Ops<Self::State, 3>,
            grads: &mut Gradients,
            checkpointer: &mut Checkpointer,
        ) {
            let grad = grads.consume::<B>(&ops.node);
            let (x, weight) = ops.state;
            let x = x.map(|id| checkpointer.retrieve_node_output(id));
            let weight = weight.map(|id| checkpointer.retrieve_node_output(id));
            let [for_x, for_weight, for_bias] =
                ops.parents.map(|parent| parent.map(|node| node.id));
            hand::<B>(grads, for_bias, || B::sum_leading(grad.clone(), 1));
            if let Some(x) = x {
                hand::<B>(grads, for_weight, || {
                    B::affine_weight_backward(x, grad.clone())
                });
            }
            if let Some(weight) = weight {
                hand::<B>(grads, for_x, || B::affine_x_backward(weight, grad));
            }
        }
    }
    let needed = (weight.is_tracked(), x.is_tracked());
    match Affine
        .prepare::<C>([x.node(), weight.node(), bias.node()])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = (
                needed.0.then(|| prep.checkpoint(&x)),
                needed.1.then(|| prep.checkpoint(&weight)),
            );
            prep.finish(
                state,
                forward(
                    x.into_primitive(),
                    weight.into_primitive(),
                    bias.into_primitive(),
                ),
            )
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
        )),
    }
}

impl<B: FloatOps, C: CheckpointStrategy> FloatOps for Autodiff<B, C> {
    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        recorded_affine::<B, C>(x, weight, bias, B::affine)
    }

    fn matmul(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Matmul;
        impl<B: FloatOps> Backward<B, 2> for Matmul {
            // Each of the two is needed for the gradient of the other.
            type State = (Option<NodeId>, Option<NodeId>);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let grad = grads.consume::<B>(&ops.node);
                let (a, b) = ops.state;
                let a = a.map(|id| checkpointer.retrieve_node_output(id));
                let b = b.map(|id| checkpointer.retrieve_node_output(id));
                let [for_a, for_b] = ops.parents.map(|parent| parent.map(|node| node.id));
                if let Some(b) = b {
                    hand::<B>(grads, for_a, || {
                        B::matmul(grad.clone(), B::float_transpose(b))
                    });
                }
                if let Some(a) = a {
                    hand::<B>(grads, for_b, || B::matmul(B::float_transpose(a), grad));
                }
            }
        }
        let leading = |x: &FloatTensor<Self>| {
            let shape = x.shape();
            shape.as_slice()[..shape.num_dims().saturating_sub(2)].to_vec()
        };
        if leading(&a) != leading(&b) {
            // Gradients of what is broadcast are sums.
            return Self::float_matmul(a, b);
        }
        let needed = (b.is_tracked(), a.is_tracked());
        match Matmul
            .prepare::<C>([a.node(), b.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (
                    needed.0.then(|| prep.checkpoint(&a)),
                    needed.1.then(|| prep.checkpoint(&b)),
                );
                prep.finish(state, B::matmul(a.into_primitive(), b.into_primitive()))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::matmul(a.into_primitive(), b.into_primitive()))
            }
        }
    }

    fn add_shift(x: FloatTensor<Self>, shift: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct AddShift;
        impl<B: FloatOps> Backward<B, 2> for AddShift {
            type State = usize;
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let grad = grads.consume::<B>(&ops.node);
                let [x, shift] = ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, shift, || B::sum_leading(grad.clone(), ops.state));
                hand::<B>(grads, x, || grad);
            }
        }
        let rank = shift.shape().num_dims();
        let (x, x_node) = x.into_parts();
        let (shift, shift_node) = shift.into_parts();
        match AddShift
            .prepare::<C>([x_node, shift_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(rank, B::add_shift(x, shift)),
            OpsKind::UnTracked(prep) => prep.finish(B::add_shift(x, shift)),
        }
    }

    fn sum_leading(x: FloatTensor<Self>, rank: usize) -> FloatTensor<Self> {
        primitive::sum_leading::<Self>(x, rank)
    }

    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Normalize;
        impl<B: FloatOps> Backward<B, 3> for Normalize {
            type State = (NodeId, NodeId, f64);
            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (x, gamma, epsilon) = ops.state;
                let x = checkpointer.retrieve_node_output(x);
                let gamma = checkpointer.retrieve_node_output(gamma);
                let grad = grads.consume::<B>(&ops.node);
                let (x, gamma, beta) = B::normalize_backward(x, gamma, grad, epsilon);
                let [for_x, for_gamma, for_beta] =
                    ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, for_x, || x);
                hand::<B>(grads, for_gamma, || gamma);
                hand::<B>(grads, for_beta, || beta);
            }
        }
        match Normalize
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&gamma), epsilon);
                prep.finish(
                    state,
                    B::normalize(
                        x.into_primitive(),
                        gamma.into_primitive(),
                        beta.into_primitive(),
                        epsilon,
                    ),
                )
            }
            OpsKind::UnTracked(prep) => prep.finish(B::normalize(
                x.into_primitive(),
                gamma.into_primitive(),
                beta.into_primitive(),
                epsilon,
            )),
        }
    }

    fn scaled_softmax(x: FloatTensor<Self>, scale: f64) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Softmax;
        impl<B: FloatOps> Backward<B, 1> for Softmax {
            type State = (FloatTensor<B>, f64);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (y, scale) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [x] = ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, x, || B::scaled_softmax_backward(y, grad, scale));
            }
        }
        let (x, node) = x.into_parts();
        match Softmax.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::scaled_softmax(x, scale);
                prep.finish((y.clone(), scale), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::scaled_softmax(x, scale)),
        }
    }

    fn split_heads(
        x: FloatTensor<Self>,
        heads: usize,
        parts: usize,
        part: usize,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Split;
        impl<B: FloatOps> Backward<B, 1> for Split {
            type State = (usize, usize);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (parts, part) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [x] = ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, x, || B::merge_heads(grad, parts, part));
            }
        }
        let (x, node) = x.into_parts();
        match Split.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((parts, part), B::split_heads(x, heads, parts, part))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::split_heads(x, heads, parts, part)),
        }
    }

    fn merge_heads(x: FloatTensor<Self>, parts: usize, part: usize) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Merge;
        impl<B: FloatOps> Backward<B, 1> for Merge {
            type State = (usize, usize, usize);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let (heads, parts, part) = ops.state;
                let grad = grads.consume::<B>(&ops.node);
                let [x] = ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, x, || B::split_heads(grad, heads, parts, part));
            }
        }
        let (x, node) = x.into_parts();
        let heads = x.shape().as_slice()[1];
        match Merge.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((heads, parts, part), B::merge_heads(x, parts, part))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::merge_heads(x, parts, part)),
        }
    }

    fn attention_of(qkv: FloatTensor<Self>, heads: usize, scale: f64) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Attention;
        impl<B: FloatOps> Backward<B, 1> for Attention {
            type State = (NodeId, FloatTensor<B>, f64);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (qkv, matrix, scale) = ops.state;
                let qkv = checkpointer.retrieve_node_output(qkv);
                let grad = grads.consume::<B>(&ops.node);
                let [parent] = ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, parent, || {
                    B::attend_backward(qkv, matrix, grad, scale)
                });
            }
        }
        match Attention
            .prepare::<C>([qkv.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let node = prep.checkpoint(&qkv);
                let (y, matrix) = B::attend(qkv.into_primitive(), heads, scale);
                prep.finish((node, matrix, scale), y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::attention_of(qkv.into_primitive(), heads, scale))
            }
        }
    }

    fn attend(
        qkv: FloatTensor<Self>,
        heads: usize,
        scale: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let from = <Self as AutodiffBackend>::from_inner;
        let (y, matrix) = B::attend(qkv.into_primitive(), heads, scale);
        (from(y), from(matrix))
    }

    fn erf_gelu(x: FloatTensor<Self>, bound: Option<f32>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Gelu;
        impl<B: FloatOps> Backward<B, 1> for Gelu {
            type State = (NodeId, Option<f32>);
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (x, bound) = ops.state;
                let x = checkpointer.retrieve_node_output(x);
                let grad = grads.consume::<B>(&ops.node);
                let [parent] = ops.parents.map(|parent| parent.map(|node| node.id));
                hand::<B>(grads, parent, || B::erf_gelu_backward(x, grad, bound));
            }
        }
        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), bound);
                prep.finish(state, B::erf_gelu(x.into_primitive(), bound))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::erf_gelu(x.into_primitive(), bound)),
        }
    }

    fn adamw(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let from = <Self as AutodiffBackend>::from_inner;
        let (weight, moment_1, moment_2) = B::adamw(
            weight.into_primitive(),
            grad.into_primitive(),
            moment_1.into_primitive(),
            moment_2.into_primitive(),
            step,
        );
        (from(weight), from(moment_1), from(moment_2))
    }
}
