//! The host's side of the ABI: tensor operations for plugins. A handle is an `Arc<Tensor>`.

use super::error::ParameterError;
use super::parameters::Parameters;
use crate::tensor;
use crate::tensor::{DType, Device, Tensor, WithDType};
use regflow_plugin::abi::{
    self, Attr, BuildHandle, HostContext, HostOps, STATUS_ERROR, STATUS_OK, STATUS_PANIC, Str,
    TensorHandle, op,
};
use regflow_plugin::{Attribute, Init};
use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What [`HostContext`] points to.
struct Context {
    device: Device,
}

/// What [`BuildHandle`] points to, during create.
pub(super) struct Build<'a> {
    pub parameters: &'a mut Parameters,
    pub asked: HashSet<String>,
}

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Takes this thread's message.
pub(super) fn take_message() -> String {
    MESSAGE.try_with(RefCell::take).unwrap_or_default()
}

fn set_message(message: String) {
    // The slot is gone while a thread ends: then the status alone has to do.
    let _ = MESSAGE.try_with(|slot| slot.replace(message));
}

/// The table for `device`. Tables live as long as the process, one per device, because plugins may keep tensors.
pub(super) fn table(device: &Device) -> &'static HostOps {
    static TABLES: Mutex<Vec<(Device, &'static HostOps)>> = Mutex::new(Vec::new());
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, table)) = tables.iter().find(|(known, _)| known.same_device(device)) {
        return table;
    }
    let context = Box::leak(Box::new(Context {
        device: device.clone(),
    }));
    let table = Box::leak(Box::new(HostOps {
        struct_size: size_of::<HostOps>() as u64,
        context: std::ptr::from_mut(context).cast(),
        op,
        op_supported,
        retain,
        release,
        shape,
        dtype,
        from_host,
        to_host,
        parameter,
        last_error,
        set_error,
    }));
    tables.push((device.clone(), table));
    table
}

/// Gives `tensor` to a plugin, with one reference.
pub(super) fn to_handle(tensor: Tensor) -> *mut TensorHandle {
    Arc::into_raw(Arc::new(tensor))
        .cast::<TensorHandle>()
        .cast_mut()
}

/// Takes a tensor with its reference back from a plugin.
///
/// # Safety
/// `handle` came from [`to_handle`], and the caller owns one reference.
pub(super) unsafe fn from_handle(handle: *mut TensorHandle) -> Tensor {
    // SAFETY: by contract made by Arc::into_raw.
    Arc::unwrap_or_clone(unsafe { Arc::from_raw(handle.cast::<Tensor>()) })
}

/// A tensor lent to a plugin for a call.
pub(super) struct Lent(*mut TensorHandle);

impl Lent {
    pub fn new(tensor: &Tensor) -> Lent {
        Lent(to_handle(tensor.clone()))
    }

    pub fn handle(&self) -> *const TensorHandle {
        self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: our own reference.
        drop(unsafe { from_handle(self.0) });
    }
}

/// # Safety
/// `handle` came from [`to_handle`] and is alive for `'a`.
unsafe fn borrow<'a>(handle: *const TensorHandle) -> Result<&'a Tensor, String> {
    // SAFETY: by contract null or a live Arc's content.
    unsafe { handle.cast::<Tensor>().as_ref() }.ok_or_else(|| "a tensor handle is null".into())
}

/// # Safety
/// `ptr` is null or readable for `len` values during `'a`.
unsafe fn slice<'a, T>(ptr: *const T, len: u64) -> &'a [T] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: by contract.
    unsafe { std::slice::from_raw_parts(ptr, len as usize) }
}

/// Runs what a plugin called; an error or a panic becomes a status, with its message in this thread's slot.
pub(super) fn guard(body: impl FnOnce() -> Result<(), String>) -> i32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => STATUS_OK,
        Ok(Err(message)) => {
            set_message(message);
            STATUS_ERROR
        }
        Err(payload) => {
            set_message(format!("panic in the host: {}", abi::panic_text(&*payload)));
            // Dropping a payload can panic again.
            std::mem::forget(payload);
            STATUS_PANIC
        }
    }
}

unsafe extern "C" fn op(
    _context: *mut HostContext,
    code: u32,
    inputs: *const *const TensorHandle,
    n_inputs: u64,
    attrs: *const Attr,
    n_attrs: u64,
    outputs: *mut *mut TensorHandle,
    n_outputs: u64,
) -> i32 {
    guard(|| {
        // SAFETY: the plugin passes live handles and matching lengths.
        let (handles, attributes) = unsafe {
            let attrs: &[Attr] = slice(attrs, n_attrs);
            (slice(inputs, n_inputs), Attribute::from_raw(attrs))
        };
        let results = if let [a] = handles {
            // SAFETY: live handles, as above.
            tensor::apply(code, &[unsafe { borrow(*a)? }], attributes)
        } else {
            let inputs = handles
                .iter()
                // SAFETY: live handles, as above.
                .map(|&handle| unsafe { borrow(handle) })
                .collect::<Result<Vec<_>, _>>()?;
            tensor::apply(code, &inputs, attributes)
        }
        .map_err(|error| error.to_string())?;
        if results.len() as u64 != n_outputs {
            let name = op::name(code).unwrap_or("operation");
            return Err(format!(
                "{name}: has {} outputs, asked for {n_outputs}",
                results.len()
            ));
        }
        for (place, result) in results.into_iter().enumerate() {
            // SAFETY: `outputs` has room for `n_outputs`.
            unsafe { *outputs.add(place) = to_handle(result) };
        }
        Ok(())
    })
}

