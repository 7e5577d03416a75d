//! What the CPU kernels of the operations share. Backwards are derived by hand; loops are written over slices or fixed-size
//! lanes and compiled for several instruction sets (`math::simd`). Results do not depend on which, matrix products apart:
//! elsewhere no fused multiply-add is used.

mod matrix;
#[cfg(target_arch = "x86_64")]
mod product;
pub(super) mod rows;

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, WithDType};

use crate::math::Real;
pub(super) use matrix::{Matrix, multiply, multiply_add};

/// A number that tensors hold and kernels compute with.
pub(super) trait Element: Real + WithDType {}

impl Element for f32 {}
impl Element for f64 {}

/// Number of entries that are worth a thread of their own.
pub(super) const GRAIN: usize = 16 * 1024;

/// Whether the fused kernels exist for the dtype of `x`.
pub(super) fn is_float(x: &Tensor) -> bool {
    matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Runs `$body` with `$type` bound to the float type of a tensor.
macro_rules! with_real {
    ($tensor:expr, $type:ident => $body:expr) => {
        match $tensor.dtype() {
            candle_core::DType::F32 => {
                type $type = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $type = f64;
                $body
            }
            other => Err(candle_core::Error::UnsupportedDTypeForOp(other, "fused operation").bt()),
        }
    };
}
pub(super) use with_real;

/// The entries of a contiguous CPU tensor.
pub(super) fn entries<'a, T: Element>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous {
            op: "fused operation",
        }
        .bt());
    };
    Ok(&storage.as_slice::<T>()?[start..end])
}

/// Calls `read` with the storage and layout of a CPU tensor.
pub(super) fn with_storage<R>(
    x: &Tensor,
    read: impl FnOnce(&CpuStorage, &Layout) -> Result<R>,
) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => read(storage, layout),
        _ => Err(candle_core::Error::msg(
            "fused operation on a tensor that is not on the CPU",
        )),
    }
}

/// Calls `read` with the entries of a CPU tensor, copied only if it is not contiguous.
pub(super) fn with_entries<T: Element, R>(x: &Tensor, read: impl FnOnce(&[T]) -> R) -> Result<R> {
    let x = x.contiguous()?;
    with_storage(&x, |storage, layout| Ok(read(entries(storage, layout)?)))
}

/// CPU storage of these entries.
pub(super) fn storage_of<T: Element>(values: Vec<T>) -> CpuStorage {
    T::to_cpu_storage_owned(values)
}

/// A CPU tensor of these entries.
pub(super) fn tensor<T: Element>(values: Vec<T>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// A vector of `len` entries written by `fill`.
///
/// # Safety
/// `fill` writes every entry.
pub(super) unsafe fn filled<T: Element>(
    len: usize,
    fill: impl FnOnce(&mut [MaybeUninit<T>]),
) -> Vec<T> {
    let mut values = Box::new_uninit_slice(len);
    fill(&mut values);
    // SAFETY: all entries are written, by this function's own condition.
    unsafe { values.assume_init() }.into_vec()
}

/// The same entries, all of which are written.
///
/// # Safety
/// Every entry has been written.
pub(super) unsafe fn written<T: Element>(values: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: `MaybeUninit<T>` has the layout of `T`; the entries are initialised, by this function's own condition.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [T]) }
}
