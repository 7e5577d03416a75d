//! Fused CPU operations with backwards derived by hand. Loops are written over slices or fixed-size lanes so that they
//! vectorise; each kernel is compiled for AVX-512, AVX2 and the baseline, and chosen at run time. Results do not depend on
//! which, matrix products apart: elsewhere no fused multiply-add is used.

pub(super) mod affine_coupling;
pub(super) mod binary;
pub(super) mod dense;
pub(super) mod math;
mod matrix;
#[cfg(target_arch = "x86_64")]
mod product;
pub(super) mod rows;
pub(super) mod select;
pub(super) mod spline;
pub(super) mod unary;

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor};

use math::Real;

/// Number of entries that are worth a thread of their own.
const GRAIN: usize = 16 * 1024;

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
use with_real;

/// The entries of a contiguous CPU tensor.
fn entries<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous {
            op: "fused operation",
        }
        .bt());
    };
    Ok(&storage.as_slice::<T>()?[start..end])
}

/// Calls `read` with the storage and layout of a CPU tensor.
fn with_storage<R>(x: &Tensor, read: impl FnOnce(&CpuStorage, &Layout) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => read(storage, layout),
        _ => Err(candle_core::Error::msg(
            "fused operation on a tensor that is not on the CPU",
        )),
    }
}

/// Calls `read` with the entries of a CPU tensor, copied only if it is not contiguous.
fn with_entries<T: Real, R>(x: &Tensor, read: impl FnOnce(&[T]) -> R) -> Result<R> {
    let x = x.contiguous()?;
    with_storage(&x, |storage, layout| Ok(read(entries(storage, layout)?)))
}

/// CPU storage of these entries.
fn storage_of<T: Real>(values: Vec<T>) -> CpuStorage {
    T::to_cpu_storage_owned(values)
}

/// A CPU tensor of these entries.
fn tensor<T: Real>(values: Vec<T>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// A vector of `len` entries written by `fill`.
///
/// # Safety
/// `fill` writes every entry.
unsafe fn filled<T: Real>(len: usize, fill: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    let mut values = Box::new_uninit_slice(len);
    fill(&mut values);
    // SAFETY: all entries are written, by this function's own condition.
    unsafe { values.assume_init() }.into_vec()
}

/// The same entries, all of which are written.
///
/// # Safety
/// Every entry has been written.
unsafe fn written<T: Real>(values: &mut [MaybeUninit<T>]) -> &mut [T] {
    // SAFETY: `MaybeUninit<T>` has the layout of `T`; the entries are initialised, by this function's own condition.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [T]) }
}