unsafe extern "C" fn op_supported(_context: *mut HostContext, code: u32) -> u32 {
    catch_unwind(|| tensor::supported(code)).unwrap_or(0)
}

unsafe extern "C" fn retain(_context: *mut HostContext, tensor: *const TensorHandle) {
    if !tensor.is_null() {
        // SAFETY: a live Arc's content.
        unsafe { Arc::increment_strong_count(tensor.cast::<Tensor>()) };
    }
}

unsafe extern "C" fn release(_context: *mut HostContext, tensor: *mut TensorHandle) {
    if !tensor.is_null() {
        // SAFETY: the plugin owns the reference that it gives back.
        guard(|| unsafe {
            Arc::decrement_strong_count(tensor.cast::<Tensor>());
            Ok(())
        });
    }
}

unsafe extern "C" fn shape(
    _context: *mut HostContext,
    tensor: *const TensorHandle,
    dims: *mut u64,
    capacity: u64,
    rank: *mut u64,
) -> i32 {
    guard(|| {
        // SAFETY: a live handle.
        let lengths = unsafe { borrow(tensor)? }.dims();
        if lengths.len() as u64 <= capacity {
            for (place, &length) in lengths.iter().enumerate() {
                // SAFETY: `dims` has room for `capacity` lengths.
                unsafe { *dims.add(place) = length as u64 };
            }
        }
        // SAFETY: `rank` is writable.
        unsafe { *rank = lengths.len() as u64 };
        Ok(())
    })
}

fn dtype_code(dtype: DType) -> Result<u32, String> {
    match dtype {
        DType::F32 => Ok(op::DTYPE_F32),
        DType::F64 => Ok(op::DTYPE_F64),
        DType::U32 => Ok(op::DTYPE_U32),
        other => Err(format!(
            "element type {other:?} is not part of the plugin interface"
        )),
    }
}

unsafe extern "C" fn dtype(
    _context: *mut HostContext,
    tensor: *const TensorHandle,
    dtype: *mut u32,
) -> i32 {
    guard(|| {
        // SAFETY: a live handle and a writable number.
        unsafe { *dtype = dtype_code(borrow(tensor)?.dtype())? };
        Ok(())
    })
}

fn lengths(dims: &[u64]) -> Vec<usize> {
    dims.iter().map(|&n| n as usize).collect()
}

fn count<T: WithDType>(dims: &[usize], device: &Device) -> Result<usize, String> {
    tensor::check_shape("a new tensor", dims, T::DTYPE, device).map_err(|error| error.to_string())
}

unsafe extern "C" fn from_host(
    context: *mut HostContext,
    dtype: u32,
    data: *const c_void,
    dims: *const u64,
    rank: u64,
    output: *mut *mut TensorHandle,
) -> i32 {
    /// # Safety
    /// `data` holds as many values as `dims` say.
    unsafe fn read<T: WithDType>(
        data: *const c_void,
        dims: &[usize],
        device: &Device,
    ) -> Result<Tensor, String> {
        // SAFETY: by contract.
        let values = unsafe { slice(data.cast::<T>(), count::<T>(dims, device)? as u64) };
        Tensor::from_slice(values, dims, device).map_err(|error| error.to_string())
    }
    guard(|| {
        // SAFETY: the context is this table's; the plugin passes matching lengths.
        let (context, dims) = unsafe { (&*context.cast::<Context>(), lengths(slice(dims, rank))) };
        // SAFETY: the plugin passes as many values of `dtype` as the shape has.
        let tensor = unsafe {
            match dtype {
                op::DTYPE_F32 => read::<f32>(data, &dims, &context.device),
                op::DTYPE_F64 => read::<f64>(data, &dims, &context.device),
                op::DTYPE_U32 => read::<u32>(data, &dims, &context.device),
                other => Err(format!("unknown element type {other}")),
            }
        }?;
        // SAFETY: `output` is writable.
        unsafe { *output = to_handle(tensor) };
        Ok(())
    })
}

