//! Symmetric matrices, and the pairs of them that whiten.

use nalgebra::DMatrix;

/// How far `root inverse_root v` of a stored whitening may be from `v`, relatively. The condition number is 1e5 at most.
const INVERSE_TOLERANCE: f64 = 1e-6;

/// Two matrices that undo each other.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Whitening {
    pub root: Symmetric,
    pub inverse_root: Symmetric,
}

/// `out = diag(matrices) v`.
pub(super) fn times<'a>(
    matrices: impl Iterator<Item = &'a Symmetric>,
    mut v: &[f64],
    mut out: &mut [f64],
) {
    for matrix in matrices {
        let (head, rest) = v.split_at(matrix.size);
        let (head_out, rest_out) = out.split_at_mut(matrix.size);
        matrix.times(head, head_out);
        (v, out) = (rest, rest_out);
    }
}

impl Whitening {
    /// Whether the two matrices undo each other, by one vector that none of their columns is orthogonal to.
    pub fn is_consistent(&self) -> bool {
        let v: Vec<f64> = (0..self.root.size).map(|k| 1.0 + (k % 7) as f64).collect();
        let (mut between, mut back) = (vec![0.0; v.len()], vec![0.0; v.len()]);
        self.inverse_root.times(&v, &mut between);
        self.root.times(&between, &mut back);
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let difference = norm(&mut v.iter().zip(&back).map(|(v, back)| v - back));
        difference <= INVERSE_TOLERANCE * norm(&mut v.iter().copied())
    }
}

/// A symmetric matrix.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Symmetric {
    pub size: usize,
    /// All of it, row by row.
    pub rows: Vec<f64>,
}

impl Symmetric {
    /// `V diag(values) V^T`.
    pub fn from_eigen(vectors: &DMatrix<f64>, values: impl Iterator<Item = f64>) -> Self {
        let mut scaled = vectors.clone();
        scaled
            .column_iter_mut()
            .zip(values)
            .for_each(|(mut column, value)| column *= value);
        let product = scaled * vectors.transpose();
        let size = product.nrows();
        // The upper triangle for both, as the product is symmetric only up to rounding.
        let rows =
            (0..size * size).map(|k| product[((k / size).min(k % size), (k / size).max(k % size))]);
        Self {
            size,
            rows: rows.collect(),
        }
    }

    /// Logarithm of the determinant; `None` if the matrix is not positive definite.
    pub fn log_det(&self) -> Option<f64> {
        let matrix = DMatrix::from_row_slice(self.size, self.size, &self.rows);
        let factor = matrix.cholesky()?.unpack_dirty();
        Some(2.0 * factor.diagonal().iter().map(|x| x.ln()).sum::<f64>())
    }

    /// `out = self v`. Runs along rows (which are columns), so that it vectorises without reordering sums.
    pub fn times(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, v) in self.rows.chunks_exact(self.size.max(1)).zip(v) {
            out.iter_mut()
                .zip(row)
                .for_each(|(out, element)| *out += element * v);
        }
    }

    /// The upper triangle, row by row.
    pub fn triangle(&self) -> Vec<f64> {
        let rows = self.rows.chunks_exact(self.size.max(1)).enumerate();
        rows.flat_map(|(i, row)| row[i..].iter().copied()).collect()
    }

    /// The inverse of [`Symmetric::triangle`]; there are `size (size + 1) / 2` numbers.
    pub fn from_triangle(size: usize, packed: &[f64]) -> Self {
        let start = |i: usize| i * size - i * i.saturating_sub(1) / 2;
        let element = |k: usize| {
            let (i, j) = ((k / size).min(k % size), (k / size).max(k % size));
            packed[start(i) + j - i]
        };
        Self {
            size,
            rows: (0..size * size).map(element).collect(),
        }
    }
}
