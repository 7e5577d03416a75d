//! Frames out, in any format that is read back as what it was.

mod text;

use std::io;
use std::path::{Path, PathBuf};

use self::text::{Format, TextFile};
use super::atomic_file::temporary_neighbour;
use super::reader::{self, RawFrame};
use super::reserve::Reserve;
use super::{NM_PER_ANGSTROM, ReadOptions, SystemError, Topology, Trajectory, chem};

/// Formats that hold several frames of any molecule.
const FORMATS: &str = ".dcd .xtc .trr .nc .pdb .gro .xyz .lammpstrj";

/// Writes a trajectory whose format follows from its extension (.dcd, .xtc, .trr, .nc, .xyz, .pdb, ...), names and bonds
/// attached for the formats that hold them.
///
/// Frames go to a temporary file in the same folder, which [`TrajectoryWriter::finish`] renames; dropped before that, it is
/// removed. Precision: binary formats hold float32, XTC is written to 1e-5 nm, PDB holds 1e-4 nm, GRO 1e-3 nm, XYZ and LAMMPS
/// dumps 1e-8 nm.
pub struct TrajectoryWriter {
    path: PathBuf,
    /// None once closed; declared before `file`, so that chemfiles is done with the file when it is removed.
    output: Option<Output>,
    file: tempfile::TempPath,
    reserve: Reserve,
    n_atoms: usize,
    n_frames: usize,
    warnings: Vec<String>,
}

impl TrajectoryWriter {
    /// Starts a trajectory of configurations of `topology`.
    ///
    /// # Errors
    /// A format that is not written, or does not hold what is to be written of this molecule; a folder that does not exist or
    /// cannot be written to.
    pub fn create(path: &Path, topology: &Topology) -> Result<Self, SystemError> {
        chem::check_name(path)?;
        if text_format(path).is_none() {
            let format = chem::format_of(path).map_err(|error| match error {
                SystemError::UnknownFormat { reason, .. } => unknown(path, reason),
                other => other,
            })?;
            let (base, packing) = format.split_once(" / ").unwrap_or((&format, "GZ"));
            // chemfiles does not end those files, and in some does not come to an end itself.
            if packing != "GZ" {
                let packing = packing.to_ascii_lowercase();
                return Err(unknown(
                    path,
                    format!("{base} files are not packed as {packing} here"),
                ));
            }
            let formats = chemfiles::formats_list();
            if !formats
                .iter()
                .any(|known| known.name == base && known.write)
            {
                return Err(unknown(
                    path,
                    format!("the {base} format is read, not written"),
                ));
            }
        }
        try_out(path, topology)?;
        Self::open(path, topology)
    }

