//! Arithmetic of two tensors of one shape.

use std::mem::MaybeUninit;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::math::simd::vectorised;
use crate::tensor::cpu::{
    Element, GRAIN, entries, filled, storage_of, tensor, with_entries, with_real,
};

/// What is computed from two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

/// `a`, `b` combined; both contiguous, of one shape, on the CPU.
pub(super) fn apply(a: &Tensor, b: &Tensor, arithmetic: Arithmetic) -> Result<Tensor> {
    a.apply_op2(b, arithmetic)
}

vectorised! {
    fn combine<T: Element>(arithmetic: Arithmetic, a: &[T], b: &[T], out: &mut [MaybeUninit<T>]) {
        let entries = a.iter().zip(b).zip(out);
        match arithmetic {
            Arithmetic::Add => entries.for_each(|((&a, &b), out)| {
                out.write(a + b);
            }),
            Arithmetic::Subtract => entries.for_each(|((&a, &b), out)| {
                out.write(a - b);
            }),
            Arithmetic::Multiply => entries.for_each(|((&a, &b), out)| {
                out.write(a * b);
            }),
        }
    }
}

impl Arithmetic {
    fn run<T: Element>(self, a: &[T], b: &[T]) -> Vec<T> {
        // SAFETY: the chunks of all sides cover as many entries, and `combine` writes each.
        unsafe {
            filled(a.len().min(b.len()), |out| {
                out.par_chunks_mut(GRAIN)
                    .zip(a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN)))
                    .for_each(|(out, (a, b))| combine(self, a, b, out));
            })
        }
    }

    /// The product of two tensors of one shape.
    fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        with_real!(a, T => {
            let values = with_entries::<T, _>(a, |a| with_entries::<T, _>(b, |b| Self::Multiply.run(a, b)))??;
            tensor(values, a.shape())
        })
    }
}

impl CustomOp2 for Arithmetic {
    fn name(&self) -> &'static str {
        "arithmetic"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let values = with_real!(a, T => {
            Ok(storage_of(self.run::<T>(entries(a, a_layout)?, entries(b, b_layout)?)))
        })?;
        Ok((values, a_layout.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted =
            |x: &Tensor, part: &dyn Fn() -> Result<Tensor>| x.track_op().then(part).transpose();
        let same = || Ok(gradient.clone());
        Ok(match self {
            Arithmetic::Add => (wanted(a, &same)?, wanted(b, &same)?),
            Arithmetic::Subtract => (wanted(a, &same)?, wanted(b, &|| gradient.neg())?),
            Arithmetic::Multiply => (
                wanted(a, &|| Self::product(gradient, b))?,
                wanted(b, &|| Self::product(gradient, a))?,
            ),
        })
    }
}
