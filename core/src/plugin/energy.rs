//! Energy sources of plugins, behind the [`Energy`] trait.

use super::PluginInfo;
use super::error::PluginError;
use super::host;
use super::kind::{Checked, Instance, Kind, Plugin, Setup};
use crate::energy::{Energy, EnergyError, Refusals, check_shapes};
use rayon::prelude::*;
use regflow_plugin::energy::{EnergyRequest, EnergyTable};
use std::sync::{Mutex, PoisonError};

/// Most configurations of one call of a plugin, so that threads that are done early find something left to do.
const LARGEST_TASK: usize = 64;

/// A potential energy built from a plugin. Batches are divided among the threads of the rayon pool.
pub struct PluginEnergy {
    instance: Instance<PluginEnergy>,
    /// One for each atom.
    masses: Vec<f64>,
    refusals: Mutex<Option<Refusals>>,
}

impl Kind for PluginEnergy {
    type Table = EnergyTable;

    /// Energies are not built: most have nothing to compute without a configuration.
    fn try_out(_plugin: &Plugin<PluginEnergy>) -> Result<Checked, PluginError> {
        Ok(Checked {
            summary: "its table is in order; it can be evaluated with a configuration".into(),
            warnings: Vec::new(),
        })
    }
}

impl Plugin<PluginEnergy> {
    /// Builds the energy source. `config` is a JSON object (empty: the defaults).
    ///
    /// # Errors
    /// A configuration that the plugin refuses, an engine that is missing, no atoms; a panic.
    pub fn build(&self, config: &str) -> Result<PluginEnergy, PluginError> {
        let instance = self.create(config, Setup::default())?;
        // SAFETY: made by `create` of the same table.
        let n_atoms = instance.ask(|energy| unsafe { (self.table().n_atoms)(energy) });
        let n_atoms = u32::try_from(n_atoms).unwrap_or(0) as usize;
        if n_atoms == 0 {
            let message = "expected at least 1 and less than 2^32 atoms";
            return Err(self.info().failed("create", message));
        }
        let mut masses = vec![f64::NAN; n_atoms];
        instance.call("masses", |energy| {
            // SAFETY: as above, with room for all masses.
            unsafe { (self.table().masses)(energy, masses.as_mut_ptr()) }
        })?;
        Ok(PluginEnergy {
            instance,
            masses,
            refusals: Mutex::new(None),
        })
    }
}

impl std::fmt::Debug for PluginEnergy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.instance.fmt(f)
    }
}

impl PluginEnergy {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        self.instance.info()
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
        mut forces: Option<&mut [f64]>,
    ) -> Result<(), PluginError> {
        // What the plugin does not write is no energy, whatever the caller's memory held.
        energies.fill(f64::NAN);
        if let Some(forces) = &mut forces {
            forces.fill(f64::NAN);
        }
        let request = EnergyRequest {
            struct_size: size_of::<EnergyRequest>() as u64,
            positions: positions.as_ptr(),
            n: energies.len() as u64,
            energies: energies.as_mut_ptr(),
            forces: forces.map_or(std::ptr::null_mut(), <[f64]>::as_mut_ptr),
        };
        self.instance.call("compute", |energy| {
            // SAFETY: everything that the request points to outlives the call, and its lengths were checked.
            unsafe { (self.instance.table().compute)(energy, &request) }
        })?;
        let refused = energies.iter().filter(|energy| energy.is_nan()).count() as u64;
        let mut reason = host::take_message();
        if refused > 0 {
            if reason.is_empty() {
                reason = "it gives no reason".into();
            }
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
        }
        .map_err(|error| EnergyError::External(Box::new(error)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use regflow_plugin::energy::table;
    use regflow_plugin::{Batch, EnergySource};

    /// Writes the energy, and no forces, of the first configuration only, and says nothing.
    struct Idle;

    impl EnergySource for Idle {
        type Config = std::collections::BTreeMap<String, f64>;
        type Context = ();
        const NAME: &'static str = "idle";
        const DESCRIPTION: &'static str = "Leaves most energies as they are";

        fn build(_config: Self::Config) -> regflow_plugin::Result<Self> {
            Ok(Idle)
        }

        fn n_atoms(&self) -> usize {
            1
        }

        fn context(&self) -> regflow_plugin::Result<()> {
            Ok(())
        }

        fn compute(&self, _context: &mut (), batch: &mut Batch<'_>) -> regflow_plugin::Result<()> {
            *batch.configuration(0).energy = 3.0;
            Ok(())
        }
    }

    #[test]
    fn what_a_plugin_does_not_write_is_no_energy() {
        let plugin = Plugin::<PluginEnergy>::of_table(table::<Idle>());
        let energy = plugin.build("").unwrap();
        let (mut energies, mut forces) = ([1.0; 3], [1.0; 9]);
        energy
            .call(&[0.0; 9], &mut energies, Some(&mut forces))
            .unwrap();
        assert_eq!(energies[0], 3.0);
        assert!(energies[1..].iter().chain(&forces).all(|x| x.is_nan()));
        let refusals = energy.refusals().unwrap();
        let expected = (2, "it gives no reason");
        assert_eq!((refusals.count, refusals.reason.as_str()), expected);
    }
}
