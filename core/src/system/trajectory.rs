//! Frames in: one or several trajectory files in any format that chemfiles reads.

use std::path::{Path, PathBuf};

use super::extent::{Extent, extent, is_text};
use super::periodic::{BondWalk, Cell};
use super::{AtomSelection, NM_PER_ANGSTROM, SystemError, Topology, chem};

/// Configurations, one after the other.
#[derive(Clone, PartialEq, Debug)]
pub struct Frames {
    /// Atoms per configuration.
    pub n_atoms: usize,
    /// Positions `[frames, atoms, 3]`, nm.
    pub positions: Vec<f64>,
}

impl Frames {
    /// Number of configurations.
    pub fn len(&self) -> usize {
        self.positions.len() / (3 * self.n_atoms).max(1)
    }

    /// No configurations at all?
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Positions of one configuration, `[atoms, 3]`.
    ///
    /// # Panics
    /// If there is no such configuration.
    pub fn frame(&self, index: usize) -> &[f64] {
        &self.positions[3 * self.n_atoms * index..][..3 * self.n_atoms]
    }
}

/// Which frames and atoms to read, and how strictly. Frames are counted from 0 over all files in the order given.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadOptions {
    /// First frame.
    pub start: usize,
    /// End of the range, exclusive; all frames without it.
    pub stop: Option<usize>,
    /// Every so many frames.
    pub stride: usize,
    /// Atoms to keep of each frame, where the files hold more than the topology; see [`Topology::read_selection`].
    pub selection: Option<AtomSelection>,
    /// Use the frames before the damage of a truncated file (with a warning) instead of refusing it.
    pub accept_damaged: bool,
    /// Two bonded atoms further apart (nm) show a molecule that is broken over a periodic boundary. It is refused if the cell
    /// does not mend it. Infinity accepts all, for configurations that do not come from molecular dynamics.
    pub longest_bond: f64,
}

impl Default for ReadOptions {
    /// All frames and atoms; damaged files refused; bonds up to 0.35 nm.
    fn default() -> Self {
        Self {
            start: 0,
            stop: None,
            stride: 1,
            selection: None,
            accept_damaged: false,
            longest_bond: 0.35,
        }
    }
}

/// A series of frames, read one at a time.
///
/// Units: chemfiles gives Angstrom (it converts GROMACS and Amber files itself), positions come out in nm. Each frame is
/// checked: the number of atoms, and the elements where the file has them, against the topology; finite coordinates; a
/// molecule broken over a periodic boundary is made whole.
///
/// As an iterator it yields positions `[atoms, 3]` (nm) until the end or the first error.
pub struct Trajectory {
    files: Vec<PathBuf>,
    topology: Topology,
    options: ReadOptions,
    walk: BondWalk,
    /// The next file to open.
    next_file: usize,
    open: Option<OpenFile>,
    /// Index over all files of the next frame to deliver.
    next_frame: usize,
    /// Frames of the files that are done with.
    frames_before: usize,
    delivered: usize,
    finished: bool,
    frame: chemfiles::Frame,
    warnings: Vec<String>,
}

struct OpenFile {
    path: PathBuf,
    format: String,
    trajectory: chemfiles::Trajectory,
    n_frames: usize,
    /// Elements were compared.
    checked: bool,
    /// The good part of a damaged text file; removed when dropped.
    _part: Option<tempfile::TempPath>,
}

impl Trajectory {
    /// Opens trajectory files of `topology` (of the selected atoms, if the options hold a selection). Missing and empty files
    /// and unknown formats are reported at once, other errors when a file's turn comes.
    ///
    /// # Errors
    /// See [`SystemError`].
    pub fn open<P: AsRef<Path>>(
        files: &[P],
        topology: &Topology,
        options: &ReadOptions,
    ) -> Result<Self, SystemError> {
        if files.is_empty() {
            return Err(SystemError::NoFiles);
        }
        if options.stride == 0 {
            return Err(SystemError::ZeroStride);
        }
        if let Some(selection) = &options.selection
            && (selection.atoms.len() != topology.n_atoms()
                || selection.atoms.iter().any(|&a| a >= selection.n_atoms))
        {
            let (expected, found) = (3 * topology.n_atoms(), 3 * selection.atoms.len());
            return Err(SystemError::Shape { expected, found });
        }
        for file in files {
            chem::check_readable(file.as_ref())?;
            chem::format_of(file.as_ref())?;
        }
        Ok(Self {
            files: files.iter().map(|file| file.as_ref().to_owned()).collect(),
            walk: BondWalk::new(&topology.neighbours(), &topology.bonds),
            topology: topology.clone(),
            next_file: 0,
            open: None,
            next_frame: options.start,
            options: options.clone(),
            frames_before: 0,
            delivered: 0,
            finished: false,
            frame: chemfiles::Frame::new(),
            warnings: Vec::new(),
        })
    }

