//! The operations on tensors. Exact definitions: [`crate::abi::op`].

use crate::abi::op::{self, key};
use crate::attribute::Attribute;
use crate::error::Result;
use crate::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

fn signed(lengths: &[usize]) -> Vec<i64> {
    lengths.iter().map(|&n| n as i64).collect()
}

/// Activation of a dense layer.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// None.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    #[default]
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `x Phi(x)`.
    Gelu,
}

impl Activation {
    fn code(self) -> u32 {
        match self {
            Activation::None => op::ACTIVATION_NONE,
            Activation::Relu => op::ACTIVATION_RELU,
            Activation::Silu => op::ACTIVATION_SILU,
            Activation::Tanh => op::ACTIVATION_TANH,
            Activation::Gelu => op::ACTIVATION_GELU,
        }
    }
}

/// Interval and bounds of a rational-quadratic spline ([`op::RQ_SPLINE`]).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SplineSpec {
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// Number of bins K.
    pub bins: usize,
    /// Ends joined (3 K parameters per element), or identity outside (3 K - 1).
    pub circular: bool,
    /// Smallest bin width and height, as a fraction of the interval.
    pub min_bin: f64,
    /// Smallest slope at a knot.
    pub min_slope: f64,
}

impl SplineSpec {
    /// Number of parameters of one element.
    pub fn n_parameters(&self) -> usize {
        // The host refuses a spline without bins.
        self.bins
            .saturating_mul(3)
            .saturating_sub(usize::from(!self.circular))
    }
}

