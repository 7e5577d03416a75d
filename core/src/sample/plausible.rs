//! Whether frames can be a sample of a molecule under its potential, by all that tells: bond lengths, their motion, energies.

use crate::coordinates::ConfigurationSource;
use crate::energy::{Energy, EnergyError};
use crate::system::{Implausible, Topology, check_reduced_energies, kt};

/// Frames looked at for lengths and motion, evenly spread, and those of them whose energies are computed: engines are slow.
const MOST: usize = 2000;
const MOST_ENERGIES: usize = 500;
/// Positions held at a time; a large molecule is looked at in fewer frames, as its many bonds tell more.
const MOST_NUMBERS: usize = 1 << 25;
/// What energies are compared with where no temperature is known, K. The limit is a hundred times what is thermal: it holds for any
/// temperature of a molecule.
const ROOM_TEMPERATURE: f64 = 300.0;

/// Why frames are no sample of a potential, or that it cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlausibilityError {
    /// They are none.
    #[error(transparent)]
    Implausible(#[from] Implausible),
    /// The energy fails.
    #[error(transparent)]
    Energy(#[from] EnergyError),
}

/// How many frames of `n_atoms` atoms [`check_plausible`] looks at, at most.
pub fn most_looked_at(n_atoms: usize) -> usize {
    (MOST_NUMBERS / (3 * n_atoms.max(1))).clamp(1, MOST)
}

/// Checks that frames can be a sample of a molecule: by an even sample of all of them their bond lengths and, where there is an
/// energy, its values; with a temperature (K) the motion of bonds too.
///
/// Medians are compared, in which a fault of fewer than half of the frames does not show: files that may differ are checked one by
/// one.
///
/// # Errors
/// They cannot be such a sample, or the energy fails.
pub fn check_plausible(
    topology: &Topology,
    energy: Option<&dyn Energy>,
    frames: &dyn ConfigurationSource,
    temperature: Option<f64>,
) -> Result<(), PlausibilityError> {
    let n_atoms = topology.n_atoms();
    let positions = even(frames, n_atoms, most_looked_at(n_atoms));
    let particles = energy.map(|energy| energy.particles("the energy"));
    topology.check_lengths(particles.as_ref(), &positions)?;
    if let Some(temperature) = temperature {
        topology.check_motion(particles.as_ref(), &positions, temperature)?;
    }
    if let Some(energy) = energy {
        let positions = even(frames, n_atoms, most_looked_at(n_atoms).min(MOST_ENERGIES));
        let mut energies = vec![0.0; positions.len() / (3 * n_atoms.max(1))];
        let refusals = || energy.refusals().map_or(0, |refusals| refusals.count);
        let before = refusals();
        energy.energies(&positions, &mut energies)?;
        if refusals() > before {
            // The engine says why it could not evaluate some; nothing is known of these.
            energies.retain(|energy| energy.is_finite());
        }
        let kt = kt(temperature.unwrap_or(ROOM_TEMPERATURE));
        energies.iter_mut().for_each(|energy| *energy /= kt);
        check_reduced_energies(&energies, n_atoms)?;
    }
    Ok(())
}

/// At most `most` configurations, evenly spread.
fn even(frames: &dyn ConfigurationSource, n_atoms: usize, most: usize) -> Vec<f64> {
    let width = 3 * n_atoms.max(1);
    let n = frames.n().min(most);
    let mut positions = vec![0.0; n * width];
    for (k, x) in positions.chunks_exact_mut(width).enumerate() {
        frames.copy(k * frames.n() / n, x);
    }
    positions
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::coordinates::{FrameStore, Part};
    use crate::energy::ForceField;
    use crate::system::{ReadOptions, Trajectory};

    /// A potential whose minimum is far from every frame.
    struct Elsewhere;

    impl Energy for Elsewhere {
        fn n_atoms(&self) -> usize {
            22
        }
        fn energies(&self, _: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
            energies.fill(1e6);
            Ok(())
        }
        fn energies_and_forces(
            &self,
            positions: &[f64],
            energies: &mut [f64],
            forces: &mut [f64],
        ) -> Result<(), EnergyError> {
            forces.fill(0.0);
            self.energies(positions, energies)
        }
    }

    #[test]
    fn each_fault_is_told_by_an_even_sample() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
        let topology = Topology::read(&data.join("topology.pdb")).unwrap();
        let options = ReadOptions {
            stride: 100,
            ..ReadOptions::default()
        };
        let files = [data.join("trajectory.dcd")];
        let frames = Trajectory::open(&files, &topology, &options)
            .and_then(|mut trajectory| trajectory.read_all())
            .unwrap();
        let energy = ForceField::from_system_xml(&data.join("system.xml")).unwrap();
        let store = |scale: f64, still: bool| {
            let mut store = FrameStore::new(22);
            for frame in 0..frames.len() {
                let frame = frames.frame(if still { 0 } else { frame });
                store
                    .extend(&frame.iter().map(|x| x * scale).collect::<Vec<_>>())
                    .unwrap();
            }
            store
        };
        let check = |frames: &FrameStore, energy: Option<&dyn Energy>, temperature| {
            let checked = check_plausible(&topology, energy, frames, temperature);
            checked.map_err(|e| e.to_string())
        };
        let sound = store(1.0, false);
        let energy: Option<&dyn Energy> = Some(&energy);
        for temperature in [None, Some(300.0)] {
            check(&sound, energy, temperature).unwrap();
            check(&sound, None, temperature).unwrap();
        }
        // Frames in Bohr, a frame that stands still, and a potential in which nothing is at rest.
        let error = check(&store(1.889_726, false), None, None).unwrap_err();
        assert!(error.contains("Bohr"), "{error}");
        let still = store(1.0, true);
        check(&still, energy, None).unwrap();
        let error = check(&still, energy, Some(300.0)).unwrap_err();
        assert!(error.contains("do not move"), "{error}");
        for temperature in [None, Some(300.0)] {
            let error = check(&sound, Some(&Elsewhere), temperature).unwrap_err();
            assert!(error.contains("no sample of this potential"), "{error}");
        }
        // Of two files, the second in Bohr: half of all frames hide it, each file by itself does not.
        let mut both = store(1.0, false);
        let second = store(1.889_726, false);
        let mut x = [0.0; 66];
        for frame in 0..second.n() / 2 {
            second.copy(frame, &mut x);
            both.extend(&x).unwrap();
        }
        check(&both, None, None).unwrap();
        let range = sound.n()..both.n();
        let part = Part {
            source: &both,
            range,
        };
        assert!(check_plausible(&topology, None, &part, None).is_err());
        check(&FrameStore::new(22), energy, Some(300.0)).unwrap();
    }
}
