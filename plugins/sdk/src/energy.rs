//! The trait of energy sources, and the functions through which the host calls it.

use crate::abi::{EnergyRequest, EnergyTable, HostOps, InstanceHandle, STATUS_ERROR, Str};
use crate::config::{self, ConfigSchema};
use crate::error::{Error, Result};
use crate::flow::{no_extension, slice};
use crate::host::Host;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

/// Configurations to be evaluated, and where the results go.
pub struct Batch<'a> {
    positions: &'a [f64],
    energies: &'a mut [f64],
    forces: Option<&'a mut [f64]>,
    n_atoms: usize,
    refusal: Option<String>,
}

/// One configuration of a [`Batch`].
pub struct Configuration<'a> {
    /// Positions in nm, `[n_atoms, 3]`; all finite.
    pub positions: &'a [f64],
    /// To be set to the energy in kJ/mol.
    pub energy: &'a mut f64,
    /// To be filled with the forces -dU/dx in kJ/(mol nm), `[n_atoms, 3]`, where they are wanted.
    pub forces: Option<&'a mut [f64]>,
}

impl<'a> Batch<'a> {
    /// A batch of `energies.len()` configurations of `n_atoms` atoms.
    ///
    /// # Panics
    /// Lengths that do not fit each other.
    pub fn new(
        n_atoms: usize,
        positions: &'a [f64],
        energies: &'a mut [f64],
        forces: Option<&'a mut [f64]>,
    ) -> Self {
        assert_eq!(positions.len(), 3 * n_atoms * energies.len());
        assert!(
            forces
                .as_ref()
                .is_none_or(|forces| forces.len() == positions.len())
        );
        Batch {
            positions,
            energies,
            forces,
            n_atoms,
            refusal: None,
        }
    }

    /// Number of configurations.
    pub fn n(&self) -> usize {
        self.energies.len()
    }

    /// Number of atoms.
    pub fn n_atoms(&self) -> usize {
        self.n_atoms
    }

    /// All positions in nm, `[n, n_atoms, 3]`; all finite.
    pub fn positions(&self) -> &[f64] {
        self.positions
    }

    /// Configuration number `index`.
    ///
    /// # Panics
    /// `index` is not below [`Batch::n`].
    pub fn configuration(&mut self, index: usize) -> Configuration<'_> {
        let range = 3 * self.n_atoms * index..3 * self.n_atoms * (index + 1);
        Configuration {
            positions: &self.positions[range.clone()],
            energy: &mut self.energies[index],
            forces: self.forces.as_deref_mut().map(|forces| &mut forces[range]),
        }
    }

    /// Tells that configuration number `index` cannot be evaluated: it gets an energy that is not a number. The host counts
    /// those, and shows the first reason.
    ///
    /// # Panics
    /// `index` is not below [`Batch::n`].
    pub fn refuse(&mut self, index: usize, reason: impl Display) {
        let configuration = self.configuration(index);
        *configuration.energy = f64::NAN;
        if let Some(forces) = configuration.forces {
            forces.fill(f64::NAN);
        }
        self.refusal.get_or_insert_with(|| reason.to_string());
    }
}

/// A potential energy: a force field of its own, or an engine's.
///
/// The host divides large batches and has the parts evaluated by several threads at once, each with a
/// [`Context`](EnergySource::Context) to itself.
pub trait EnergySource: Send + Sync + Sized + 'static {
    /// Configuration, read from JSON; as for [`crate::Flow::Config`]. A field `file` is set by `--energy NAME:FILE`.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema + Default;
    /// What one thread needs to itself, such as an engine's instance; `()` if nothing. Made when needed, kept and reused.
    type Context: Send + 'static;
    /// Name, as in `--energy NAME:FILE`.
    const NAME: &'static str;
    /// One sentence.
    const DESCRIPTION: &'static str;

    /// Takes the configuration, and finds out what may be wrong with it.
    ///
    /// # Errors
    /// A value outside its range, an input that cannot be used, an engine that is missing.
    fn build(config: Self::Config) -> Result<Self>;

    /// Number of atoms, at least 1. Asked once, after [`EnergySource::build`].
    fn n_atoms(&self) -> usize;

    /// Mass of each atom in u, NaN where it is not known: to find out about other orders of the atoms.
    fn masses(&self) -> Vec<f64> {
        vec![f64::NAN; self.n_atoms()]
    }

    /// A new context.
    ///
    /// # Errors
    /// Whatever hinders the engine.
    fn context(&self) -> Result<Self::Context>;

    /// Evaluates all configurations of the batch. One that cannot be evaluated is no error, see [`Batch::refuse`].
    ///
    /// # Errors
    /// Whatever keeps every configuration from being evaluated. The context is not used again.
    fn compute(&self, context: &mut Self::Context, batch: &mut Batch<'_>) -> Result<()>;
}

