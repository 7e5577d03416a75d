//! Everything that can go wrong with a topology, a trajectory or an array file.

use std::io;
use std::path::PathBuf;

/// Errors of reading and writing molecular systems. Frames are counted from 0 within their file, atoms from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// A file cannot be opened, read, or is no file at all.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file cannot be written; nothing is left behind.
    #[error("cannot write '{}': {source}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system says (full disk, no permission, ...).
        source: io::Error,
    },
    /// The file is there but holds nothing.
    #[error("'{}' is empty", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// chemfiles, which reads and writes some formats, can only open files whose names are UTF-8 without NUL characters.
    #[error("'{}' cannot be handed to chemfiles: the name is not plain UTF-8 text; rename the file", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
    },
    /// The format is not known, or not for this use.
    #[error("'{}': {reason}; known formats: {known}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Why the format does not do.
        reason: String,
        /// Extensions that would do.
        known: String,
    },
    /// The file is not what its name promises.
    #[error("'{}' is not a valid {format} file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that its name promises.
        format: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A frame has another number of atoms than the topology.
    #[error(
        "'{}', frame {frame}: expected {expected} atoms as in the topology, found {found}; \
         give the topology of this very trajectory, or an atom selection", path.display()
    )]
    AtomCount {
        /// The trajectory.
        path: PathBuf,
        /// The frame in this file.
        frame: usize,
        /// Atoms of the topology.
        expected: usize,
        /// Atoms of the frame.
        found: usize,
    },
    /// The trajectory names another element than the topology for an atom.
    #[error(
        "'{}': atom {atom} is '{found}' but the topology has '{expected}' there; \
         trajectory and topology must list the same atoms in the same order", path.display()
    )]
    Element {
        /// The trajectory.
        path: PathBuf,
        /// The atom.
        atom: usize,
        /// Name and element in the topology.
        expected: String,
        /// Name and element in the trajectory.
        found: String,
    },
    /// A coordinate is NaN or infinite.
    #[error("'{}', frame {frame}: coordinate {} of atom {atom} is {value}; leave this frame out or repair the file",
        path.display(), ["x", "y", "z"][*axis])]
    NonFinite {
        /// The trajectory.
        path: PathBuf,
        /// The frame in this file.
        frame: usize,
        /// The atom.
        atom: usize,
        /// 0, 1, 2 for x, y, z.
        axis: usize,
        /// What stands there.
        value: f64,
    },
    /// A frame holds no positions (a TRR frame of velocities, say), or all atoms coincide.
    #[error("'{}', frame {frame}: no positions in this frame ({reason})", path.display())]
    NoPositions {
        /// The trajectory.
        path: PathBuf,
        /// The frame in this file.
        frame: usize,
        /// How that shows.
        reason: &'static str,
    },
    /// The file ends before, or is damaged in, a frame.
    #[error(
        "'{}' is truncated or damaged at frame {frame}: {reason}; \
         accept damaged files to use the {frame} frames before it", path.display()
    )]
    Truncated {
        /// The trajectory.
        path: PathBuf,
        /// The first frame that cannot be read; as many frames are good.
        frame: usize,
        /// How that shows.
        reason: String,
    },
    /// A bond is too long to be one, and no periodic image mends it.
    #[error(
        "'{}', frame {frame}: atoms {} and {} are bonded but {length:.3} nm apart (limit {limit} nm) {cell}; \
         make molecules whole when writing the trajectory (gmx trjconv -pbc mol, cpptraj autoimage)",
        path.display(), atoms[0], atoms[1]
    )]
    BrokenMolecule {
        /// The trajectory.
        path: PathBuf,
        /// The frame in this file.
        frame: usize,
        /// The two atoms.
        atoms: [usize; 2],
        /// Their distance (nm).
        length: f64,
        /// The longest distance that counts as a bond (nm).
        limit: f64,
        /// What is known of the periodic cell.
        cell: &'static str,
    },
    /// The coordinates are in a unit that cannot be converted.
    #[error("'{}': LAMMPS units '{units}' have no fixed length unit; write the dump in real or metal units", path.display())]
    Units {
        /// The trajectory.
        path: PathBuf,
        /// The unit system that the file names.
        units: String,
    },
    /// No frame is left after start, stop and stride.
    #[error(
        "no frames in {files} within start {start}, stop {stop}, stride {stride} ({available} frames in all)"
    )]
    NoFrames {
        /// The files.
        files: String,
        /// First frame asked for.
        start: usize,
        /// End of the range asked for.
        stop: String,
        /// Step asked for.
        stride: usize,
        /// Frames in all files.
        available: usize,
    },
    /// A stride of zero.
    #[error("the stride must be at least 1")]
    ZeroStride,
    /// No trajectory file was given.
    #[error("no trajectory file given")]
    NoFiles,
    /// An atom's element cannot be told from the topology.
    #[error("'{}': cannot tell the element of atom {atom} ('{name}') from its name; fill in the element (PDB columns 77-78; X for a bead)", path.display())]
    UnknownElement {
        /// The topology.
        path: PathBuf,
        /// The atom.
        atom: usize,
        /// Its name.
        name: String,
    },
    /// A site that is no atom: of four- and five-point water, a lone pair, a Drude particle.
    #[error(
        "'{}': atom {atom} is a virtual site, no atom; positions of virtual sites follow from those of atoms and have no density: \
         use a model of the molecule without them", path.display()
    )]
    VirtualSite {
        /// The topology.
        path: PathBuf,
        /// The atom and its residue.
        atom: String,
    },
    /// A potential of another number of particles.
    #[error(
        "{source_name} describes {found} particles, the molecule has {expected} atoms: give the potential of this molecule, in its \
         atom order"
    )]
    ParticleCount {
        /// The potential.
        source_name: String,
        /// Atoms of the molecule.
        expected: usize,
        /// Particles of the potential.
        found: usize,
    },
    /// A bond of the structure that the potential does not have.
    #[error(
        "atoms {} ({}) and {} ({}) are bonded in the structure, but not in {source_name}, where atom {} is bonded to {found}: \
         give structure and potential of the same molecule with the same order of atoms",
        atoms[0], names[0], atoms[1], names[1], atoms[0]
    )]
    ParticleBond {
        /// The potential.
        source_name: String,
        /// The two atoms.
        atoms: [usize; 2],
        /// Their names and residues.
        names: [String; 2],
        /// What the first one is bonded to in the potential.
        found: String,
    },
    /// Masses that cannot be those of the molecule's atoms.
    #[error(
        "{source_name}: {differ}: {}", if *certain {
            "the atom orders differ; give structure and potential with the same order of atoms"
        } else {
            "give the potential of this molecule; repartitioned masses of hydrogens and deuterium would do, other masses only where \
             the potential's bonds agree with the structure's"
        }
    )]
    ParticleMass {
        /// The potential.
        source_name: String,
        /// What differs, both sides named.
        differ: String,
        /// These are the masses of the molecule in another order.
        certain: bool,
    },
    /// The atoms are not one molecule.
    #[error(
        "'{}': the atoms are {fragments} separate molecules; atom {} ({name}) is not bonded to the first one; \
         select one molecule, or add the missing CONECT records", path.display(), atom
    )]
    Disconnected {
        /// The topology.
        path: PathBuf,
        /// The number of connected parts.
        fragments: usize,
        /// The first atom outside the first part.
        atom: usize,
        /// Its name and residue.
        name: String,
    },
    /// An atom has more bonds than its element allows.
    #[error("'{}': atom {atom} ({name}) has {found} bonds, {element} has at most {allowed}; check positions and CONECT records", path.display())]
    Valence {
        /// The topology.
        path: PathBuf,
        /// The atom.
        atom: usize,
        /// Its name and residue.
        name: String,
        /// Its element.
        element: String,
        /// Its number of bonds.
        found: usize,
        /// The most that is plausible.
        allowed: usize,
    },
    /// A selection that chemfiles does not understand, or not one of single atoms.
    #[error(
        "selection '{selection}': {reason}; see https://chemfiles.org/chemfiles/latest/selections.html"
    )]
    Selection {
        /// The selection.
        selection: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A selection without atoms.
    #[error("selection '{selection}' matches none of the {n_atoms} atoms of '{}'", path.display())]
    EmptySelection {
        /// The selection.
        selection: String,
        /// The topology.
        path: PathBuf,
        /// Its number of atoms.
        n_atoms: usize,
    },
    /// Positions of another shape than the topology's.
    #[error("expected positions of {expected} numbers (3 per atom), found {found}")]
    Shape {
        /// Numbers expected.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// chemfiles cannot write a frame.
    #[error("'{}', frame {frame}: chemfiles cannot write it: {reason}", path.display())]
    WriteFrame {
        /// The trajectory to be written.
        path: PathBuf,
        /// The frame.
        frame: usize,
        /// What chemfiles says.
        reason: String,
    },
    /// What was written does not read back (a full disk that nobody reported, for one).
    #[error("'{}': wrote {expected} frames but {found} can be read back; is the disk full?", path.display())]
    Incomplete {
        /// The trajectory.
        path: PathBuf,
        /// Frames written.
        expected: usize,
        /// Frames found.
        found: usize,
    },
    /// An array file without the array.
    #[error("'{}' has no array '{name}'; it has: {found}", path.display())]
    MissingArray {
        /// The file.
        path: PathBuf,
        /// The array asked for.
        name: String,
        /// The arrays that are there.
        found: String,
    },
    /// An array of another type or layout.
    #[error("'{}', array '{name}': {reason}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
