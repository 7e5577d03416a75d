//! The tensor handle: reference counting, shape, values from and to the host.

use crate::abi::{TensorHandle, op};
use crate::attribute::Attribute;
use crate::error::{Error, Result};
use crate::host::Host;
use std::ffi::c_void;
use std::ptr::NonNull;

/// Element type of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 32-bit unsigned integers: indices.
    U32,
}

impl DType {
    /// The number that stands for the type in the ABI.
    pub fn code(self) -> u32 {
        match self {
            DType::F32 => op::DTYPE_F32,
            DType::F64 => op::DTYPE_F64,
            DType::U32 => op::DTYPE_U32,
        }
    }

    /// The type of an ABI number; unknown numbers are `None`.
    pub fn from_code(code: u32) -> Option<Self> {
        match code {
            op::DTYPE_F32 => Some(DType::F32),
            op::DTYPE_F64 => Some(DType::F64),
            op::DTYPE_U32 => Some(DType::U32),
            _ => None,
        }
    }
}

fn operation_error(code: u32, message: &str) -> Error {
    let name = op::name(code).unwrap_or("operation");
    Error::Operation {
        code,
        message: format!("{name}: {message}"),
    }
}

/// Element types that can be copied from and to tensors.
pub trait Element: Copy + Default + sealed::Sealed {
    /// The tensor type.
    const DTYPE: DType;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for u32 {}
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}
impl Element for f64 {
    const DTYPE: DType = DType::F64;
}
impl Element for u32 {
    const DTYPE: DType = DType::U32;
}

/// A tensor of the host: a handle, cheap to clone. Device, dtype and gradients are the host's business; the methods
/// have the names usual in tensor libraries. See the operations' exact definitions in [`op`].
pub struct Tensor {
    host: Host,
    handle: NonNull<TensorHandle>,
}

// SAFETY: the host's tensors are immutable and atomically counted.
unsafe impl Send for Tensor {}
// SAFETY: as above.
unsafe impl Sync for Tensor {}

impl Clone for Tensor {
    fn clone(&self) -> Self {
        let table = self.host.table();
        // SAFETY: the handle is alive, and the new value releases the new reference.
        unsafe { (table.retain)(table.context, self.handle.as_ptr()) };
        Tensor { ..*self }
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        let table = self.host.table();
        // SAFETY: this value owns one reference.
        unsafe { (table.release)(table.context, self.handle.as_ptr()) };
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({:?}, {:?})", self.shape(), self.dtype())
    }
}

impl Tensor {
    /// Takes over one reference.
    ///
    /// # Safety
    /// `handle` is null or a tensor of `host` of which the caller owns a reference.
    pub(crate) unsafe fn from_raw(host: Host, handle: *mut TensorHandle) -> Result<Self> {
        match NonNull::new(handle) {
            Some(handle) => Ok(Tensor { host, handle }),
            None => Err(Error::Host {
                operation: "tensor",
                message: "the host reported success but wrote no tensor".into(),
            }),
        }
    }

    /// Borrows a tensor of the host by taking a reference of its own.
    ///
    /// # Safety
    /// `handle` is null or alive for the call.
    pub(crate) unsafe fn borrow_raw(host: Host, handle: *const TensorHandle) -> Result<Self> {
        let table = host.table();
        if !handle.is_null() {
            // SAFETY: alive by contract.
            unsafe { (table.retain)(table.context, handle) };
        }
        // SAFETY: the reference just taken is ours.
        unsafe { Tensor::from_raw(host, handle.cast_mut()) }
    }

    /// Gives the reference away.
    pub(crate) fn into_raw(self) -> *mut TensorHandle {
        let handle = self.handle.as_ptr();
        std::mem::forget(self);
        handle
    }