unsafe extern "C" fn to_host(
    _context: *mut HostContext,
    tensor: *const TensorHandle,
    dtype: u32,
    data: *mut c_void,
    n: u64,
) -> i32 {
    /// # Safety
    /// `data` has room for all elements of `tensor`.
    unsafe fn write<T: WithDType>(tensor: &Tensor, data: *mut c_void) -> Result<(), String> {
        let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<T>());
        let values = values.map_err(|error| error.to_string())?;
        // SAFETY: by contract.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), data.cast::<T>(), values.len()) };
        Ok(())
    }
    guard(|| {
        // SAFETY: a live handle.
        let tensor = unsafe { borrow(tensor)? };
        if dtype_code(tensor.dtype())? != dtype {
            return Err(format!(
                "the tensor's element type is {:?}, asked for code {dtype}",
                tensor.dtype()
            ));
        }
        if tensor.elem_count() as u64 != n {
            return Err(format!(
                "the tensor has {} elements, room for {n}",
                tensor.elem_count()
            ));
        }
        // SAFETY: type and number were checked.
        unsafe {
            match dtype {
                op::DTYPE_F32 => write::<f32>(tensor, data),
                op::DTYPE_F64 => write::<f64>(tensor, data),
                _ => write::<u32>(tensor, data),
            }
        }
    })
}

unsafe extern "C" fn parameter(
    _context: *mut HostContext,
    build: *mut BuildHandle,
    name: Str,
    dims: *const u64,
    rank: u64,
    init: u32,
    value: f64,
    output: *mut *mut TensorHandle,
) -> i32 {
    guard(|| {
        // SAFETY: during create `build` is the one the host passed; the plugin passes matching lengths.
        let (build, name, dims) = unsafe {
            let build = build.cast::<Build<'_>>().as_mut();
            (build, name.to_text(), lengths(slice(dims, rank)))
        };
        let build =
            build.ok_or("parameters can only be asked for while a flow or field is created")?;
        let init = match init {
            abi::INIT_ZEROS => Init::Zeros,
            abi::INIT_ONES => Init::Ones,
            abi::INIT_CONSTANT => Init::Constant(value),
            abi::INIT_NORMAL => Init::Normal { std: value },
            abi::INIT_UNIFORM => Init::Uniform { bound: value },
            other => return Err(format!("unknown kind of first values {other}")),
        };
        // First values are drawn on the CPU, whatever the device.
        count::<f64>(&dims, &Device::Cpu)?;
        if !build.asked.insert(name.clone()) {
            return Err(ParameterError::Twice { name }.to_string());
        }
        let tensor = build
            .parameters
            .request(&name, &dims, init)
            .map_err(|error| error.to_string())?;
        // SAFETY: `output` is writable.
        unsafe { *output = to_handle(tensor) };
        Ok(())
    })
}

unsafe extern "C" fn last_error(_context: *mut HostContext) -> Str {
    // The text stays where it is until the next call of this thread replaces it.
    MESSAGE
        .try_with(|message| Str::new(&message.borrow()))
        .unwrap_or(Str::new(""))
}

unsafe extern "C" fn set_error(_context: *mut HostContext, message: Str) {
    // SAFETY: the text is valid for the call.
    set_message(unsafe { message.to_text() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_per_device() {
        assert!(std::ptr::eq(table(&Device::Cpu), table(&Device::Cpu)));
    }

    #[test]
    fn misuse_is_an_error_with_a_message() {
        let host = table(&Device::Cpu);
        let x = to_handle(Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap());
        let mut outputs = [std::ptr::null_mut(); 2];
        let mut call = |input: *const TensorHandle, n_outputs| {
            // SAFETY: one input, room for two outputs.
            let status = unsafe {
                (host.op)(
                    host.context,
                    op::NEG,
                    &input,
                    1,
                    std::ptr::null(),
                    0,
                    outputs.as_mut_ptr(),
                    n_outputs,
                )
            };
            (status, take_message())
        };
        assert_eq!(
            call(std::ptr::null(), 1),
            (STATUS_ERROR, "a tensor handle is null".into())
        );
        assert_eq!(
            call(x, 2),
            (STATUS_ERROR, "NEG: has 1 outputs, asked for 2".into())
        );
        assert_eq!(outputs, [std::ptr::null_mut(); 2]);

        let mut values = [0f64; 3];
        // SAFETY: `values` has room for three numbers of the larger type.
        let status = unsafe {
            (host.to_host)(
                host.context,
                x,
                op::DTYPE_F64,
                values.as_mut_ptr().cast(),
                3,
            )
        };
        assert_eq!(status, STATUS_ERROR);
        assert!(take_message().contains("F32"));
        // SAFETY: a null build handle must be refused.
        let status = unsafe {
            (host.parameter)(
                host.context,
                std::ptr::null_mut(),
                Str::new("w"),
                std::ptr::null(),
                0,
                abi::INIT_ZEROS,
                0.0,
                outputs.as_mut_ptr(),
            )
        };
        assert_eq!(status, STATUS_ERROR);
        assert!(take_message().contains("while a flow or field is created"));
        // SAFETY: the reference of `to_handle`.
        drop(unsafe { from_handle(x) });
    }
}