    /// Starts a trajectory, whatever becomes of it.
    fn open(path: &Path, topology: &Topology) -> Result<Self, SystemError> {
        // The whole name is the suffix, so that readers and chemfiles see the same extensions (".xyz.gz").
        let suffix = path
            .file_name()
            .and_then(|name| name.to_str())
            .map(|name| format!(".{name}"))
            .unwrap_or_default();
        let failed = |source| SystemError::Write {
            path: path.to_owned(),
            source,
        };
        let (file, temporary) = temporary_neighbour(path, &suffix)
            .map_err(failed)?
            .into_parts();
        let mut warnings = Vec::new();
        let output = match text_format(path) {
            Some((format, packing)) => {
                let file = file.try_clone().map_err(failed)?;
                Output::Text(TextFile::new(format, &packing, file, topology))
            }
            None => chem::call(&mut warnings, || {
                let mut frame = chemfiles::Frame::new();
                frame.resize(topology.n_atoms());
                frame.set_topology(&to_chemfiles(topology)?)?;
                // Default of chemfiles: 1e-3 nm, too coarse for energies.
                frame.set("xtc_precision", 1e5);
                let trajectory = chemfiles::Trajectory::open(&*temporary, 'w')?;
                Ok(Output::Chemfiles(Box::new((trajectory, frame))))
            })
            .map_err(|reason| unknown(path, reason))?,
        };
        Ok(Self {
            path: path.to_owned(),
            output: Some(output),
            file: temporary,
            reserve: Reserve::new(file),
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
        let failed = |source| SystemError::Write {
            path: self.path.clone(),
            source,
        };
        for configuration in positions.chunks_exact(per_frame) {
            // An upper bound for all formats: two text lines per atom, and a header.
            let bytes = (self.n_frames as u64 + 1) * (4096 + 200 * self.n_atoms as u64);
            self.reserve.up_to(bytes).map_err(failed)?;
            match &mut self.output {
                None => {}
                Some(Output::Text(text)) => {
                    text.write(self.n_frames, configuration).map_err(failed)?;
                }
                Some(Output::Chemfiles(output)) => {
                    let (trajectory, frame) = &mut **output;
                    let (points, _) = configuration.as_chunks::<3>();
                    for (target, point) in frame.positions_mut().iter_mut().zip(points) {
                        *target = point.map(|x| x / NM_PER_ANGSTROM);
                    }
                    frame.set_step(self.n_frames);
                    chem::call(&mut self.warnings, || trajectory.write(frame)).map_err(
                        |reason| SystemError::WriteFrame {
                            path: self.path.clone(),
                            frame: self.n_frames,
                            reason,
                        },
                    )?;
                }
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
        self.close()?;
        let found = self.count();
        if found != self.n_frames || found == 0 {
            return Err(SystemError::Incomplete {
                path: self.path,
                expected: self.n_frames,
                found,
            });
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

    /// Writes what is left of the file.
    fn close(&mut self) -> Result<(), SystemError> {
        let done = match self.output.take() {
            Some(Output::Text(text)) => text.finish(),
            Some(Output::Chemfiles(output)) => chem::call(&mut self.warnings, || {
                drop(output);
                Ok(())
            })
            .map_err(io::Error::other),
            None => Ok(()),
        };
        done.map_err(|source| SystemError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Frames that can be read back, of which the last one is read.
    fn count(&self) -> usize {
        let Ok(mut reader) = reader::open(&self.file, self.n_atoms) else {
            return 0;
        };
        let mut frame = RawFrame::default();
        let mut found = 0;
        loop {
            let last = (found + 1 == self.n_frames).then_some(&mut frame);
            match reader.next(last) {
                Ok(true) => found += 1,
                Ok(false) | Err(_) => return found,
            }
        }
    }
}

/// Who writes the file.
enum Output {
    /// chemfiles, and the frame that it is handed.
    Chemfiles(Box<(chemfiles::Trajectory, chemfiles::Frame)>),
    Text(TextFile),
}

/// The format of a file that is written here, and how it is packed, by its name.
fn text_format(path: &Path) -> Option<(Format, String)> {
    let extension = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.unwrap_or_default().to_ascii_lowercase()
    };
    let last = extension(path);
    let (format, packing) = match last.as_str() {
        "gz" | "bz2" => (extension(Path::new(path.file_stem()?)), last),
        _ => (last, String::new()),
    };
    match format.as_str() {
        "xyz" | "extxyz" => Some((Format::Xyz, packing)),
        "lammpstrj" => Some((Format::Lammps, packing)),
        _ => None,
    }
}

fn unknown(path: &Path, reason: String) -> SystemError {
    SystemError::UnknownFormat {
        path: path.to_owned(),
        reason,
        known: FORMATS.to_owned(),
    }
}

/// Distance (nm) by which a format may round a coordinate: GRO has three decimals.
const COARSEST: f64 = 1.1e-3;

/// Writes two configurations of the molecule and reads them back: chemfiles writes many formats that hold no coordinates, one
/// configuration only, or that cannot be read again, and that is not to be found out when all configurations are drawn.
fn try_out(path: &Path, topology: &Topology) -> Result<(), SystemError> {
    let refused = |reason: String| {
        unknown(
            path,
            format!("configurations of this molecule do not read back from this format: {reason}"),
        )
    };
    // Some numbers: what a format does to them does not depend on what they are.
    let positions: Vec<f64> = (0..2 * 3 * topology.n_atoms())
        .map(|k| 0.9 * (1.7 * k as f64).sin())
        .collect();
    let mut writer = TrajectoryWriter::open(path, topology)?;
    for configuration in positions.chunks(3 * topology.n_atoms().max(1)) {
        match writer.write(configuration) {
            Err(SystemError::WriteFrame { reason, .. }) => return Err(refused(reason)),
            other => other?,
        }
    }
    writer.close()?;
    let options = ReadOptions {
        longest_bond: f64::INFINITY,
        ..ReadOptions::default()
    };
    let found = Trajectory::open(&[&*writer.file], topology, &options)
        .and_then(|mut trajectory| trajectory.read_all())
        .map_err(|error| {
            // The name of the temporary file means nothing to anybody.
            let (message, temporary) = (error.to_string(), writer.file.display().to_string());
            refused(message.replace(&temporary, &path.display().to_string()))
        })?;
    if found.positions.len() != positions.len() {
        let (read, all) = (
            found.len(),
            positions.len() / (3 * topology.n_atoms()).max(1),
        );
        return Err(refused(format!("it holds {read} of {all}")));
    }
    let off = found.positions.iter().zip(&positions).map(|(x, y)| x - y);
    match off.fold(0.0, |most: f64, off| most.max(off.abs())) {
        most if most <= COARSEST => Ok(()),
        most => Err(refused(format!("coordinates are off by {most:.3} nm"))),
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
