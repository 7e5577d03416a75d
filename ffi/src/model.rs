//! Models: loading, describing, the caller's units and order of atoms.

use std::borrow::Cow;
use std::ffi::c_char;
use std::fs::File;
use std::mem::offset_of;
use std::path::Path;
use std::sync::Arc;

use regflow_core::model::Model;
use regflow_core::tensor::{Device, device_name};
use serde_json::json;

use crate::arguments::{
    Struct, check_length, device, output, results, structure, text, values, write_text, zeros,
};
use crate::failure::{Failure, Status};
use crate::handle::{Handle, create, exclusive, free, shared};
use crate::status::{compute, guard};
use crate::units::Units;

/// A model, with the caller's view of it.
pub(crate) struct Content {
    pub model: Arc<Model>,
    pub units: Units,
    /// The caller's index of each of the model's atoms; `None`: the same.
    pub order: Option<Vec<usize>>,
}

/// A model, made by `regflow_model_load`, `regflow_model_load_memory`, `regflow_model_clone` or `regflow_train`, and ended by
/// `regflow_model_free`.
///
/// Functions that take it as const may be called with the same model from any number of threads at the same time.
pub struct ModelHandle {
    _opaque: [u8; 0],
}

impl Handle for ModelHandle {
    type Content = Content;
    const MARK: u64 = u64::from_be_bytes(*b"regmodel");
    const NAME: &'static str = "regflow_model_t";
}

impl Content {
    pub(crate) fn new(model: Model) -> Self {
        Content {
            model: Arc::new(model),
            units: Units::MD,
            order: None,
        }
    }

    /// Configurations as the caller has them from those of the model, in nm.
    pub(crate) fn to_caller_order(&self, model: &[f64], caller: &mut [f64]) {
        self.scatter(model, caller, 1.0 / self.units.length);
    }

    /// Numbers per coordinate in the caller's order from those in the model's, times `factor`.
    pub(crate) fn scatter(&self, model: &[f64], caller: &mut [f64], factor: f64) {
        let width = 3 * self.model.n_atoms();
        for (model, caller) in model
            .chunks_exact(width)
            .zip(caller.chunks_exact_mut(width))
        {
            for (atom, x) in model.chunks_exact(3).enumerate() {
                let at = 3 * self.place(atom);
                (0..3).for_each(|k| caller[at + k] = x[k] * factor);
            }
        }
    }

    /// Configurations of the model, in nm, from those of the caller.
    pub(crate) fn to_model_order<'a>(&self, caller: &'a [f64]) -> Result<Cow<'a, [f64]>, Failure> {
        self.gather(caller, self.units.length)
    }

    /// The reverse of [`Content::scatter`].
    pub(crate) fn gather<'a>(
        &self,
        caller: &'a [f64],
        factor: f64,
    ) -> Result<Cow<'a, [f64]>, Failure> {
        if self.order.is_none() && factor == 1.0 {
            return Ok(Cow::Borrowed(caller));
        }
        let width = 3 * self.model.n_atoms();
        let mut model = zeros(caller.len())?;
        for (model, caller) in model
            .chunks_exact_mut(width)
            .zip(caller.chunks_exact(width))
        {
            for (atom, x) in model.chunks_exact_mut(3).enumerate() {
                let at = 3 * self.place(atom);
                (0..3).for_each(|k| x[k] = caller[at + k] * factor);
            }
        }
        Ok(Cow::Owned(model))
    }

    /// The caller's index of an atom of the model.
    pub(crate) fn place(&self, atom: usize) -> usize {
        self.order.as_ref().map_or(atom, |order| order[atom])
    }

    pub(crate) fn log_density_shift(&self) -> f64 {
        self.units.log_density_shift(self.model.n_atoms())
    }
}

/// How a model is loaded. Zeros stand for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LoadOptions {
    /// `sizeof(regflow_load_options_t)`.
    pub struct_size: usize,
    /// Where the model computes: "cpu", or "cuda:0" for the first GPU. NULL: "cpu".
    pub device: *const c_char,
}

// SAFETY: a number and a pointer, the first of them `struct_size`.
unsafe impl Struct for LoadOptions {
    const NAME: &'static str = "regflow_load_options_t";
    const FIRST_SIZE: usize = offset_of!(LoadOptions, device) + size_of::<usize>();
}

impl LoadOptions {
    /// # Safety
    /// `options` is NULL or points to a struct whose `struct_size` is right, with strings that are NULL or NUL-terminated.
    unsafe fn device(options: *const LoadOptions) -> Result<Device, Failure> {
        if options.is_null() {
            return Ok(Device::Cpu);
        }
        // SAFETY: the caller vouches for the struct and its string.
        unsafe { device_named("options->device", structure("options", options)?.device) }
    }
}

