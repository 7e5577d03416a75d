use std::path::PathBuf;

use regflow::system::{ArrayData, NamedArray, write_npz};

use crate::figures::Figures;
use crate::inputs::{self, EnergyArgument, FrameArguments, Refused};
use crate::plausible::Expected;
use crate::{Common, Outcome};

/// Energies (and forces) of the frames of a trajectory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample energy --energy system.xml --topology topology.pdb --trajectory trajectory.dcd --out energies.npz --forces")]
pub struct Arguments {
    #[command(flatten)]
    energy: EnergyArgument,
    /// Structure file with atoms and bonds (PDB, ...)
    #[arg(long, value_name = "FILE")]
    topology: PathBuf,
    #[command(flatten)]
    frames: FrameArguments,
    /// Output: `energy` of each frame in kJ/mol, and with --forces `forces` on each atom in kJ/mol/nm
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    /// Also write the forces
    #[arg(long)]
    forces: bool,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let source = PathBuf::from(&arguments.energy.source);
    let read = arguments.frames.trajectory.iter();
    let read = read.chain([&arguments.topology, &source]);
    inputs::keep(read, &[("--out", &arguments.out)])?;
    inputs::output("--out", &arguments.out)?;
    let energy = arguments.energy.open(common)?;
    let potential = (arguments.energy.source.as_str(), energy.as_ref());
    let (topology, selection) = arguments
        .frames
        .range
        .molecule(&arguments.topology, Some(potential))?;
    // Energies have no temperature, and those of constrained molecules are as good as others: nothing is asked of the motion.
    let expected = Expected {
        energy: Some(energy.as_ref()),
        temperature: None,
    };
    let (mut energies, mut forces) = (Vec::new(), Vec::new());
    let mut refused = Refused::new(Some(energy.as_ref()));
    let FrameArguments { trajectory, range } = &arguments.frames;
    range.for_each_chunk(
        trajectory,
        &topology,
        selection,
        Some(expected),
        &mut |positions| {
            let done = (energies.len(), forces.len());
            energies.resize(done.0 + positions.len() / (3 * topology.n_atoms()), 0.0);
            let energies = &mut energies[done.0..];
            if arguments.forces {
                forces.resize(done.1 + positions.len(), 0.0);
                let forces = &mut forces[done.1..];
                refused.during(|| energy.energies_and_forces(positions, energies, forces))?;
            } else {
                refused.during(|| energy.energies(positions, energies))?;
            }
            Ok(())
        },
    )?;
    let n = energies.len();
    let shape = [n, topology.n_atoms(), 3];
    let mut arrays = vec![NamedArray {
        name: "energy",
        shape: &shape[..1],
        data: ArrayData::F64(&energies),
    }];
    if arguments.forces {
        arrays.push(NamedArray {
            name: "forces",
            shape: &shape,
            data: ArrayData::F64(&forces),
        });
    }
    write_npz(&arguments.out, &arrays)?;

    let finite: Vec<f64> = energies.iter().copied().filter(|e| e.is_finite()).collect();
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let mut figures = Figures::default();
    figures.add("frames", n, n.to_string());
    figures.add(
        "mean_energy",
        mean,
        format!("{mean:.4} kJ/mol over the frames with a finite energy"),
    );
    let non_finite = n - finite.len();
    figures.add("non_finite", non_finite, non_finite.to_string());
    if non_finite > 0 {
        figures.warn(format!(
            "{non_finite} of {n} frames have no finite energy: atoms in one place, or coordinates far from those of the molecule"
        ));
    }
    figures.add(
        "out",
        arguments.out.display().to_string(),
        arguments.out.display().to_string(),
    );
    figures.warn_all(refused.warning());
    figures.print(common)
}
