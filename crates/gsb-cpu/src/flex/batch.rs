//! Products of many matrices.

use burn::backend::{TensorMetadata, flex::FlexTensor};
use burn::tensor::Shape;

use super::product::{Matrix, multiply, product};
use super::tasks::filled;
use super::tensor::{elements, is_f32, vector};
use crate::products::Products;

/// Whether the tensors hold floats, and as many matrices.
pub(super) fn fits(a: &FlexTensor, b: &FlexTensor) -> bool {
    let ([a_shape, b_shape], is_f32) = ([a.shape(), b.shape()], is_f32(&[a, b]));
    let ([a, b], dims) = ([a_shape.as_slice(), b_shape.as_slice()], a_shape.num_dims());
    is_f32 && dims >= 2 && a.len() == b.len() && a[..dims - 2] == b[..dims - 2]
}

/// `[.., rows, terms]` by `[.., terms, columns]`, which are known to [fit](fits).
pub(super) fn products(products: Products, a: FlexTensor, b: FlexTensor) -> FlexTensor {
    let (a, b) = (Matrices::new(a), Matrices::new(b));
    let (rows, columns) = (a.rows, b.columns);
    let len = rows * columns;
    let mut shape = a.leading.clone();
    let count = shape.iter().product::<usize>();
    shape.extend([rows, columns]);
    if count < rayon::current_num_threads() {
        // Threads share each of them.
        let mut y = Vec::with_capacity(count * len);
        (0..count).for_each(|index| y.append(&mut product(a.matrix(index), b.matrix(index), None)));
        return vector(y, Shape::from(shape));
    }
    let task = |index: usize, out: &mut [_]| {
        multiply(products, a.matrix(index), b.matrix(index), out);
    };
    // SAFETY: a chunk is a matrix, all of which is written.
    #[allow(unsafe_code)]
    let y = unsafe { filled(count * len, len, task) };
    vector(y, Shape::from(shape))
}

/// Matrices one after the other.
struct Matrices {
    tensor: FlexTensor,
    /// Whether that is how their columns lie.
    transposed: bool,
    leading: Vec<usize>,
    rows: usize,
    columns: usize,
}

impl Matrices {
    fn new(x: FlexTensor) -> Self {
        let shape = x.shape();
        let dims = shape.num_dims();
        let swapped = x.transpose(dims - 2, dims - 1);
        let transposed = !x.is_contiguous() && swapped.is_contiguous();
        let tensor = match transposed {
            true => swapped,
            false => super::contiguous(x),
        };
        Self {
            tensor,
            transposed,
            leading: shape.as_slice()[..dims - 2].to_vec(),
            rows: shape[dims - 2],
            columns: shape[dims - 1],
        }
    }

    fn matrix(&self, index: usize) -> Matrix<'_> {
        let len = self.rows * self.columns;
        let values = &elements(&self.tensor)[index * len..][..len];
        match self.transposed {
            true => Matrix::within(values, self.columns, self.rows, self.rows).transposed(),
            false => Matrix::within(values, self.rows, self.columns, self.columns),
        }
    }
}