struct Instance<E: EnergySource> {
    energy: E,
    /// As the source told at first, and the host knows: lengths of the host's memory come from it.
    n_atoms: usize,
    host: Host,
    idle: Mutex<Vec<E::Context>>,
}

impl<E: EnergySource> Instance<E> {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<E::Context>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table of `E`; made once per plugin and kept for the life of the process.
pub fn energy_table<E: EnergySource>() -> &'static EnergyTable {
    let ConfigSchema(schema) = config::schema::<E::Config>();
    Box::leak(Box::new(EnergyTable {
        struct_size: size_of::<EnergyTable>() as u64,
        flags: 0,
        name: Str::new(E::NAME),
        description: Str::new(E::DESCRIPTION),
        config_schema: Str::new(schema),
        create: create::<E>,
        destroy: destroy::<E>,
        n_atoms: n_atoms::<E>,
        masses: masses::<E>,
        compute: compute::<E>,
        get_extension: no_extension,
    }))
}

unsafe extern "C" fn create<E: EnergySource>(
    host: *const HostOps,
    config: Str,
    out: *mut *mut InstanceHandle,
) -> i32 {
    // SAFETY: the host passes its table.
    let host = unsafe { Host::new(host) };
    host.guard(|| {
        // SAFETY: the text is valid for the call.
        let text = unsafe { config.to_text() };
        let energy = E::build(config::read(&text)?)?;
        let instance = Instance {
            n_atoms: energy.n_atoms(),
            energy,
            host,
            idle: Mutex::new(Vec::new()),
        };
        // SAFETY: `out` is writable.
        unsafe { *out = Box::into_raw(Box::new(instance)).cast() };
        Ok(())
    })
}

unsafe extern "C" fn destroy<E: EnergySource>(energy: *mut InstanceHandle) {
    if energy.is_null() {
        return;
    }
    // SAFETY: made by `create::<E>` and given back once.
    let instance = unsafe { Box::from_raw(energy.cast::<Instance<E>>()) };
    let host = instance.host;
    host.guard(|| {
        // Contexts may refer to what the source holds.
        instance.idle().clear();
        drop(instance);
        Ok(())
    });
}

unsafe extern "C" fn n_atoms<E: EnergySource>(energy: *const InstanceHandle) -> u64 {
    // SAFETY: made by `create::<E>`.
    let instance = unsafe { energy.cast::<Instance<E>>().as_ref() };
    instance.map_or(0, |instance| instance.n_atoms as u64)
}

unsafe extern "C" fn masses<E: EnergySource>(
    energy: *const InstanceHandle,
    masses: *mut f64,
) -> i32 {
    // SAFETY: made by `create::<E>`.
    let Some(instance) = (unsafe { energy.cast::<Instance<E>>().as_ref() }) else {
        return STATUS_ERROR;
    };
    instance.host.guard(|| {
        let found = instance.energy.masses();
        if found.len() != instance.n_atoms {
            return Err(Error::Shape {
                what: "masses",
                expected: vec![instance.n_atoms],
                found: vec![found.len()],
            });
        }
        // SAFETY: `masses` has room for n_atoms numbers.
        unsafe { std::ptr::copy_nonoverlapping(found.as_ptr(), masses, found.len()) };
        Ok(())
    })
}

