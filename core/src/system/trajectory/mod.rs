//! Frames in: one or several trajectory files of any known format.

mod check;

use std::path::{Path, PathBuf};

use super::periodic::BondWalk;
use super::reader::{self, Label, RawFrame, Reader};
use super::{AtomSelection, SystemError, Topology, chem};

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
/// Positions come out in nm, whatever the unit of the file. Each frame is checked: the number of atoms, and the elements where
/// the file has them, against the topology; finite coordinates; a molecule broken over a periodic boundary is made whole.
/// Frames without positions (of velocities only, say) are left out, with a warning that counts them.
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
    frame: RawFrame,
    /// The labels that were compared with the topology last.
    checked: Vec<Label>,
    /// Frames without positions.
    empty: Option<EmptyFrames>,
    warnings: Vec<String>,
}

struct OpenFile {
    path: PathBuf,
    format: String,
    reader: Box<dyn Reader>,
    /// The next frame of this file.
    next: usize,
}

/// Frames without positions, and the warning that counts them.
struct EmptyFrames {
    first: String,
    path: PathBuf,
    frame: usize,
    reason: &'static str,
    count: usize,
    warning: usize,
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
            reader::format_of(file.as_ref())?;
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
            frame: RawFrame::default(),
            checked: Vec::new(),
            empty: None,
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

    /// What was odd but no error so far: warnings of chemfiles, damage that was accepted, cells
    /// that were ignored, frames without positions. Each is told once, and the list is complete at the end of the trajectory.
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
                self.open = Some(OpenFile {
                    format: reader::format_of(&path)?,
                    reader: reader::open(&path, self.atoms_in_file())?,
                    path,
                    next: 0,
                });
                continue;
            };
            let wanted = self.frames_before + open.next == self.next_frame;
            let found = open.reader.next(wanted.then_some(&mut self.frame));
            if !matches!(found, Ok(true)) {
                for warning in open.reader.warnings() {
                    self.warn(&open.path, &warning);
                }
            }
            let index = open.next;
            let more = found
                .map_err(|fault| fault.at(&open.path, &open.format, index, self.atoms_in_file()));
            match more {
                Ok(true) => {
                    open.next += 1;
                    if wanted {
                        let taken = self.take_frame(&open, index, positions)?;
                        self.next_frame += self.options.stride;
                        self.delivered += usize::from(taken);
                        if taken {
                            self.open = Some(open);
                            return Ok(true);
                        }
                    }
                    self.open = Some(open);
                }
                Ok(false) if open.next == 0 => return Err(no_frame(open)),
                Ok(false) => self.frames_before += open.next,
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
                    self.frames_before += open.next;
                }
                Err(error) => return Err(error),
            }
        }
        // What the reader of a file that is not read to its end has to say.
        let mut unread = self.open.take();
        if let Some(open) = &unread {
            for warning in open.reader.warnings() {
                self.warn(&open.path, &warning);
            }
        }
        if self.delivered > 0 {
            return Ok(false);
        }
        // How many frames there are beyond the end of the range; damage there is of no concern here.
        loop {
            if let Some(open) = &mut unread {
                while matches!(open.reader.next(None), Ok(true)) {
                    open.next += 1;
                }
                self.frames_before += open.next;
            }
            let Some(path) = self.files.get(self.next_file) else {
                break;
            };
            self.next_file += 1;
            unread = Some(OpenFile {
                format: reader::format_of(path)?,
                reader: reader::open(path, self.atoms_in_file())?,
                path: path.clone(),
                next: 0,
            });
        }
        if let Some(empty) = &self.empty {
            return Err(SystemError::NoPositions {
                path: empty.path.clone(),
                frame: empty.frame,
                reason: empty.reason,
            });
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
            available: self.frames_before,
        })
    }

    /// Atoms of each frame of the files.
    fn atoms_in_file(&self) -> usize {
        let selection = self.options.selection.as_ref();
        selection.map_or(self.n_atoms(), |selection| selection.n_atoms)
    }

    fn warn(&mut self, path: &Path, message: &str) {
        let warning = format!("'{}': {message}", path.display());
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Counts a frame without positions.
    fn pass_over(&mut self, path: &Path, frame: usize, reason: &'static str) {
        let empty = self.empty.get_or_insert_with(|| {
            self.warnings.push(String::new());
            EmptyFrames {
                first: format!("'{}', frame {frame}", path.display()),
                path: path.to_owned(),
                frame,
                reason,
                count: 0,
                warning: self.warnings.len() - 1,
            }
        });
        empty.count += 1;
        self.warnings[empty.warning] = format!(
            "{} frames have no positions and are left out (the first: {}: {})",
            empty.count, empty.first, empty.reason
        );
    }
}

/// A file that holds no frame at all.
fn no_frame(file: OpenFile) -> SystemError {
    SystemError::Format {
        path: file.path,
        format: file.format,
        reason: "it holds no frame".to_owned(),
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

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