    /// Applies operation `code`, for codes without a method here.
    ///
    /// # Errors
    /// The host's message: unknown operation, wrong shapes or attributes, another number of outputs than `N`.
    pub fn apply<const N: usize>(
        code: u32,
        inputs: &[&Tensor],
        attributes: &[Attribute<'_>],
    ) -> Result<[Tensor; N]> {
        const ON_STACK: usize = 8;
        let Some(first) = inputs.first() else {
            return Err(operation_error(code, "needs at least one input"));
        };
        let host = first.host;
        let table = host.table();
        let mut stack = [std::ptr::null::<TensorHandle>(); ON_STACK];
        let mut heap = Vec::new();
        let handles: &[*const TensorHandle] = if inputs.len() <= ON_STACK {
            for (slot, input) in stack.iter_mut().zip(inputs) {
                *slot = input.handle.as_ptr();
            }
            &stack[..inputs.len()]
        } else {
            heap.extend(
                inputs
                    .iter()
                    .map(|input| input.handle.as_ptr().cast_const()),
            );
            &heap
        };
        let attrs = Attribute::to_raw(attributes);
        let mut outputs = [std::ptr::null_mut(); N];
        // SAFETY: handles are alive, slices and what attributes borrow outlive the call, `outputs` has room for N.
        let status = unsafe {
            (table.op)(
                table.context,
                code,
                handles.as_ptr(),
                handles.len() as u64,
                attrs.as_ptr(),
                attrs.len() as u64,
                outputs.as_mut_ptr(),
                N as u64,
            )
        };
        if status != crate::abi::STATUS_OK {
            return Err(Error::Operation {
                code,
                message: host.last_error(),
            });
        }
        let host = first.host;
        if outputs.iter().any(|handle| handle.is_null()) {
            return Err(operation_error(code, "the host wrote no output"));
        }
        // SAFETY: not null, and on success every output carries one reference for us.
        Ok(outputs.map(|handle| Tensor {
            host,
            handle: unsafe { NonNull::new_unchecked(handle) },
        }))
    }

    /// A tensor from row-major values, on the device of `like`.
    ///
    /// # Errors
    /// The number of values is not the product of `shape`.
    pub fn from_slice<T: Element>(like: &Tensor, values: &[T], shape: &[usize]) -> Result<Self> {
        Tensor::from_host(like.host, values, shape)
    }

    pub(crate) fn from_host<T: Element>(host: Host, values: &[T], shape: &[usize]) -> Result<Self> {
        let count = shape
            .iter()
            .try_fold(1usize, |product, &n| product.checked_mul(n));
        if count != Some(values.len()) {
            return Err(Error::Shape {
                what: "values of a new tensor",
                expected: shape.to_vec(),
                found: vec![values.len()],
            });
        }
        let dims: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        let table = host.table();
        let mut output = std::ptr::null_mut();
        // SAFETY: `values` has as many elements as `dims` say, checked above.
        let status = unsafe {
            (table.from_host)(
                table.context,
                T::DTYPE.code(),
                values.as_ptr().cast::<c_void>(),
                dims.as_ptr(),
                dims.len() as u64,
                &mut output,
            )
        };
        host.check("from_host", status)?;
        // SAFETY: on success the host wrote a tensor with one reference for us.
        unsafe { Tensor::from_raw(host, output) }
    }

    /// All elements in row-major order.
    ///
    /// # Errors
    /// The tensor has another element type.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        let mut values = vec![T::default(); self.elem_count()];
        let table = self.host.table();
        // SAFETY: `values` has room for all elements; the host checks the dtype.
        let status = unsafe {
            (table.to_host)(
                table.context,
                self.handle.as_ptr(),
                T::DTYPE.code(),
                values.as_mut_ptr().cast::<c_void>(),
                values.len() as u64,
            )
        };
        self.host.check("to_host", status)?;
        Ok(values)
    }

    /// All elements in row-major order, of an f32 tensor.
    ///
    /// # Errors
    /// The tensor has another element type.
    pub fn to_vec_f32(&self) -> Result<Vec<f32>> {
        self.to_vec()
    }

    /// Lengths of the dimensions.
    pub fn shape(&self) -> Vec<usize> {
        const USUAL: usize = 6;
        let mut dims = vec![0u64; USUAL];
        let mut rank = self.read_shape(&mut dims);
        if rank > dims.len() {
            dims.resize(rank, 0);
            rank = self.read_shape(&mut dims);
        }
        dims.truncate(rank);
        dims.into_iter().map(|n| n as usize).collect()
    }

    fn read_shape(&self, dims: &mut [u64]) -> usize {
        let table = self.host.table();
        let mut rank = 0;
        // SAFETY: the handle is alive; the host writes at most `dims.len()` lengths. It cannot fail on a live tensor.
        unsafe {
            (table.shape)(
                table.context,
                self.handle.as_ptr(),
                dims.as_mut_ptr(),
                dims.len() as u64,
                &mut rank,
            )
        };
        rank as usize
    }

    /// Number of elements.
    pub fn elem_count(&self) -> usize {
        self.shape().iter().product()
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    /// Length of one dimension; negative counts from the end.
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn dim(&self, dim: i64) -> Result<usize> {
        let shape = self.shape();
        let index = if dim < 0 {
            dim + shape.len() as i64
        } else {
            dim
        };
        usize::try_from(index)
            .ok()
            .and_then(|index| shape.get(index).copied())
            .ok_or(Error::Rank {
                expected: dim.unsigned_abs() as usize + usize::from(dim >= 0),
                found: shape,
            })
    }

    /// Lengths of a vector's, matrix's, ... dimensions.
    ///
    /// # Errors
    /// The rank is not `N`.
    pub fn dims<const N: usize>(&self) -> Result<[usize; N]> {
        let shape = self.shape();
        <[usize; N]>::try_from(shape.as_slice()).map_err(|_| Error::Rank {
            expected: N,
            found: shape,
        })
    }

    /// Rows and columns of a matrix.
    ///
    /// # Errors
    /// The rank is not 2.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        self.dims::<2>().map(|[rows, columns]| (rows, columns))
    }

    /// Lengths of the three dimensions.
    ///
    /// # Errors
    /// The rank is not 3.
    pub fn dims3(&self) -> Result<(usize, usize, usize)> {
        self.dims::<3>().map(|[a, b, c]| (a, b, c))
    }

    /// Element type.
    ///
    /// # Errors
    /// The host has an element type that this interface does not know.
    pub fn dtype(&self) -> Result<DType> {
        let table = self.host.table();
        let mut code = u32::MAX;
        // SAFETY: the handle is alive.
        let status = unsafe { (table.dtype)(table.context, self.handle.as_ptr(), &mut code) };
        self.host.check("dtype", status)?;
        DType::from_code(code).ok_or_else(|| Error::Host {
            operation: "dtype",
            message: format!("unknown element type {code}"),
        })
    }

    /// The host of the tensor.
    pub fn host(&self) -> Host {
        self.host
    }
}
