//! Energy sources of plugins, behind the [`Energy`] trait.

use super::error::PluginError;
use super::flow::check_status;
use super::host;
use super::library::text;
use super::{Origin, PluginInfo};
use crate::energy::{Energy, EnergyError, Refusals, check_shapes};
use crate::tensor::Device;
use rayon::prelude::*;
use regflow_plugin::abi::{EnergyRequest, EnergyTable, InstanceHandle, Str};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Most configurations of one call of a plugin, so that threads that are done early find something left to do.
const LARGEST_TASK: usize = 64;

/// A source of potential energies, found and loaded.
#[derive(Clone)]
pub struct EnergyPlugin {
    table: &'static EnergyTable,
    info: Arc<PluginInfo>,
}

impl fmt::Debug for EnergyPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnergyPlugin")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl EnergyPlugin {
    pub(super) fn new(table: &'static EnergyTable, version: &str, origin: Origin) -> Self {
        let info = PluginInfo {
            name: text(&table.name),
            version: version.into(),
            description: text(&table.description),
            schema: text(&table.config_schema),
            origin,
            circular: false,
        };
        EnergyPlugin {
            table,
            info: Arc::new(info),
        }
    }

    /// Name, version, description, schema, origin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Builds the energy source. `config` is a JSON object (empty: the defaults).
    ///
    /// # Errors
    /// A configuration that the plugin refuses, an engine that is missing, no atoms; a panic.
    pub fn build(&self, config: &str) -> Result<PluginEnergy, PluginError> {
        let config = self.info.complete_config(config)?;
        let mut instance = std::ptr::null_mut();
        host::take_message();
        // SAFETY: the configuration outlives the call, the table the process.
        let status = unsafe {
            (self.table.create)(host::table(&Device::Cpu), Str::new(&config), &mut instance)
        };
        check_status(&self.info.name, "create", status)?;
        let failed = |message: &str| PluginError::Failed {
            plugin: self.info.name.clone(),
            action: "create",
            message: message.into(),
        };
        if instance.is_null() {
            return Err(failed("reported success but made no energy source"));
        }
        let mut energy = PluginEnergy {
            table: self.table,
            instance,
            info: Arc::clone(&self.info),
            masses: Vec::new(),
            refusals: Mutex::new(None),
        };
        // SAFETY: made by `create` of the same table.
        let n_atoms = unsafe { (self.table.n_atoms)(instance) };
        let n_atoms = u32::try_from(n_atoms).unwrap_or(0) as usize;
        if n_atoms == 0 {
            return Err(failed("expected at least 1 and less than 2^32 atoms"));
        }
        energy.masses = vec![f64::NAN; n_atoms];
        // SAFETY: as above, with room for all masses.
        let status = unsafe { (self.table.masses)(instance, energy.masses.as_mut_ptr()) };
        check_status(&self.info.name, "masses", status)?;
        Ok(energy)
    }
}

/// A potential energy built from a plugin. Batches are divided among the threads of the rayon pool.
pub struct PluginEnergy {
    table: &'static EnergyTable,
    instance: *mut InstanceHandle,
    info: Arc<PluginInfo>,
    /// One for each atom.
    masses: Vec<f64>,
    refusals: Mutex<Option<Refusals>>,
}

// SAFETY: the interface demands instances that any thread may call, several at once (abi).
unsafe impl Send for PluginEnergy {}
// SAFETY: as above.
unsafe impl Sync for PluginEnergy {}

impl Drop for PluginEnergy {
    fn drop(&mut self) {
        // SAFETY: made by `create` of the same table, given back once.
        unsafe { (self.table.destroy)(self.instance) };
    }
}

impl fmt::Debug for PluginEnergy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginEnergy")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl PluginEnergy {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// A part of a batch, in this thread. Configurations that are not finite are not shown to the plugin.
    fn part(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        mut forces: Option<&mut [f64]>,
    ) -> Result<(), PluginError> {
        let width = 3 * self.masses.len();
        let is_finite = |index: &usize| {
            let positions = &positions[index * width..][..width];
            positions.iter().all(|x| x.is_finite())
        };
        let all: Vec<usize> = (0..energies.len()).collect();
        for run in all.chunk_by(|a, b| is_finite(a) == is_finite(b)) {
            let (rows, values) = (
                run[0]..run[0] + run.len(),
                run[0] * width..(run[0] + run.len()) * width,
            );
            let energies = &mut energies[rows];
            let forces = forces
                .as_deref_mut()
                .map(|forces| &mut forces[values.clone()]);
            if is_finite(&run[0]) {
                self.call(&positions[values], energies, forces)?;
            } else {
                energies.fill(f64::NAN);
                if let Some(forces) = forces {
                    forces.fill(f64::NAN);
                }
            }
        }
        Ok(())
    }

    fn call(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: Option<&mut [f64]>,
    ) -> Result<(), PluginError> {
        let request = EnergyRequest {
            struct_size: size_of::<EnergyRequest>() as u64,
            positions: positions.as_ptr(),
            n: energies.len() as u64,
            energies: energies.as_mut_ptr(),
            forces: forces.map_or(std::ptr::null_mut(), <[f64]>::as_mut_ptr),
        };
        host::take_message();
        // SAFETY: everything that the request points to outlives the call, and its lengths were checked.
        let status = unsafe { (self.table.compute)(self.instance, &request) };
        check_status(&self.info.name, "compute", status)?;
        let refused = energies.iter().filter(|energy| energy.is_nan()).count() as u64;
        let reason = host::take_message();
        if refused > 0 && !reason.is_empty() {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            let known = refusals.get_or_insert_with(|| Refusals { count: 0, reason });
            known.count += refused;
        }
        Ok(())
    }

    fn compute(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: Option<&mut [f64]>,
    ) -> Result<(), EnergyError> {
        let n_atoms = self.masses.len();
        check_shapes(n_atoms, positions, energies, forces.as_deref())?;
        let task = energies.len().div_ceil(4 * rayon::current_num_threads());
        let task = task.clamp(1, LARGEST_TASK);
        let inputs = positions.par_chunks(task * 3 * n_atoms);
        let parts = inputs.zip(energies.par_chunks_mut(task));
        match forces {
            None => {
                parts.try_for_each(|(positions, energies)| self.part(positions, energies, None))
            }
            Some(forces) => parts
                .zip(forces.par_chunks_mut(task * 3 * n_atoms))
                .try_for_each(|((positions, energies), forces)| {
                    self.part(positions, energies, Some(forces))
                }),
        }?;
        Ok(())
    }
}

impl Energy for PluginEnergy {
    fn n_atoms(&self) -> usize {
        self.masses.len()
    }

    fn masses(&self) -> Option<&[f64]> {
        Some(&self.masses)
    }

    fn refusals(&self) -> Option<Refusals> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.clone()
    }

    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        self.compute(positions, energies, None)
    }

    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError> {
        self.compute(positions, energies, Some(forces))
    }
}