/// The device of this name; without one, the CPU.
///
/// # Safety
/// `name` is NULL or a NUL-terminated string.
pub(crate) unsafe fn device_named(
    argument: &'static str,
    name: *const c_char,
) -> Result<Device, Failure> {
    match name.is_null() {
        true => Ok(Device::Cpu),
        // SAFETY: the caller vouches for the string.
        false => device(argument, unsafe { text(argument, name) }?),
    }
}

/// Loads a model.
///
/// `path` is a file that `bg-sample train` or `regflow_model_save` wrote, as UTF-8. `options` may be NULL. On success `*model` is a
/// new model that the caller ends with `regflow_model_free`; on failure it is NULL.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if the file cannot be opened; `REGFLOW_ERROR_MODEL` if it is
/// damaged, no model or too new; `REGFLOW_ERROR_PLUGIN` if its architecture is missing; `REGFLOW_ERROR_DEVICE`;
/// `REGFLOW_ERROR_STATE` in a forked process. Safe to call from any thread. Since 1.
///
/// # Safety
/// `path` is a NUL-terminated string, `options` is NULL or may be read for its `struct_size`, and `model` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_load(
    path: *const c_char,
    options: *const LoadOptions,
    model: *mut *mut ModelHandle,
) -> Status {
    compute("regflow_model_load", || {
        // SAFETY: the caller vouches for the three pointers.
        let (model, path, device) = unsafe {
            (
                output("model", model)?,
                text("path", path),
                LoadOptions::device(options),
            )
        };
        *model = std::ptr::null_mut();
        let loaded = load(Path::new(path?), &device?)?;
        *model = create(Content::new(loaded));
        Ok(())
    })
}

fn load(path: &Path, device: &Device) -> Result<Model, Failure> {
    let open = File::open(path)
        .and_then(|file| file.metadata())
        .and_then(|data| match data.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok(()),
        });
    open.map_err(|source| Failure::Open {
        path: path.to_owned(),
        source,
    })?;
    Model::load(path, device).map_err(|source| Failure::Model {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Loads a model from the contents of a model file, `length` bytes at `bytes`, which may be given up after the call.
///
/// Otherwise as `regflow_model_load`. Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_MODEL`; `REGFLOW_ERROR_PLUGIN`;
/// `REGFLOW_ERROR_DEVICE`; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from any thread. Since 1.
///
/// # Safety
/// `bytes` may be read for `length` bytes, `options` is NULL or may be read for its `struct_size`, and `model` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_load_memory(
    bytes: *const u8,
    length: usize,
    options: *const LoadOptions,
    model: *mut *mut ModelHandle,
) -> Status {
    compute("regflow_model_load_memory", || {
        // SAFETY: the caller vouches for the three pointers.
        let (model, bytes, device) = unsafe {
            (
                output("model", model)?,
                values("bytes", bytes, length),
                LoadOptions::device(options),
            )
        };
        *model = std::ptr::null_mut();
        let loaded = Model::from_bytes(bytes?, &device?)
            .map_err(|source| Failure::ModelBytes(Box::new(source)))?;
        *model = create(Content::new(loaded));
        Ok(())
    })
}

/// Writes a model to a file: to a temporary one first, which then takes the place of an earlier one, so that `path` never
/// holds half a model. Units and atom order are the caller's and are not saved.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if the file cannot be written. Safe to call from several threads.
/// Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `path` a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_save(
    model: *const ModelHandle,
    path: *const c_char,
) -> Status {
    guard("regflow_model_save", || {
        // SAFETY: the caller vouches for both pointers.
        let (model, path) = unsafe { (shared("model", model)?, text("path", path)?) };
        model
            .model
            .save(Path::new(path))
            .map_err(|source| Failure::Save(Box::new(source)))
    })
}

/// Makes another handle of the same model, to be given other units or another atom order, or to be freed by another owner.
///
/// The parameters are shared, not copied. Threads need no clones: a model may be used from all of them at once. `*clone` is a
/// new model that the caller ends with `regflow_model_free`; on failure it is NULL. Units and order are taken over.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `clone` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_clone(
    model: *const ModelHandle,
    clone: *mut *mut ModelHandle,
) -> Status {
    guard("regflow_model_clone", || {
        // SAFETY: the caller vouches for both pointers.
        let clone = unsafe { output("clone", clone) }?;
        *clone = std::ptr::null_mut();
        // SAFETY: as above.
        let model = unsafe { shared("model", model) }?;
        *clone = create(Content {
            model: Arc::clone(&model.model),
            units: model.units,
            order: model.order.clone(),
        });
        Ok(())
    })
}

/// Ends a model and gives its memory back. NULL is fine and does nothing.
///
/// No thread may use the model during or after this call; a later use is found out in most cases and fails with
/// `REGFLOW_ERROR_STATE`. Moves that were made with it stay usable. Since 1.
///
/// # Safety
/// `model` is NULL or a model, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_free(model: *mut ModelHandle) -> Status {
    // SAFETY: the caller vouches for the model.
    guard("regflow_model_free", || unsafe { free("model", model) })
}

