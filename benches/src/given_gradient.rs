//! A given gradient handed to a tensor, so that a backward pass can be timed without a loss.

use burn::Tensor;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Shape;

/// A scalar zero whose gradient to `y` is `grad`.
#[backend_extension(Flex, Autodiff)]
trait GivenGradient: Backend {
    fn given_gradient(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl GivenGradient for Flex {
    fn given_gradient(_: FloatTensor<Self>, _: FloatTensor<Self>) -> FloatTensor<Self> {
        FloatTensor::<Self>::from_data(burn::tensor::TensorData::new(vec![0.0f32], Shape::new([1])))
    }
}

impl<B: GivenGradient, C: CheckpointStrategy> GivenGradient for Autodiff<B, C> {
    fn given_gradient(y: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Constant;
        impl<B: GivenGradient> Backward<B, 1> for Constant {
            type State = FloatTensor<B>;
            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                grads: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                grads.consume::<B>(&ops.node);
                if let [Some(parent)] = ops.parents {
                    grads.register::<B>(parent.id, ops.state);
                }
            }
        }
        let grad = <Self as AutodiffBackend>::inner(grad);
        match Constant.prepare::<C>([y.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish(grad.clone(), B::given_gradient(y.into_primitive(), grad))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::given_gradient(y.into_primitive(), grad)),
        }
    }
}

/// A loss of zero whose gradient to `y` is `grad`.
pub fn given_gradient<const D: usize>(y: Tensor<D>, grad: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::given_gradient(
        y.into_dispatch(),
        grad.into_dispatch(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{leaf, normal};

    #[test]
    fn the_gradient_is_the_given_one() {
        let (x, grad) = (leaf(&normal([3, 4])), normal([3, 4]));
        let grads = given_gradient(x.clone() * 2.0, grad.clone()).backward();
        let expected = (grad * 2.0).into_data();
        x.grad(&grads)
            .expect("a gradient")
            .into_data()
            .assert_eq(&expected, true);
    }
}