    /// Atoms per frame that is delivered.
    pub fn n_atoms(&self) -> usize {
        self.topology.n_atoms()
    }

    /// Index, among the files, of the one that the last frame delivered is from.
    pub fn file(&self) -> usize {
        self.next_file.saturating_sub(1)
    }

    /// What was odd but no error so far: warnings of chemfiles, damage that was accepted, cells that were ignored.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Appends the next frame (nm) to `positions`; false at the end. After an error the trajectory is at its end.
    ///
    /// # Errors
    /// Any trouble with a file or a frame, naming both, and [`SystemError::NoFrames`] if the range holds none at all.
    pub fn read_into(&mut self, positions: &mut Vec<f64>) -> Result<bool, SystemError> {
        let length = positions.len();
        let result = if self.finished {
            Ok(false)
        } else {
            self.advance(positions)
        };
        if !matches!(result, Ok(true)) {
            self.finished = true;
            self.open = None;
            positions.truncate(length);
        }
        result
    }

    /// Reads up to `most` frames; an empty result is the end. What a long trajectory takes of memory is what the caller keeps
    /// of it: nothing else grows with its length.
    ///
    /// ```no_run
    /// # use regflow::system::{ReadOptions, SystemError, Topology, Trajectory};
    /// # fn run(files: &[&str], topology: &Topology) -> Result<(), SystemError> {
    /// let mut trajectory = Trajectory::open(files, topology, &ReadOptions::default())?;
    /// loop {
    ///     let chunk = trajectory.read_chunk(4096)?;
    ///     if chunk.is_empty() {
    ///         break;
    ///     }
    ///     // chunk.positions: [chunk.len(), atoms, 3], nm
    /// }
    /// for warning in trajectory.warnings() {
    ///     eprintln!("warning: {warning}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Trajectory::read_into`].
    ///
    /// # Panics
    /// If `most` is 0.
    pub fn read_chunk(&mut self, most: usize) -> Result<Frames, SystemError> {
        assert!(most > 0, "chunks of at least one frame");
        let n_atoms = self.n_atoms();
        let mut positions = Vec::new();
        for _ in 0..most {
            if !self.read_into(&mut positions)? {
                break;
            }
        }
        Ok(Frames { n_atoms, positions })
    }

    /// Reads all frames that are left.
    ///
    /// # Errors
    /// As for [`Trajectory::read_into`].
    pub fn read_all(&mut self) -> Result<Frames, SystemError> {
        let mut positions = Vec::new();
        while self.read_into(&mut positions)? {}
        Ok(Frames {
            n_atoms: self.n_atoms(),
            positions,
        })
    }

    fn advance(&mut self, positions: &mut Vec<f64>) -> Result<bool, SystemError> {
        while self.options.stop.is_none_or(|stop| self.next_frame < stop) {
            let Some(mut open) = self.open.take() else {
                let Some(path) = self.files.get(self.next_file).cloned() else {
                    break;
                };
                self.next_file += 1;
                self.open = Some(self.open_file(&path)?);
                continue;
            };
            let index = self.next_frame - self.frames_before;
            if index >= open.n_frames {
                self.frames_before += open.n_frames;
                continue;
            }
            match self.read_frame(&mut open, index, positions) {
                Ok(()) => {
                    self.open = Some(open);
                    self.next_frame += self.options.stride;
                    self.delivered += 1;
                    return Ok(true);
                }
                Err(SystemError::Truncated {
                    path,
                    frame,
                    reason,
                }) if self.options.accept_damaged => {
                    self.warn(
                        &path,
                        &format!(
                            "damaged at frame {frame} ({reason}); the frames before it are used"
                        ),
                    );
                    open.n_frames = frame;
                    self.open = Some(open);
                }
                Err(error) => return Err(error),
            }
        }
        if self.delivered > 0 {
            return Ok(false);
        }
        let name = |path: &PathBuf| format!("'{}'", path.display());
        Err(SystemError::NoFrames {
            files: self.files.iter().map(name).collect::<Vec<_>>().join(", "),
            start: self.options.start,
            stop: self
                .options
                .stop
                .map_or("the end".to_owned(), |stop| stop.to_string()),
            stride: self.options.stride,
            available: self.frames_before + self.open.as_ref().map_or(0, |open| open.n_frames),
        })
    }