/// Writes a description of a model as a JSON object: architecture and its configuration, parameters, coordinates, temperature
/// in K, atoms and bonds of the molecule in the model's order, the record of its training.
///
/// `text` has room for `capacity` bytes, the final NUL included; `*length` becomes the number that is needed, also when the
/// room is too small, and `text` NULL with a capacity of 0 asks for it alone.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is too small. Safe to call from several threads.
/// Since 1.
///
/// # Safety
/// `model` is a model that was not freed; `text` may be written to for `capacity` bytes, and `length` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_describe(
    model: *const ModelHandle,
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    guard("regflow_model_describe", || {
        // SAFETY: the caller vouches for the model.
        let model = &unsafe { shared("model", model) }?.model;
        let header = model.header();
        let description = json!({
            "architecture": header.architecture,
            "parameters": model.parameters().n_values(),
            "coordinates": model.coordinates().kind(),
            "features": model.coordinates().n_features(),
            "temperature": header.temperature,
            "topology": header.topology,
            "device": device_name(model.device()),
            "training": header.training,
        });
        // SAFETY: the caller vouches for the memory.
        unsafe { write_text(&description.to_string(), text, capacity, length) }
    })
}

/// Writes the number of atoms of the model's molecule to `*n_atoms`.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `n_atoms` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_n_atoms(
    model: *const ModelHandle,
    n_atoms: *mut usize,
) -> Status {
    guard("regflow_model_n_atoms", || {
        // SAFETY: the caller vouches for both pointers.
        let (model, n_atoms) = unsafe { (shared("model", model)?, output("n_atoms", n_atoms)?) };
        *n_atoms = model.model.n_atoms();
        Ok(())
    })
}

/// Writes the temperature for which the model was trained, in the caller's unit, to `*temperature`.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `temperature` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_temperature(
    model: *const ModelHandle,
    temperature: *mut f64,
) -> Status {
    guard("regflow_model_temperature", || {
        // SAFETY: the caller vouches for both pointers.
        let (model, temperature) =
            unsafe { (shared("model", model)?, output("temperature", temperature)?) };
        *temperature = model.model.temperature() / model.units.temperature;
        Ok(())
    })
}

/// Writes the atomic numbers of the molecule, in the caller's order, to `numbers`, `[n_atoms]`; 0 where an element is unknown.
/// `numbers_length` must be the number of atoms.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`, `REGFLOW_ERROR_LENGTH`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `numbers` may be written to for its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_atomic_numbers(
    model: *const ModelHandle,
    numbers: *mut u32,
    numbers_length: usize,
) -> Status {
    guard("regflow_model_atomic_numbers", || {
        // SAFETY: the caller vouches for the model.
        let model = unsafe { shared("model", model) }?;
        check_length("numbers_length", numbers_length, model.model.n_atoms(), 1)?;
        // SAFETY: the caller vouches for the array.
        let numbers = unsafe { results("numbers", numbers, numbers_length) }?;
        for (i, atom) in model.model.topology().atoms.iter().enumerate() {
            numbers[model.place(i)] = atom.atomic_number;
        }
        Ok(())
    })
}

/// Sets the units in which this handle takes and gives lengths, energies, temperatures and log densities: nm, kJ/mol, K
/// without it.
///
/// A log density is that of a volume in the caller's unit of length, to the power of 3 n_atoms - 3. Moves take the units that
/// the model has when they are made.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE`. No other thread may use this handle during the call. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `units` may be read for its `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_set_units(
    model: *mut ModelHandle,
    units: *const Units,
) -> Status {
    guard("regflow_model_set_units", || {
        // SAFETY: the caller vouches for both pointers.
        let (mut model, units) =
            unsafe { (exclusive("model", model)?, Units::read("units", units)?) };
        model.units = units;
        Ok(())
    })
}

/// Says in which order the caller has the atoms: `order[i]` is the caller's index of atom i of the model, `[n_atoms]`. NULL with
/// a length of 0 says that the orders are the same, which is so without this call.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT` if the indices are no permutation; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE`. No other
/// thread may use this handle during the call. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `order` may be read for its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_set_atom_order(
    model: *mut ModelHandle,
    order: *const usize,
    order_length: usize,
) -> Status {
    guard("regflow_model_set_atom_order", || {
        // SAFETY: the caller vouches for both pointers.
        let (mut model, order) = unsafe {
            (
                exclusive("model", model)?,
                values("order", order, order_length)?,
            )
        };
        if order.is_empty() {
            model.order = None;
            return Ok(());
        }
        let n_atoms = model.model.n_atoms();
        check_length("order_length", order_length, n_atoms, 1)?;
        let mut seen = zeros::<bool>(n_atoms)?;
        for (atom, &at) in order.iter().enumerate() {
            if at >= n_atoms || std::mem::replace(&mut seen[at], true) {
                return Err(Failure::Range {
                    argument: "order",
                    what: format!("entry {atom} is {at}"),
                    expected: "each index below the number of atoms once",
                });
            }
        }
        model.order = Some(order.to_vec());
        Ok(())
    })
}
