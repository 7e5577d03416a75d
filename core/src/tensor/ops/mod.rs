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

/// Runs the operation of a checked call.
pub(super) fn run(call: &Call) -> Outputs {
    match call.code {
        op::ADD | op::SUB | op::MUL | op::DIV | op::MAXIMUM | op::MINIMUM => {
            arithmetic::apply(call)
        }
        op::EQ | op::NE | op::LT | op::LE | op::GT | op::GE => comparison::apply(call),
        op::WHERE => selection::apply(call),
        op::SIGN | op::FLOOR => step::apply(call),
        op::SUM | op::MEAN => sum::apply(call),
        op::MAX | op::MIN => extremum::apply(call),
        op::CUMSUM => cumulative_sum::apply(call),
        op::LOGSUMEXP | op::SOFTMAX | op::LOG_SOFTMAX => softmax::apply(call),
        op::LAYER_NORM => layer_norm::apply(call),
        op::MATMUL => matmul::apply(call),
        op::DENSE => dense::apply(call),
        op::RESHAPE
        | op::TRANSPOSE
        | op::PERMUTE
        | op::NARROW
        | op::BROADCAST_TO
        | op::DETACH
        | op::CAST => shape::apply(call),
        op::CAT => cat::apply(call),
        op::GATHER => gather::apply(call),
        op::INDEX_SELECT => index_select::apply(call),
        op::FULL => full::apply(call),
        op::SCATTER_ADD => scatter_add::apply(call),
        op::AFFINE_COUPLING => affine_coupling::apply(call),
        op::RQ_SPLINE => spline::apply(call),
        // Functions of one variable are a table of their own.
        _ => unary::apply(call),
    }
}

/// Every operation's cases for the tests of all of them.
#[cfg(test)]
pub(super) fn cases() -> Vec<super::tests::Case> {
    [
        affine_coupling::tests::cases(),
        arithmetic::tests::cases(),
        cat::tests::cases(),
        comparison::tests::cases(),
        cumulative_sum::tests::cases(),
        dense::tests::cases(),
        extremum::tests::cases(),
        full::tests::cases(),
        gather::tests::cases(),
        index_select::tests::cases(),
        layer_norm::tests::cases(),
        matmul::tests::cases(),
        scatter_add::tests::cases(),
        selection::tests::cases(),
        shape::tests::cases(),
        softmax::tests::cases(),
        spline::tests::cases(),
        step::tests::cases(),
        sum::tests::cases(),
        unary::tests::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
