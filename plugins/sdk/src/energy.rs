//! Energy sources: the trait that authors implement, and the table through which the host calls it.

use crate::abi::{BuildInfo, InstanceHandle, TableHead, grown, table};
use crate::error::{Error, Result};
use crate::instance::{self, call, head, known, slice};
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Configurations to be evaluated; borrowed for [`EnergyTable::compute`].
#[repr(C)]
pub struct EnergyRequest {
    /// `sizeof(EnergyRequest)`.
    pub struct_size: u64,
    /// Positions in nm, `[n, n_atoms, 3]`; all finite.
    pub positions: *const f64,
    /// Number of configurations.
    pub n: u64,
    /// To be filled with energies in kJ/mol, `[n]`. A configuration that the source cannot evaluate gets NaN, and the
    /// message slot the reason; the call succeeds nevertheless.
    pub energies: *mut f64,
    /// To be filled with forces -dU/dx in kJ/(mol nm), `[n, n_atoms, 3]`; null where they are not wanted.
    pub forces: *mut f64,
}
grown!(EnergyRequest, forces: *mut f64);

/// One source of potential energies.
#[repr(C)]
pub struct EnergyTable {
    /// What all tables have; no flags yet. A property `file` of the configuration is set by `--energy NAME:FILE`.
    pub head: TableHead,
    /// Number of atoms, at least 1.
    pub n_atoms: unsafe extern "C" fn(energy: *const InstanceHandle) -> u64,
    /// Writes the mass of each atom in u, NaN where it is not known, to `n_atoms` numbers.
    pub masses: unsafe extern "C" fn(energy: *const InstanceHandle, masses: *mut f64) -> i32,
    /// Energies, and forces where they are wanted.
    pub compute:
        unsafe extern "C" fn(energy: *const InstanceHandle, request: *const EnergyRequest) -> i32,
}
table!(EnergyTable, 4, "energy", [n_atoms, masses, compute]);

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

/// A source with what one of its calls leaves for the next.
struct Source<E: EnergySource> {
    energy: E,
    /// As the source told at first, and the host knows: lengths of the host's memory come from it.
    n_atoms: usize,
    idle: Mutex<Vec<E::Context>>,
}

impl<E: EnergySource> Source<E> {
    fn idle(&self) -> MutexGuard<'_, Vec<E::Context>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: EnergySource> Drop for Source<E> {
    fn drop(&mut self) {
        // Before the source: contexts may refer to what it holds.
        self.idle().clear();
    }
}

/// The table of `E`; made once per plugin and kept for the life of the process.
pub fn table<E: EnergySource>() -> &'static EnergyTable {
    Box::leak(Box::new(EnergyTable {
        head: head::<EnergyTable, E::Config>(
            0,
            E::NAME,
            E::DESCRIPTION,
            create::<E>,
            instance::destroy::<Source<E>>,
        ),
        n_atoms: n_atoms::<E>,
        masses: masses::<E>,
        compute: compute::<E>,
    }))
}

/// The table that [`table`] makes.
#[doc(hidden)]
pub type Table = EnergyTable;

unsafe extern "C" fn create<E: EnergySource>(
    info: *const BuildInfo,
    out: *mut *mut InstanceHandle,
) -> i32 {
    // SAFETY: the host passes a valid BuildInfo and a writable output.
    unsafe {
        instance::create(info, out, |config, _| {
            let energy = E::build(config)?;
            Ok(Source {
                n_atoms: energy.n_atoms(),
                energy,
                idle: Mutex::new(Vec::new()),
            })
        })
    }
}

unsafe extern "C" fn n_atoms<E: EnergySource>(energy: *const InstanceHandle) -> u64 {
    let mut n_atoms = 0;
    // SAFETY: the host passes what `create::<E>` made.
    unsafe {
        call::<Source<E>>(energy, |instance| {
            n_atoms = instance.value.n_atoms as u64;
            Ok(())
        })
    };
    n_atoms
}

unsafe extern "C" fn masses<E: EnergySource>(
    energy: *const InstanceHandle,
    masses: *mut f64,
) -> i32 {
    // SAFETY: the host passes what `create::<E>` made, and room for n_atoms numbers.
    unsafe {
        call::<Source<E>>(energy, |instance| {
            let source = &instance.value;
            let found = source.energy.masses();
            if found.len() != source.n_atoms {
                return Err(Error::Shape {
                    what: "masses",
                    expected: vec![source.n_atoms],
                    found: vec![found.len()],
                });
            }
            std::ptr::copy_nonoverlapping(found.as_ptr(), masses, found.len());
            Ok(())
        })
    }
}

unsafe extern "C" fn compute<E: EnergySource>(
    energy: *const InstanceHandle,
    request: *const EnergyRequest,
) -> i32 {
    // SAFETY: the host passes what `create::<E>` made and a valid request, whose pointers and lengths are valid for the call.
    unsafe {
        call::<Source<E>>(energy, |instance| {
            let request = known("request", request)?;
            let source = &instance.value;
            let (n, n_atoms) = (request.n as usize, source.n_atoms);
            if n == 0 {
                return Ok(());
            }
            let len = 3 * n_atoms * n;
            let forces = (!request.forces.is_null())
                .then(|| std::slice::from_raw_parts_mut(request.forces, len));
            let mut batch = Batch::new(
                n_atoms,
                slice(request.positions, len as u64),
                std::slice::from_raw_parts_mut(request.energies, n),
                forces,
            );
            let idle = source.idle().pop();
            let mut context = idle.map_or_else(|| source.energy.context(), Ok)?;
            source.energy.compute(&mut context, &mut batch)?;
            source.idle().push(context);
            if let Some(reason) = batch.refusal {
                instance.host.set_error(&reason);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{HostContext, HostOps, STATUS_ERROR, STATUS_OK, Str, op};
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
        let table = table::<Growing>();
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
        let mut info = BuildInfo {
            struct_size: size_of::<BuildInfo>() as u64,
            host: host(),
            build: std::ptr::null_mut(),
            config: Str::new("{}"),
            features: std::ptr::null(),
            n_features: 0,
            atomic_numbers: std::ptr::null(),
            n_atoms: 0,
            bonds: std::ptr::null(),
            n_bonds: 0,
            dtype: op::DTYPE_F32,
            reserved: 0,
        };
        // SAFETY: the table's functions with its own instance; arrays of one atom, as `n_atoms` says.
        unsafe {
            assert_eq!((table.head.create)(&info, &mut instance), STATUS_OK);
            for _ in 0..3 {
                assert_eq!((table.n_atoms)(instance), 1);
                assert_eq!((table.masses)(instance, &mut mass), STATUS_OK);
                assert_eq!((table.compute)(instance, &request), STATUS_OK);
            }
            assert_eq!((mass, energies), (12.0, [6.0, 15.0]));
            // A newer host has more to say, an older one less than is needed.
            request.struct_size += 8;
            assert_eq!((table.compute)(instance, &request), STATUS_OK);
            request.struct_size -= 16;
            assert_eq!((table.compute)(instance, &request), STATUS_ERROR);
            let message = MESSAGE.take();
            assert!(
                message.contains("32 bytes, version 1.0 of the plugin interface at least 40"),
                "{message}"
            );
            (table.head.destroy)(instance);
            info.struct_size -= 8;
            assert_eq!((table.head.create)(&info, &mut instance), STATUS_ERROR);
            let message = MESSAGE.take();
            assert!(message.contains("build info"), "{message}");
        }
    }
}
