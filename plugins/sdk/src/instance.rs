//! What all kinds have in common: the head of their tables, and building, calling and freeing behind the guard.

use crate::abi::{self, BuildInfo, Grown, HostOps, InstanceHandle, STATUS_ERROR, Str, TableHead};
use crate::config;
use crate::error::{Error, Result};
use crate::feature::{Feature, FeatureKind, Molecule};
use crate::host::Host;
use crate::parameters::ParameterBuilder;
use crate::tensor::DType;

/// What an [`InstanceHandle`] points to.
pub(crate) struct Instance<T> {
    pub value: T,
    pub host: Host,
}

/// What an author's `build` gets, besides the configuration.
pub(crate) struct Setup<'a> {
    pub features: Vec<Feature>,
    pub parameters: ParameterBuilder<'a>,
}

/// The head of a table of type `T` for a configuration of type `C`.
pub(crate) fn head<T, C: schemars::JsonSchema>(
    flags: u64,
    name: &'static str,
    description: &'static str,
    create: unsafe extern "C" fn(*const BuildInfo, *mut *mut InstanceHandle) -> i32,
    destroy: unsafe extern "C" fn(*mut InstanceHandle),
) -> TableHead {
    TableHead {
        struct_size: size_of::<T>() as u64,
        flags,
        name: Str::new(name),
        description: Str::new(description),
        config_schema: Str::new(config::schema::<C>()),
        create,
        destroy,
    }
}

/// # Safety
/// `ptr` is null or readable for `len` values.
pub(crate) unsafe fn slice<'a, T>(ptr: *const T, len: u64) -> &'a [T] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for pointer and length.
    unsafe { std::slice::from_raw_parts(ptr, len as usize) }
}

/// A value of the host, as far as it and this crate know of it: newer hosts have more, older ones of the same major version
/// less, but all have what version 1.0 has.
///
/// # Safety
/// `value` is null, or begins with its `struct_size` and is readable that far.
pub(crate) unsafe fn known<T: Grown>(what: &'static str, value: *const T) -> Result<T> {
    // SAFETY: by contract.
    unsafe { abi::read(value) }.map_err(|found| Error::Table {
        what,
        expected: T::FIRST_SIZE as u64,
        found,
    })
}

/// The host's table of operations; `None` if it is smaller than any of version 1 is, without the function that takes messages.
///
/// # Safety
/// `table` is null, or begins with its `struct_size` and is readable that far for the life of the process.
unsafe fn operations(table: *const HostOps) -> Option<&'static HostOps> {
    // SAFETY: by contract.
    let known = unsafe { abi::read(table) }.ok()?;
    if known.struct_size >= size_of::<HostOps>() as u64 {
        // SAFETY: by contract, with all fields.
        return unsafe { table.as_ref() };
    }
    // Of an older host: tensors refer to the table for the life of the process, so that the whole one is never freed either.
    Some(Box::leak(Box::new(known)))
}

/// Builds an instance; what `build` returns is what [`call`] and [`destroy`] take as `T`.
///
/// # Safety
/// `info` comes from a host, and `out` is writable.
pub(crate) unsafe fn create<C, T>(
    info: *const BuildInfo,
    out: *mut *mut InstanceHandle,
    build: impl FnOnce(C, &Setup<'_>) -> Result<T>,
) -> i32
where
    C: serde::de::DeserializeOwned + Default,
{
    if info.is_null() || out.is_null() {
        return STATUS_ERROR;
    }
    // SAFETY: the second field of every version, which points to a table that begins with its size.
    let table: *const HostOps = unsafe { (&raw const (*info).host).read() };
    // SAFETY: hosts keep their tables for the life of the process.
    let Some(host) = (unsafe { operations(table) }) else {
        // Nothing to tell it with.
        return STATUS_ERROR;
    };
    let host = Host::new(host);
    host.guard(|| {
        // SAFETY: a host's info, with pointers and lengths that are valid for the call.
        let (info, text, descriptions, atomic_numbers, bonds) = unsafe {
            let info = known("build info", info)?;
            let text = info.config.to_text();
            let descriptions = slice(info.features, info.n_features);
            let atomic_numbers = slice(info.atomic_numbers, info.n_atoms);
            let bonds = slice(info.bonds.cast::<[u32; 2]>(), info.n_bonds);
            (info, text, descriptions, atomic_numbers, bonds)
        };
        let features = descriptions.iter().map(|description| {
            let kind = kind(description.kind)?;
            Ok(Feature {
                kind,
                atom: description.atom,
                axis: description.axis,
            })
        });
        let features = features.collect::<Result<Vec<_>>>()?;
        let molecule = Molecule {
            atomic_numbers: atomic_numbers.to_vec(),
            bonds: bonds.to_vec(),
        };
        let dtype = DType::from_code(info.dtype).ok_or_else(|| Error::Host {
            operation: "create",
            message: format!("unknown element type {}", info.dtype),
        })?;
        let setup = Setup {
            features,
            parameters: ParameterBuilder::new(host, info.build, dtype, &molecule),
        };
        let value = build(config::read(&text)?, &setup)?;
        // SAFETY: `out` is writable.
        unsafe { *out = Box::into_raw(Box::new(Instance { value, host })).cast() };
        Ok(())
    })
}

/// The kind of a feature by its number.
pub(crate) fn kind(code: u32) -> Result<FeatureKind> {
    FeatureKind::from_code(code).ok_or_else(|| Error::Features(format!("unknown kind {code}")))
}

/// Frees an instance.
///
/// # Safety
/// `instance` is null, or was made by [`create`] with this `T` and is not used again.
pub(crate) unsafe extern "C" fn destroy<T>(instance: *mut InstanceHandle) {
    if instance.is_null() {
        return;
    }
    // SAFETY: by contract.
    let instance = unsafe { Box::from_raw(instance.cast::<Instance<T>>()) };
    let host = instance.host;
    host.guard(|| {
        drop(instance);
        Ok(())
    });
}

/// Calls an author's function behind the guard.
///
/// # Safety
/// `instance` is null, or was made by [`create`] with this `T` and is alive for the call.
pub(crate) unsafe fn call<T>(
    instance: *const InstanceHandle,
    body: impl FnOnce(&Instance<T>) -> Result<()>,
) -> i32 {
    // SAFETY: by contract.
    let Some(instance) = (unsafe { instance.cast::<Instance<T>>().as_ref() }) else {
        return STATUS_ERROR;
    };
    instance.host.guard(|| body(instance))
}
