//! The operations, each or each family in a folder of its own.

mod affine_coupling;
mod arithmetic;
mod cat;
mod comparison;
mod cumulative_sum;
mod dense;
mod extremum;
mod full;
mod gather;
mod index_select;
mod layer_norm;
mod matmul;
mod scatter_add;
mod selection;
mod shape;
mod softmax;
mod spline;
mod step;
mod sum;
mod unary;

use candle_core::Tensor;
use regflow_plugin::abi::op;

use super::TensorError;
use super::call::Call;

/// What an operation returns: its outputs.
type Outputs = Result<Vec<Tensor>, TensorError>;

macro_rules! folders {
    ($($folder:ident: $($code:ident)|+;)*) => {
        /// Runs the operation of a checked call.
        pub(super) fn run(call: &Call) -> Outputs {
            match call.code {
                $($(op::$code)|+ => $folder::apply(call),)*
                // Functions of one variable are a table of their own.
                _ => unary::apply(call),
            }
        }

        /// Every operation's cases for the tests of all of them.
        #[cfg(test)]
        pub(super) fn cases() -> Vec<super::tests::Case> {
            [$($folder::tests::cases(),)* unary::tests::cases()].into_iter().flatten().collect()
        }
    };
}

folders! {
    affine_coupling: AFFINE_COUPLING;
    arithmetic: ADD | SUB | MUL | DIV | MAXIMUM | MINIMUM;
    cat: CAT;
    comparison: EQ | NE | LT | LE | GT | GE;
    cumulative_sum: CUMSUM;
    dense: DENSE;
    extremum: MAX | MIN;
    full: FULL;
    gather: GATHER;
    index_select: INDEX_SELECT;
    layer_norm: LAYER_NORM;
    matmul: MATMUL;
    scatter_add: SCATTER_ADD;
    selection: WHERE;
    shape: RESHAPE | TRANSPOSE | PERMUTE | NARROW | BROADCAST_TO | DETACH | CAST;
    softmax: LOGSUMEXP | SOFTMAX | LOG_SOFTMAX;
    spline: RQ_SPLINE;
    step: SIGN | FLOOR;
    sum: SUM | MEAN;
}
