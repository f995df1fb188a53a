//! Hand-written backward passes: the forward operations on `Autodiff` record them.

use burn::backend::{
    Autodiff, AutodiffBackend,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};
use gsb_numerics::{Levels, ThresholdScope};

use super::backend::BinaryOps;
use super::superposition::Superposition;

impl<B: BinaryOps, C: CheckpointStrategy> BinaryOps for Autodiff<B, C> {
    fn extrema(x: FloatTensor<Self>, scope: ThresholdScope) -> FloatTensor<Self> {
        // A constant for the gradient.
        <Self as AutodiffBackend>::from_inner(B::extrema(x.into_primitive(), scope))
    }

    fn lsq(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        levels: Levels,
        guarded: bool,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Quantize;
        impl<B: BinaryOps> Backward<B, 2> for Quantize {
            type State = (NodeId, NodeId, Levels, bool);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (x, scale, levels, guarded) = ops.state;
                let x = checkpointer.retrieve_node_output(x);
                let scale = checkpointer.retrieve_node_output(scale);
                register::<B, _>(ops, grads, |grad| {
                    B::lsq_backward(x, scale, grad, levels, guarded)
                });
            }
        }
        match Quantize
            .prepare::<C>([x.node(), scale.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (
                    prep.checkpoint(&x),
                    prep.checkpoint(&scale),
                    levels,
                    guarded,
                );
                prep.finish(
                    state,
                    B::lsq(x.into_primitive(), scale.into_primitive(), levels, guarded),
                )
            }
            OpsKind::UnTracked(prep) => prep.finish(B::lsq(
                x.into_primitive(),
                scale.into_primitive(),
                levels,
                guarded,
            )),
        }
    }

    fn superpose(
        x: FloatTensor<Self>,
        scales: FloatTensor<Self>,
        extrema: FloatTensor<Self>,
        spec: Superposition,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Superpose;
        impl<B: BinaryOps> Backward<B, 2> for Superpose {
            type State = (NodeId, NodeId, FloatTensor<B>, Superposition);
            fn backward(
                self,
                ops: Ops<Self::State, 2>,
                grads: &mut Gradients,
                checkpointer: &mut Checkpointer,
            ) {
                let (x, scales, extrema, spec) = ops.state.clone();
                let x = checkpointer.retrieve_node_output(x);
                let scales = checkpointer.retrieve_node_output(scales);
                register::<B, _>(ops, grads, |grad| {
                    B::superpose_backward(x, scales, extrema, grad, spec)
                });
            }
        }
        let extrema = extrema.into_primitive();
        match Superpose
            .prepare::<C>([x.node(), scales.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (
                    prep.checkpoint(&x),
                    prep.checkpoint(&scales),
                    extrema.clone(),
                    spec.clone(),
                );
                prep.finish(
                    state,
                    B::superpose(x.into_primitive(), scales.into_primitive(), extrema, spec),
                )
            }
            OpsKind::UnTracked(prep) => prep.finish(B::superpose(
                x.into_primitive(),
                scales.into_primitive(),
                extrema,
                spec,
            )),
        }
    }

    fn binarize_weight(w: FloatTensor<Self>, output: Option<usize>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct StraightThrough;
        impl<B: BinaryOps> Backward<B, 1> for StraightThrough {
            type State = ();
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let grad = grads.consume::<B>(&ops.node);
                if let [Some(parent)] = ops.parents {
                    grads.register::<B>(parent.id, grad);
                }
            }
        }
        match StraightThrough
            .prepare::<C>([w.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                prep.finish((), B::binarize_weight(w.into_primitive(), output))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::binarize_weight(w.into_primitive(), output)),
        }
    }

    fn affine_levels(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        gsb_cpu::recorded_affine::<B, C>(x, weight, bias, B::affine_levels)
    }
}

/// Hands the gradients that `backward` makes of the output's to the parents that want them.
fn register<B: BinaryOps, S: Clone + Send + std::fmt::Debug + 'static>(
    ops: Ops<S, 2>,
    grads: &mut Gradients,
    backward: impl FnOnce(FloatTensor<B>) -> (FloatTensor<B>, FloatTensor<B>),
) {
    let grad = grads.consume::<B>(&ops.node);
    let (grad_x, grad_scale) = backward(grad);
    let [x, scale] = ops.parents;
    if let Some(x) = x {
        grads.register::<B>(x.id, grad_x);
    }
    if let Some(scale) = scale {
        grads.register::<B>(scale.id, grad_scale);
    }
}