    fn warn(&mut self, path: &Path, message: &str) {
        let warning = format!("'{}': {message}", path.display());
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Opens one file, comparing its length with what its format says.
    fn open_file(&mut self, path: &Path) -> Result<OpenFile, SystemError> {
        let format = chem::format_of(path)?;
        let found = extent(path, &format).map_err(|source| SystemError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut part = None;
        if let Some(Extent {
            frames,
            bytes,
            damage: Some(reason),
            ..
        }) = &found
        {
            if *frames == 0 {
                let reason = reason.clone();
                return Err(SystemError::Format {
                    path: path.to_owned(),
                    format,
                    reason,
                });
            }
            if !self.options.accept_damaged {
                return Err(SystemError::Truncated {
                    path: path.to_owned(),
                    frame: *frames,
                    reason: reason.clone(),
                });
            }
            self.warn(
                path,
                &format!("damaged at frame {frames} ({reason}); the frames before it are used"),
            );
            if is_text(&format) {
                part = Some(
                    copy_start(path, *bytes).map_err(|source| SystemError::Read {
                        path: path.to_owned(),
                        source,
                    })?,
                );
            }
        }
        if found.as_ref().is_some_and(|found| found.unterminated) {
            self.warn(
                path,
                "the last line has no end; if the file was cut there, the last number of the last frame is wrong",
            );
        }
        let (trajectory, mut n_frames) = self
            .open_chemfiles(part.as_deref().unwrap_or(path))
            .map_err(|reason| SystemError::Format {
                path: path.to_owned(),
                format: format.clone(),
                reason,
            })?;
        if let Some(found) = found {
            // chemfiles counts an incomplete last frame, or trusts sizes beyond the end.
            n_frames = found.frames;
        }
        Ok(OpenFile {
            path: path.to_owned(),
            format,
            trajectory,
            n_frames,
            checked: false,
            _part: part,
        })
    }

    fn open_chemfiles(&mut self, path: &Path) -> Result<(chemfiles::Trajectory, usize), String> {
        chem::call(&mut self.warnings, || {
            let mut trajectory = chemfiles::Trajectory::open(path, 'r')?;
            let n_frames = trajectory.nsteps();
            Ok((trajectory, n_frames))
        })
    }

    /// Reads, checks and converts one frame.
    fn read_frame(
        &mut self,
        open: &mut OpenFile,
        index: usize,
        positions: &mut Vec<f64>,
    ) -> Result<(), SystemError> {
        let path = || open.path.clone();
        chem::call(&mut self.warnings, || {
            open.trajectory.read_step(index, &mut self.frame)
        })
        .map_err(|reason| match index {
            0 => SystemError::Format {
                path: path(),
                format: open.format.clone(),
                reason,
            },
            _ => SystemError::Truncated {
                path: path(),
                frame: index,
                reason,
            },
        })?;

        let expected = self
            .options
            .selection
            .as_ref()
            .map_or(self.n_atoms(), |selection| selection.n_atoms);
        let found = self.frame.size();
        if found != expected {
            // A text file cut between two lines of its last frame.
            if found < expected && index > 0 && index + 1 == open.n_frames {
                let reason = format!("the last frame has {found} of {expected} atoms");
                return Err(SystemError::Truncated {
                    path: path(),
                    frame: index,
                    reason,
                });
            }
            return Err(SystemError::AtomCount {
                path: path(),
                frame: index,
                expected,
                found,
            });
        }
        if !open.checked {
            self.check_units_and_elements(&open.path, &open.format)?;
            open.checked = true;
        }

        let all = self.frame.positions();
        let start = positions.len();
        let mut take = |atom: usize| positions.extend(all[atom].map(|x| x * NM_PER_ANGSTROM));
        match &self.options.selection {
            Some(selection) => selection.atoms.iter().for_each(|&atom| take(atom)),
            None => (0..found).for_each(take),
        }
        let positions = &mut positions[start..];
        if let Some(k) = positions.iter().position(|x| !x.is_finite()) {
            let value = positions[k];
            return Err(SystemError::NonFinite {
                path: path(),
                frame: index,
                atom: k / 3,
                axis: k % 3,
                value,
            });
        }
        if self.n_atoms() > 1
            && positions
                .chunks_exact(3)
                .all(|point| point == &positions[..3])
        {
            return Err(SystemError::NoPositions {
                path: path(),
                frame: index,
            });
        }
        let (cell, known) = self.cell(&open.path);
        self.walk
            .make_whole(positions, cell.as_ref(), self.options.longest_bond)
            .map_err(|bond| {
                let (atoms, length, limit) = (bond.atoms, bond.length, self.options.longest_bond);
                SystemError::BrokenMolecule {
                    path: path(),
                    frame: index,
                    atoms,
                    length,
                    limit,
                    cell: known,
                }
            })
    }

    /// The periodic cell of the current frame, if it can have broken the molecule, and what to say of it.
    fn cell(&mut self, path: &Path) -> (Option<Cell>, &'static str) {
        let matrix = {
            let cell = self.frame.cell();
            if cell.shape() == chemfiles::CellShape::Infinite {
                return (None, "and the file has no periodic cell");
            }
            cell.matrix()
        };
        // chemfiles stores the cell vectors as columns.
        let vectors = [0, 1, 2].map(|i| [0, 1, 2].map(|axis| matrix[axis][i] * NM_PER_ANGSTROM));
        // Files of single molecules carry placeholder cells, such as CRYST1 1 1 1; images in them mean nothing.
        match Cell::new(vectors)
            .filter(|cell| cell.width() > 2.0 * self.options.longest_bond.min(0.35))
        {
            Some(cell) => (Some(cell), "in each periodic image"),
            None => {
                self.warn(
                    path,
                    "the periodic cell is too small to be one and is ignored",
                );
                (None, "and the periodic cell is too small to be one")
            }
        }
    }

    fn check_units_and_elements(&self, path: &Path, format: &str) -> Result<(), SystemError> {
        let refused = |reason| SystemError::Format {
            path: path.to_owned(),
            format: format.to_owned(),
            reason,
        };
        let (frame, chosen) = (
            &self.frame,
            self.options
                .selection
                .as_ref()
                .map(|selection| &selection.atoms),
        );
        // chemfiles warns of properties that are not there.
        let facts = chem::call(&mut Vec::new(), || {
            let atoms = (0..self.topology.atoms.len())
                .map(|atom| chosen.map_or(atom, |chosen| chosen[atom]));
            let atoms: Vec<(String, String)> = atoms
                .map(|atom| (frame.atom(atom).name(), frame.atom(atom).atomic_type()))
                .collect();
            Ok((frame.get("lammps_units"), atoms))
        });
        let (units, atoms) = facts.map_err(refused)?;
        if let Some(chemfiles::Property::String(units)) = units
            && !["real", "metal", "electron"].contains(&units.as_str())
        {
            return Err(SystemError::Units {
                path: path.to_owned(),
                units,
            });
        }
        for (atom, (name, kind)) in atoms.into_iter().enumerate() {
            let expected = &self.topology.atoms[atom];
            // LAMMPS dumps have the element in the name and a number as type; GRO files have "CA" in both.
            let number = super::elements::lookup(&kind)
                .or_else(|| super::elements::lookup(&name))
                .map(|e| e.1);
            if name != expected.name
                && number.is_some_and(|number| number != expected.atomic_number)
            {
                return Err(SystemError::Element {
                    path: path.to_owned(),
                    atom,
                    expected: format!("{} ({})", expected.name, expected.element),
                    found: if kind == name {
                        name
                    } else {
                        format!("{name} ({kind})")
                    },
                });
            }
        }
        Ok(())
    }
}

impl Iterator for Trajectory {
    type Item = Result<Vec<f64>, SystemError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut positions = Vec::with_capacity(3 * self.n_atoms());
        match self.read_into(&mut positions) {
            Ok(true) => Some(Ok(positions)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The first bytes of a file, in a temporary file with the same extension.
fn copy_start(path: &Path, bytes: u64) -> std::io::Result<tempfile::TempPath> {
    use std::io::Read;
    let mut suffix = std::ffi::OsString::from(".");
    suffix.push(path.extension().unwrap_or_default());
    let mut part = tempfile::Builder::new().suffix(&suffix).tempfile()?;
    std::io::copy(
        &mut std::fs::File::open(path)?.take(bytes),
        part.as_file_mut(),
    )?;
    Ok(part.into_temp_path())
}

#[cfg(test)]
#[path = "trajectory_tests.rs"]
mod tests;