unsafe extern "C" fn compute<E: EnergySource>(
    energy: *const InstanceHandle,
    request: *const EnergyRequest,
) -> i32 {
    if energy.is_null() || request.is_null() {
        return STATUS_ERROR;
    }
    // SAFETY: made by `create::<E>`, and a valid request.
    let (instance, request) = unsafe { (&*energy.cast::<Instance<E>>(), &*request) };
    instance.host.guard(|| {
        let size = size_of::<EnergyRequest>() as u64;
        if request.struct_size != size {
            return Err(Error::new(format!(
                "the host's request has {} bytes, expected {size}: rebuild the plugin with this host's regflow-plugin",
                request.struct_size
            )));
        }
        let (n, n_atoms) = (request.n as usize, instance.n_atoms);
        if n == 0 {
            return Ok(());
        }
        // SAFETY: pointers and lengths of the request are valid for the call.
        let mut batch = unsafe {
            let len = 3 * n_atoms * n;
            let forces = (!request.forces.is_null())
                .then(|| std::slice::from_raw_parts_mut(request.forces, len));
            Batch::new(
                n_atoms,
                slice(request.positions, len as u64),
                std::slice::from_raw_parts_mut(request.energies, n),
                forces,
            )
        };
        let idle = instance.idle().pop();
        let mut context = idle.map_or_else(|| instance.energy.context(), Ok)?;
        instance.energy.compute(&mut context, &mut batch)?;
        instance.idle().push(context);
        if let Some(reason) = batch.refusal {
            instance.host.set_error(&reason);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{HostContext, STATUS_OK};
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    thread_local! {
        static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// A function of the host that no energy source calls.
    fn unused<F: Copy>() -> F {
        extern "C" fn end() {
            std::process::abort()
        }
        // SAFETY: `F` is a type of functions; a call of another type than `end` does not happen.
        unsafe { std::mem::transmute_copy(&(end as *const ())) }
    }

    unsafe extern "C" fn set_error(_context: *mut HostContext, message: Str) {
        // SAFETY: the plugin passes a readable text.
        MESSAGE.set(unsafe { message.to_text() });
    }

    fn host() -> &'static HostOps {
        let host = HostOps {
            struct_size: size_of::<HostOps>() as u64,
            context: std::ptr::null_mut(),
            op: unused(),
            op_supported: unused(),
            retain: unused(),
            release: unused(),
            shape: unused(),
            dtype: unused(),
            from_host: unused(),
            to_host: unused(),
            parameter: unused(),
            last_error: unused(),
            set_error,
            get_extension: unused(),
        };
        Box::leak(Box::new(host))
    }

    /// Tells of one more atom each time.
    struct Growing(AtomicUsize);

    impl EnergySource for Growing {
        type Config = BTreeMap<String, f64>;
        type Context = ();
        const NAME: &'static str = "growing";
        const DESCRIPTION: &'static str = "Grows";

        fn build(_config: Self::Config) -> Result<Self> {
            Ok(Growing(AtomicUsize::new(1)))
        }

        fn n_atoms(&self) -> usize {
            self.0.fetch_add(1, Ordering::Relaxed)
        }

        fn masses(&self) -> Vec<f64> {
            vec![12.0]
        }

        fn context(&self) -> Result<()> {
            Ok(())
        }

        fn compute(&self, _context: &mut (), batch: &mut Batch<'_>) -> Result<()> {
            for index in 0..batch.n() {
                let configuration = batch.configuration(index);
                *configuration.energy = configuration.positions.iter().sum();
            }
            Ok(())
        }
    }

    #[test]
    fn lengths_of_the_hosts_memory_are_the_hosts() {
        let table = energy_table::<Growing>();
        let mut instance = std::ptr::null_mut();
        let positions = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut energies = [0.0; 2];
        let mut mass = 0.0;
        let mut request = EnergyRequest {
            struct_size: size_of::<EnergyRequest>() as u64,
            positions: positions.as_ptr(),
            n: 2,
            energies: energies.as_mut_ptr(),
            forces: std::ptr::null_mut(),
        };
        // SAFETY: the table's functions with its own instance; arrays of one atom, as `n_atoms` says.
        unsafe {
            let config = Str::new("{}");
            assert_eq!((table.create)(host(), config, &mut instance), STATUS_OK);
            for _ in 0..3 {
                assert_eq!((table.n_atoms)(instance), 1);
                assert_eq!((table.masses)(instance, &mut mass), STATUS_OK);
                assert_eq!((table.compute)(instance, &request), STATUS_OK);
            }
            assert_eq!((mass, energies), (12.0, [6.0, 15.0]));
            request.struct_size -= 8;
            assert_eq!((table.compute)(instance, &request), STATUS_ERROR);
            (table.destroy)(instance);
        }
        MESSAGE
            .with_borrow(|message| assert!(message.contains("32 bytes, expected 40"), "{message}"));
    }
}
