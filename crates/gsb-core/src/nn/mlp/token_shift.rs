//! Copies of the tokens, shifted by one place.

use burn::Tensor;
use serde::{Deserialize, Serialize};

/// Adds to the patches of an image copies of their neighbours: `y = x + S(x)`.
///
/// `S` shifts the first third of the channels by one place in height, the second by one in width, and what remains by
/// one in both: patch `(i, j)` gets the channels of patch `(i - 1, j)`, `(i, j - 1)` and `(i - 1, j - 1)`, and 0 where there is
/// none. What stands before the patches, class and distillation token, stays as it is. Neighbours mix for the price
/// of an addition, and nothing is learned.
///
/// Source: after the shift MLP of BHViT (CVPR 2025).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::TokenShift;
///
/// // A class token and four patches of three channels.
/// let x = [[[9.0; 3], [1.0; 3], [2.0; 3], [3.0; 3], [4.0; 3]]];
/// let x = Tensor::<3>::from_floats(x, &Device::default());
/// let y = TokenShift::new(2).forward(x).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y[..6], [9.0, 9.0, 9.0, 1.0, 1.0, 1.0]);
/// assert_eq!(y[6..], [2.0, 3.0, 2.0, 4.0, 3.0, 3.0, 6.0, 7.0, 5.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenShift {
    side: usize,
}

impl TokenShift {
    /// Of images with `side` patches in height and in width.
    pub fn new(side: usize) -> Self {
        Self { side }
    }

    /// Adds the copies.
    ///
    /// # Shapes
    /// - x and output: `[.., tokens, width]`, the last `side * side` tokens the patches, row by row
    ///
    /// # Panics
    /// If there are fewer tokens than patches.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.shape();
        let (tokens, width) = match shape.as_slice() {
            [.., tokens, width] => (*tokens, *width),
            _ => (0, 0),
        };
        let (side, patches) = (self.side, self.side * self.side);
        assert!(
            tokens >= patches,
            "the tokens of {side} by {side} patches have a shape of [.., {patches} or more, width], got {:?}",
            shape.as_slice()
        );
        if side < 2 {
            return x;
        }
        let x: Tensor<3> = x.reshape([-1, tokens as i32, width as i32]);
        let [images, ..] = x.dims();
        let before = tokens - patches;
        let grid = x.clone().narrow(1, before, patches);
        let grid: Tensor<4> = grid.reshape([images, side, side, width]);
        let third = width / 3;
        let parts = [
            (0, third, &[1][..]),
            (third, third, &[2]),
            (2 * third, width - 2 * third, &[1, 2]),
        ];
        let copies = parts
            .into_iter()
            .filter(|&(_, channels, _)| channels > 0)
            .map(|(from, channels, dims)| {
                let part = grid.clone().narrow(3, from, channels);
                dims.iter().fold(part, |part, &dim| by_one(part, dim))
            });
        let moved = grid.clone() + Tensor::cat(copies.collect(), 3);
        let moved = moved.reshape([images, patches, width]);
        let y = match before {
            0 => moved,
            _ => Tensor::cat(vec![x.narrow(1, 0, before), moved], 1),
        };
        y.reshape(shape)
    }
}

/// The tokens with the copies that an MLP adds, if it does.
pub(super) fn shifted<const D: usize>(shift: Option<TokenShift>, x: Tensor<D>) -> Tensor<D> {
    match shift {
        Some(shift) => shift.forward(x),
        None => x,
    }
}

/// What stood at each place now stands at the next one, and 0 at the first.
fn by_one(x: Tensor<4>, dim: usize) -> Tensor<4> {
    let places = x.dims()[dim];
    let first = x.clone().narrow(dim, 0, 1).zeros_like();
    Tensor::cat(vec![first, x.narrow(dim, 0, places - 1)], dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn each_share_of_the_channels_comes_from_another_neighbour() {
        let device = Device::default();
        // Two images, two learned tokens and three by three patches of seven channels.
        let x = Tensor::<3>::random([2, 11, 7], Distribution::Default, &device);
        let y = TokenShift::new(3).forward(x.clone());
        let [x, y] = [x, y].map(|x| x.into_data().try_to_vec::<f32>().unwrap());
        for image in 0..2 {
            let at = |token: usize, channel: usize| (image * 11 + token) * 7 + channel;
            for channel in 0..7 {
                for token in 0..2 {
                    assert_eq!(y[at(token, channel)], x[at(token, channel)]);
                }
                let (up, left) = match channel {
                    0..2 => (1, 0),
                    2..4 => (0, 1),
                    _ => (1, 1),
                };
                for (row, column) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column)))
                {
                    let own = at(2 + row * 3 + column, channel);
                    let copy = match (row >= up, column >= left) {
                        (true, true) => x[at(2 + (row - up) * 3 + column - left, channel)],
                        _ => 0.0,
                    };
                    assert_eq!(y[own], x[own] + copy, "{row} {column} {channel}");
                }
            }
        }
    }

    #[test]
    fn a_single_patch_has_no_neighbours() {
        let x = Tensor::<3>::ones([1, 2, 2], &Device::default());
        let y = TokenShift::new(1).forward(x.clone());
        y.into_data().assert_eq(&x.into_data(), true);
    }

    #[test]
    #[should_panic(
        expected = "the tokens of 3 by 3 patches have a shape of [.., 9 or more, width], got [1, 8, 2]"
    )]
    fn too_few_tokens() {
        TokenShift::new(3).forward(Tensor::<3>::ones([1, 8, 2], &Device::default()));
    }
}
