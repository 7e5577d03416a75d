//! Frames out, in any format that chemfiles writes.

use std::path::{Path, PathBuf};

use super::atomic_file::temporary_neighbour;
use super::reserve::Reserve;
use super::{NM_PER_ANGSTROM, SystemError, Topology, chem};

/// Writes a trajectory whose format follows from its extension (.dcd, .xtc, .trr, .nc, .xyz, .pdb, ...), names and bonds
/// attached for the formats that hold them.
///
/// Frames go to a temporary file in the same folder, which [`TrajectoryWriter::finish`] renames; dropped before that, it is
/// removed. Precision: binary formats hold float32, XTC is written to 1e-5 nm, PDB holds 1e-4 nm, XYZ six digits.
pub struct TrajectoryWriter {
    path: PathBuf,
    /// None once closed; declared before `file`, so that chemfiles is done with the file when it is removed.
    trajectory: Option<chemfiles::Trajectory>,
    file: tempfile::TempPath,
    reserve: Reserve,
    frame: chemfiles::Frame,
    n_atoms: usize,
    n_frames: usize,
    warnings: Vec<String>,
}

impl TrajectoryWriter {
    /// Starts a trajectory of configurations of `topology`.
    ///
    /// # Errors
    /// A format that chemfiles does not write, a folder that does not exist or cannot be written to.
    pub fn create(path: &Path, topology: &Topology) -> Result<Self, SystemError> {
        let failed = |source| SystemError::Write {
            path: path.to_owned(),
            source,
        };
        let unknown = |reason| SystemError::UnknownFormat {
            path: path.to_owned(),
            reason,
            known: chem::extensions(|format| format.write),
        };
        let format = chem::format_of(path)?;
        let base = format.split(" / ").next().unwrap_or(&format);
        if !chemfiles::formats_list()
            .iter()
            .any(|known| known.name == base && known.write)
        {
            return Err(unknown(format!(
                "chemfiles reads but does not write the {base} format"
            )));
        }
        // The whole name is the suffix, so that chemfiles sees the same extensions (".xyz.gz").
        let suffix = path
            .file_name()
            .and_then(|name| name.to_str())
            .map(|name| format!(".{name}"))
            .unwrap_or_default();
        let (file, temporary) = temporary_neighbour(path, &suffix)
            .map_err(failed)?
            .into_parts();
        let mut warnings = Vec::new();
        let (trajectory, frame) = chem::call(&mut warnings, || {
            let mut frame = chemfiles::Frame::new();
            frame.resize(topology.n_atoms());
            frame.set_topology(&to_chemfiles(topology)?)?;
            // Default of chemfiles: 1e-3 nm, too coarse for energies.
            frame.set("xtc_precision", 1e5);
            Ok((chemfiles::Trajectory::open(&*temporary, 'w')?, frame))
        })
        .map_err(unknown)?;
        Ok(Self {
            path: path.to_owned(),
            trajectory: Some(trajectory),
            file: temporary,
            reserve: Reserve::new(file),
            frame,
            n_atoms: topology.n_atoms(),
            n_frames: 0,
            warnings,
        })
    }

    /// Appends one configuration, or several, `[frames, atoms, 3]` in nm.
    ///
    /// # Errors
    /// Positions of another shape, a full disk, anything that chemfiles cannot write.
    pub fn write(&mut self, positions: &[f64]) -> Result<(), SystemError> {
        let per_frame = 3 * self.n_atoms;
        if per_frame == 0 || !positions.len().is_multiple_of(per_frame) {
            return Err(SystemError::Shape {
                expected: per_frame,
                found: positions.len(),
            });
        }
        for configuration in positions.chunks_exact(per_frame) {
            // An upper bound for all formats: two text lines per atom, and a header.
            let bytes = (self.n_frames as u64 + 1) * (4096 + 200 * self.n_atoms as u64);
            self.reserve
                .up_to(bytes)
                .map_err(|source| SystemError::Write {
                    path: self.path.clone(),
                    source,
                })?;
            for (target, source) in self
                .frame
                .positions_mut()
                .iter_mut()
                .zip(configuration.chunks_exact(3))
            {
                *target = [0, 1, 2].map(|axis| source[axis] / NM_PER_ANGSTROM);
            }
            self.frame.set_step(self.n_frames);
            if let Some(trajectory) = &mut self.trajectory {
                let frame = &self.frame;
                chem::call(&mut self.warnings, || trajectory.write(frame)).map_err(|reason| {
                    SystemError::WriteFrame {
                        path: self.path.clone(),
                        frame: self.n_frames,
                        reason,
                    }
                })?;
            }
            self.n_frames += 1;
        }
        Ok(())
    }

    /// Frames written so far.
    pub fn n_frames(&self) -> usize {
        self.n_frames
    }

    /// What chemfiles found odd (residue names that a format cuts short, say).
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Closes the file, checks that all frames read back, and gives it its name. Without any frame an error.
    ///
    /// # Errors
    /// [`SystemError::Incomplete`], or [`SystemError::Write`] if the file cannot be flushed or renamed.
    pub fn finish(mut self) -> Result<(), SystemError> {
        let (mut warnings, trajectory) =
            (std::mem::take(&mut self.warnings), self.trajectory.take());
        let incomplete = |found| SystemError::Incomplete {
            path: self.path.clone(),
            expected: self.n_frames,
            found,
        };
        let found = chem::call(&mut warnings, || {
            drop(trajectory);
            let mut written = chemfiles::Trajectory::open(&*self.file, 'r')?;
            let found = written.nsteps();
            written.read_step(found.saturating_sub(1), &mut self.frame)?;
            Ok(found)
        })
        .map_err(|_| incomplete(0))?;
        if found != self.n_frames {
            return Err(incomplete(found));
        }
        let failed = |source| SystemError::Write {
            path: self.path.clone(),
            source,
        };
        self.reserve.sync().map_err(failed)?;
        self.file
            .persist(&self.path)
            .map_err(|error| failed(error.error))
    }
}

/// Names, elements, masses, residues and bonds in chemfiles' terms.
fn to_chemfiles(topology: &Topology) -> Result<chemfiles::Topology, chemfiles::Error> {
    let mut result = chemfiles::Topology::new();
    let mut members = vec![Vec::new(); topology.residues.len()];
    for (index, atom) in topology.atoms.iter().enumerate() {
        let mut converted = chemfiles::Atom::new(atom.name.as_str());
        converted.set_atomic_type(atom.element.as_str());
        converted.set_mass(atom.mass);
        result.add_atom(&converted);
        members[atom.residue].push(index);
    }
    for (residue, atoms) in topology.residues.iter().zip(members) {
        let mut converted = chemfiles::Residue::with_id(residue.name.as_str(), residue.id);
        atoms.into_iter().for_each(|atom| converted.add_atom(atom));
        converted.set("chainid", residue.chain.as_str());
        converted.set("chainname", residue.chain.as_str());
        result.add_residue(&converted)?;
    }
    topology
        .bonds
        .iter()
        .for_each(|&[a, b]| result.add_bond(a, b));
    Ok(result)
}
