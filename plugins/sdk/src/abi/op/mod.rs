//! The tensor operations: codes, attribute keys and constants.
//!
//! An operation is `op(code, inputs, attributes) -> outputs`. Codes are never reused or renumbered; new operations get new
//! codes, and a changed meaning gets a new revision, which `op_supported(code)` returns (0: unknown operation).
//! Everything about an operation stands in one table: the constants here, the checks that the host makes before it runs
//! one, and this part of `include/regflow_plugin.h` are made from it.
//!
//! In gradients, `g` is the gradient of the output (`g1`, `g2` of the first and second); only floating-point tensors have
//! one. An input that was broadcast gets the sum over the places where it was used.

#[macro_use]
mod describe;
mod table;

pub use describe::{AttributeKind, Dtype, Input, Key, Operation, Output, Use};
pub use table::*;

/// Attribute keys.
pub mod key {
    use super::{AttributeKind, Key};

    keys! {
        DIM = 1, Int, "One dimension; negative counts from the end.";
        DIMS = 2, Ints, "Several dimensions, each negative or not.";
        KEEP = 3, Int, "1 keeps the reduced dimensions, with length 1; 0 drops them.";
        SHAPE = 4, Ints, "A shape: the length of each dimension.";
        START = 5, Int, "First index.";
        LEN = 6, Int, "Number of entries.";
        DTYPE = 7, Int, "One of the `DTYPE_*` values.";
        ACTIVATION = 8, Int, "One of the `ACTIVATION_*` values.";
        INVERSE = 9, Int, "1 for the inverse direction, 0 for the forward one.";
        CIRCULAR = 10, Int, "1 for a spline on a circle, 0 for one on a line.";
        BINS = 11, Int, "Number of spline bins.";
        SCALE = 32, Float, "Factor.";
        SHIFT = 33, Float, "Summand.";
        EXPONENT = 34, Float, "Exponent.";
        LOWER = 35, Float, "Lower bound.";
        UPPER = 36, Float, "Upper bound.";
        EPSILON = 37, Float, "Added to a variance; 0 or more.";
        LIMIT = 38, Float, "Bound of a log-scale; above 0.";
        MIN_BIN = 39, Float, "Smallest bin, as a fraction of the interval.";
        MIN_SLOPE = 40, Float, "Smallest slope at a knot.";
        VALUE = 41, Float, "Value of each entry.";
    }
}

constants! {
    DTYPE_F32 = 0, "32-bit floating point.";
    DTYPE_F64 = 1, "64-bit floating point.";
    DTYPE_U32 = 2, "32-bit unsigned integers: indices.";
    ACTIVATION_NONE = 0, "No activation.";
    ACTIVATION_RELU = 1, "`max(x, 0)`.";
    ACTIVATION_SILU = 2, "`x / (1 + exp(-x))`.";
    ACTIVATION_TANH = 3, "Hyperbolic tangent.";
    ACTIVATION_GELU = 4, "`x Phi(x)`, with the error function.";
    MAX_SPLINE_BINS = 1024, "Most bins of a spline: beyond, the smallest bins would approach the resolution of F32.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_keys_and_names_are_unique() {
        let operations: Vec<_> = ALL
            .iter()
            .filter_map(|&code| Operation::find(code))
            .collect();
        assert_eq!(operations.len(), ALL.len());
        let names: HashSet<_> = operations.iter().map(|operation| operation.name).collect();
        assert_eq!(names.len(), ALL.len());
        let keys: HashSet<_> = key::ALL.iter().map(|key| key.code).collect();
        assert_eq!(keys.len(), key::ALL.len());
        assert!(Operation::find(0).is_none() && name(9999).is_none());
    }

    #[test]
    fn every_operation_is_described() {
        for &code in ALL {
            let Some(operation) = Operation::find(code) else {
                panic!("code {code} is not in the table");
            };
            let name = operation.name;
            assert_eq!(operation.code, code, "{name}");
            assert!(operation.revision >= 1, "{name}");
            assert!(
                !operation.inputs.is_empty() && !operation.outputs.is_empty(),
                "{name}"
            );
            assert!(!operation.variadic || operation.inputs.len() == 1, "{name}");
            for text in [operation.formula, operation.gradient] {
                assert!(
                    text.ends_with('.') && !text.contains("..."),
                    "{name}: {text}"
                );
            }
            // Each attribute is explained by the formula, unless its key says all.
            for attribute in operation.attributes {
                let said = ["KEEP", "DTYPE", "ACTIVATION"].contains(&attribute.key.name);
                assert!(
                    said || operation.formula.contains(attribute.key.name),
                    "{name}: {}",
                    attribute.key.name
                );
            }
        }
    }
}