macro_rules! unary {
    ($($(#[$doc:meta])* $method:ident $code:ident;)*) => {
        impl Tensor {
            $($(#[$doc])*
            ///
            /// # Errors
            /// The host's message, such as a wrong element type.
            pub fn $method(&self) -> Result<Tensor> {
                one(op::$code, &[self], &[])
            })*
        }
    };
}

macro_rules! binary {
    ($($(#[$doc:meta])* $method:ident $code:ident;)*) => {
        impl Tensor {
            $($(#[$doc])*
            ///
            /// # Errors
            /// The shapes cannot be broadcast, or the element types differ.
            pub fn $method(&self, other: &Tensor) -> Result<Tensor> {
                one(op::$code, &[self, other], &[])
            })*
        }
    };
}

macro_rules! along {
    ($($(#[$doc:meta])* $method:ident $code:ident $keep:expr;)*) => {
        impl Tensor {
            $($(#[$doc])*
            /// Negative `dim` counts from the end.
            ///
            /// # Errors
            /// There is no such dimension.
            pub fn $method(&self, dim: i64) -> Result<Tensor> {
                let keep: Option<i64> = $keep;
                let (dim, keep_value) = ([dim], [keep.unwrap_or(0)]);
                let attrs = [Attribute::ints(key::DIM, &dim), Attribute::ints(key::KEEP, &keep_value)];
                one(op::$code, &[self], &attrs[..1 + usize::from(keep.is_some())])
            })*
        }
    };
}

fn one(code: u32, inputs: &[&Tensor], attributes: &[Attribute<'_>]) -> Result<Tensor> {
    let [output] = Tensor::apply(code, inputs, attributes)?;
    Ok(output)
}

unary! {
    /// `-x`.
    neg NEG;
    /// `|x|`.
    abs ABS;
    /// -1, 0 or 1; no gradient.
    sign SIGN;
    /// Exponential.
    exp EXP;
    /// Natural logarithm.
    log LOG;
    /// Square root.
    sqrt SQRT;
    /// `x * x`.
    sqr SQR;
    /// `1 / x`.
    recip RECIP;
    /// Sine.
    sin SIN;
    /// Cosine.
    cos COS;
    /// Hyperbolic tangent.
    tanh TANH;
    /// `1 / (1 + exp(-x))`.
    sigmoid SIGMOID;
    /// `x sigmoid(x)`.
    silu SILU;
    /// `max(x, 0)`.
    relu RELU;
    /// `x Phi(x)`.
    gelu GELU;
    /// `log(1 + exp(x))`.
    softplus SOFTPLUS;
    /// Error function.
    erf ERF;
    /// `exp(x) - 1`, accurate near 0.
    expm1 EXPM1;
    /// `log(1 + x)`, accurate near 0.
    log1p LOG1P;
    /// Hyperbolic sine.
    sinh SINH;
    /// Hyperbolic cosine.
    cosh COSH;
    /// Inverse hyperbolic sine.
    asinh ASINH;
    /// Largest integer not above x; no gradient.
    floor FLOOR;
    /// Angle wrapped to `(-pi, pi]`.
    wrap WRAP;
    /// The same values without their history of gradients.
    detach DETACH;
}

binary! {
    /// `a + b`, broadcasting.
    add ADD;
    /// `a - b`, broadcasting.
    sub SUB;
    /// `a * b`, broadcasting.
    mul MUL;
    /// `a / b`, broadcasting.
    div DIV;
    /// Elementwise maximum, broadcasting.
    maximum MAXIMUM;
    /// Elementwise minimum, broadcasting.
    minimum MINIMUM;
    /// `a == b` as 1 or 0.
    eq EQ;
    /// `a != b` as 1 or 0.
    ne NE;
    /// `a < b` as 1 or 0.
    lt LT;
    /// `a <= b` as 1 or 0.
    le LE;
    /// `a > b` as 1 or 0.
    gt GT;
    /// `a >= b` as 1 or 0.
    ge GE;
    /// Matrix product `[..., m, k]` by `[..., k, n]`; leading dimensions broadcast.
    matmul MATMUL;
}

along! {
    /// Maximum over `dim`, which goes.
    max MAX Some(0);
    /// Maximum over `dim`, which stays with length 1.
    max_keepdim MAX Some(1);
    /// Minimum over `dim`, which goes.
    min MIN Some(0);
    /// Minimum over `dim`, which stays with length 1.
    min_keepdim MIN Some(1);
    /// `log(sum(exp(x)))` over `dim`, which goes.
    logsumexp LOGSUMEXP Some(0);
    /// `log(sum(exp(x)))` over `dim`, which stays with length 1.
    logsumexp_keepdim LOGSUMEXP Some(1);
    /// Cumulative sum along `dim`.
    cumsum CUMSUM None;
    /// Softmax along `dim`.
    softmax SOFTMAX None;
    /// Logarithm of the softmax along `dim`.
    log_softmax LOG_SOFTMAX None;
}

/// All methods fail with the host's message: wrong shapes, dimensions or element types.
impl Tensor {
    /// `mul * x + add`.
    pub fn affine(&self, mul: f64, add: f64) -> Result<Tensor> {
        one(
            op::AFFINE,
            &[self],
            &[
                Attribute::float(key::SCALE, mul),
                Attribute::float(key::SHIFT, add),
            ],
        )
    }

    /// `x ^ exponent`.
    pub fn powf(&self, exponent: f64) -> Result<Tensor> {
        one(
            op::POWF,
            &[self],
            &[Attribute::float(key::EXPONENT, exponent)],
        )
    }

    /// `min(max(x, lower), upper)`.
    pub fn clamp(&self, lower: f64, upper: f64) -> Result<Tensor> {
        one(
            op::CLAMP,
            &[self],
            &[
                Attribute::float(key::LOWER, lower),
                Attribute::float(key::UPPER, upper),
            ],
        )
    }

    /// `on_true` where this tensor is not 0, else `on_false`; all three broadcast.
    pub fn where_cond(&self, on_true: &Tensor, on_false: &Tensor) -> Result<Tensor> {
        one(op::WHERE, &[self, on_true, on_false], &[])
    }

    /// Sum over `dims`, which go.
    pub fn sum(&self, dims: &[i64]) -> Result<Tensor> {
        one(
            op::SUM,
            &[self],
            &[
                Attribute::ints(key::DIMS, dims),
                Attribute::ints(key::KEEP, &[0]),
            ],
        )
    }

    /// Sum over `dims`, which stay with length 1.
    pub fn sum_keepdim(&self, dims: &[i64]) -> Result<Tensor> {
        one(
            op::SUM,
            &[self],
            &[
                Attribute::ints(key::DIMS, dims),
                Attribute::ints(key::KEEP, &[1]),
            ],
        )
    }

    /// Mean over `dims`, which go.
    pub fn mean(&self, dims: &[i64]) -> Result<Tensor> {
        one(
            op::MEAN,
            &[self],
            &[
                Attribute::ints(key::DIMS, dims),
                Attribute::ints(key::KEEP, &[0]),
            ],
        )
    }

    /// Mean over `dims`, which stay with length 1.
    pub fn mean_keepdim(&self, dims: &[i64]) -> Result<Tensor> {
        one(
            op::MEAN,
            &[self],
            &[
                Attribute::ints(key::DIMS, dims),
                Attribute::ints(key::KEEP, &[1]),
            ],
        )
    }

    /// Layer normalisation over the last dimension.
    pub fn layer_norm(&self, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
        one(
            op::LAYER_NORM,
            &[self, weight, bias],
            &[Attribute::float(key::EPSILON, epsilon)],
        )
    }

    /// `activation(x weight + bias)`; x `[..., k]`, weight `[k, n]`, bias `[n]`.
    pub fn dense(&self, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
        let code = [i64::from(activation.code())];
        one(
            op::DENSE,
            &[self, weight, bias],
            &[Attribute::ints(key::ACTIVATION, &code)],
        )
    }

    /// The same elements in row-major order with another shape.
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor> {
        one(
            op::RESHAPE,
            &[self],
            &[Attribute::ints(key::SHAPE, &signed(shape))],
        )
    }

    /// Exchange of two dimensions.
    pub fn transpose(&self, first: i64, second: i64) -> Result<Tensor> {
        one(
            op::TRANSPOSE,
            &[self],
            &[Attribute::ints(key::DIMS, &[first, second])],
        )
    }

    /// Dimensions in another order.
    pub fn permute(&self, dims: &[i64]) -> Result<Tensor> {
        one(op::PERMUTE, &[self], &[Attribute::ints(key::DIMS, dims)])
    }

    /// `len` entries of `dim` from `start`.
    pub fn narrow(&self, dim: i64, start: usize, len: usize) -> Result<Tensor> {
        let (dim, start, len) = ([dim], [start as i64], [len as i64]);
        let attrs = [
            Attribute::ints(key::DIM, &dim),
            Attribute::ints(key::START, &start),
            Attribute::ints(key::LEN, &len),
        ];
        one(op::NARROW, &[self], &attrs)
    }

    /// Concatenation along `dim`.
    pub fn cat(tensors: &[&Tensor], dim: i64) -> Result<Tensor> {
        one(op::CAT, tensors, &[Attribute::ints(key::DIM, &[dim])])
    }

    /// Elements `index` (u32, same rank) along `dim`.
    pub fn gather(&self, index: &Tensor, dim: i64) -> Result<Tensor> {
        one(
            op::GATHER,
            &[self, index],
            &[Attribute::ints(key::DIM, &[dim])],
        )
    }

    /// Rows `index` (u32, rank 1) of `dim`.
    pub fn index_select(&self, index: &Tensor, dim: i64) -> Result<Tensor> {
        one(
            op::INDEX_SELECT,
            &[self, index],
            &[Attribute::ints(key::DIM, &[dim])],
        )
    }

    /// Repetition along dimensions of length 1 up to `shape`.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Tensor> {
        one(
            op::BROADCAST_TO,
            &[self],
            &[Attribute::ints(key::SHAPE, &signed(shape))],
        )
    }

    /// This tensor with `source` added at `index` (u32, of the shape of `source`) along `dim`: `y[index[i, j], j] += source[i, j]`
    /// for `dim` 0. The other dimensions are as long as this tensor's.
    pub fn scatter_add(&self, index: &Tensor, source: &Tensor, dim: i64) -> Result<Tensor> {
        one(
            op::SCATTER_ADD,
            &[self, index, source],
            &[Attribute::ints(key::DIM, &[dim])],
        )
    }

    /// A tensor of `shape` filled with `value`, of the element type and on the device of `like`.
    pub fn full(like: &Tensor, value: f64, shape: &[usize]) -> Result<Tensor> {
        let shape = signed(shape);
        let attributes = [
            Attribute::ints(key::SHAPE, &shape),
            Attribute::float(key::VALUE, value),
        ];
        one(op::FULL, &[like], &attributes)
    }

    /// [`Tensor::full`] with 0.
    pub fn zeros(like: &Tensor, shape: &[usize]) -> Result<Tensor> {
        Tensor::full(like, 0.0, shape)
    }

    /// [`Tensor::full`] with 1.
    pub fn ones(like: &Tensor, shape: &[usize]) -> Result<Tensor> {
        Tensor::full(like, 1.0, shape)
    }

    /// Zeros of this tensor's shape.
    pub fn zeros_like(&self) -> Result<Tensor> {
        Tensor::full(self, 0.0, &self.shape())
    }

    /// Ones of this tensor's shape.
    pub fn ones_like(&self) -> Result<Tensor> {
        Tensor::full(self, 1.0, &self.shape())
    }

    /// Conversion to another element type.
    pub fn cast(&self, dtype: DType) -> Result<Tensor> {
        one(
            op::CAST,
            &[self],
            &[Attribute::ints(key::DTYPE, &[i64::from(dtype.code())])],
        )
    }

    /// Affine coupling of `[B, D]` with raw scale and shift of the same shape: with `l = limit tanh(scale / limit)`,
    /// `y = x exp(l) + shift`, or its inverse. Returns y and the log-determinant `[B]` of the direction applied.
    pub fn affine_coupling(
        &self,
        scale: &Tensor,
        shift: &Tensor,
        limit: f64,
        inverse: bool,
    ) -> Result<(Tensor, Tensor)> {
        let inverse = [i64::from(inverse)];
        let attrs = [
            Attribute::float(key::LIMIT, limit),
            Attribute::ints(key::INVERSE, &inverse),
        ];
        let [y, log_det] = Tensor::apply(op::AFFINE_COUPLING, &[self, scale, shift], &attrs)?;
        Ok((y, log_det))
    }

    /// Rational-quadratic spline of each element of `[B, D]`, with parameters `[B, D, P]` or `[1, D, P]`,
    /// P = [`SplineSpec::n_parameters`]. Returns y and the log-derivative `[B, D]` of the direction applied.
    pub fn rational_quadratic_spline(
        &self,
        parameters: &Tensor,
        spec: &SplineSpec,
        inverse: bool,
    ) -> Result<(Tensor, Tensor)> {
        let (bins, circular, inverse) = (
            [spec.bins as i64],
            [i64::from(spec.circular)],
            [i64::from(inverse)],
        );
        let attrs = [
            Attribute::float(key::LOWER, spec.lower),
            Attribute::float(key::UPPER, spec.upper),
            Attribute::float(key::MIN_BIN, spec.min_bin),
            Attribute::float(key::MIN_SLOPE, spec.min_slope),
            Attribute::ints(key::BINS, &bins),
            Attribute::ints(key::CIRCULAR, &circular),
            Attribute::ints(key::INVERSE, &inverse),
        ];
        let [y, log_derivative] = Tensor::apply(op::RQ_SPLINE, &[self, parameters], &attrs)?;
        Ok((y, log_derivative))
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $number:expr;)*) => {$(
        impl std::ops::$trait<&Tensor> for &Tensor {
            type Output = Result<Tensor>;
            fn $method(self, other: &Tensor) -> Result<Tensor> {
                Tensor::$method(self, other)
            }
        }

        impl std::ops::$trait<f64> for &Tensor {
            type Output = Result<Tensor>;
            fn $method(self, number: f64) -> Result<Tensor> {
                let (mul, add) = $number(number);
                self.affine(mul, add)
            }
        }
    )*};
}

operator! {
    Add add |b| (1.0, b);
    Sub sub |b: f64| (1.0, -b);
    Mul mul |b| (b, 0.0);
    Div div |b: f64| (1.0 / b, 0.0);
}

impl std::ops::Neg for &Tensor {
    type Output = Result<Tensor>;
    fn neg(self) -> Result<Tensor> {
        Tensor::neg(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splines_of_any_number_of_bins_have_a_number_of_parameters() {
        let parameters = |bins, circular| {
            let spec = SplineSpec {
                lower: -1.0,
                upper: 1.0,
                bins,
                circular,
                min_bin: 1e-3,
                min_slope: 1e-3,
            };
            spec.n_parameters()
        };
        assert_eq!([parameters(8, false), parameters(8, true)], [23, 24]);
        assert_eq!([parameters(0, false), parameters(0, true)], [0, 0]);
        assert_eq!(parameters(usize::MAX, true), usize::MAX);
    }
}
