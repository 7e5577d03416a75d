//! One instance of LAMMPS with the user's input, and the evaluation of configurations by it.

use crate::instance::Instance;
use crate::runtime::Runtime;
use crate::units::Units;
use crate::{Config, LammpsError, quit};
use std::cmp::Ordering;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

/// Run after the input. Every evaluation makes new neighbour lists, because configurations have nothing to do with each
/// other; the order of the atoms stays, so that sums do not depend on what was evaluated before.
const PREPARE: &CStr = c"thermo_style custom step pe
thermo_modify norm no flush no
thermo 0
timer off
atom_modify sort 0 0.0
neigh_modify every 1 delay 0 check no
";
/// Without periodic boundaries the box follows the atoms, and bins for wild configurations would fill the memory.
const NO_BINS: &CStr = c"neighbor 0.0 nsq
";
/// Most atoms for neighbour lists without bins.
const MOST_WITHOUT_BINS: usize = 5000;
const SETUP: &CStr = c"run 0 post no
";
/// One step of a system that nothing moves: neighbour lists, forces, energy. Three times as fast as `run 0`.
const EVALUATE: &CStr = c"run 1 pre no post no
";

/// Why a configuration has no energy.
pub enum Failure {
    /// LAMMPS says so. The instance cannot be used any more.
    Refused(String),
    /// The input's box cannot hold the configuration. The instance cannot be used any more.
    Lost {
        /// Atoms that are left.
        found: usize,
    },
    /// The input makes atoms. The instance cannot be used any more.
    Added {
        /// Atoms that there are now.
        found: usize,
    },
}

impl Failure {
    /// Fails unless all atoms are there, and no others: arrays are as long as there were at first.
    fn of_count(found: usize, expected: usize) -> Result<(), Failure> {
        match found.cmp(&expected) {
            Ordering::Less => Err(Failure::Lost { found }),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(Failure::Added { found }),
        }
    }

    /// The failure of one configuration among others.
    pub fn of_configuration(self, expected: usize) -> String {
        match self {
            Failure::Refused(message) => message,
            Failure::Lost { found } => format!(
                "{} of {expected} atoms left the box: with boundaries that follow the atoms (`boundary s s s`) it holds every \
                 configuration",
                expected - found
            ),
            Failure::Added { found } => format!(
                "there are {found} atoms instead of {expected}: the input must not make any during a run"
            ),
        }
    }

    /// The failure as an error of the whole input.
    pub fn describe(self, file: &str, expected: usize) -> LammpsError {
        let file = file.into();
        match self {
            Failure::Refused(message) => LammpsError::Script { file, message },
            Failure::Lost { found } => LammpsError::Lost {
                file,
                expected,
                found,
            },
            Failure::Added { found } => LammpsError::Added {
                file,
                expected,
                found,
            },
        }
    }
}

/// The box where it is periodic.
struct Cell {
    low: [f64; 3],
    /// Edges a, b, c: `[a_x, 0, 0]`, `[b_x, b_y, 0]`, `[c_x, c_y, c_z]`.
    edges: [[f64; 3]; 3],
    periodic: [bool; 3],
}

impl Cell {
    /// Moves `r` into the box along its periodic edges, and returns by how many edges.
    fn wrap(&self, r: &mut [f64; 3]) -> [i64; 3] {
        let [a, b, c] = &self.edges;
        let d: [f64; 3] = std::array::from_fn(|k| r[k] - self.low[k]);
        let s_c = d[2] / c[2];
        let s_b = (d[1] - s_c * c[1]) / b[1];
        let s_a = (d[0] - s_b * b[0] - s_c * c[0]) / a[0];
        let fractions = [s_a, s_b, s_c];
        let mut image = [0; 3];
        for (k, edge) in self.edges.iter().enumerate() {
            if self.periodic[k] {
                let n = fractions[k].floor();
                image[k] = n as i64;
                r.iter_mut().zip(edge).for_each(|(x, e)| *x -= n * e);
            }
        }
        image
    }
}

/// What an input defines.
struct System {
    units: Units,
    n_atoms: usize,
    cell: Cell,
    /// Whether image flags have 8 bytes.
    big_images: bool,
    /// Whether atom IDs have 8 bytes.
    big_ids: bool,
}

impl System {
    /// Has the instance read the input.
    fn read(instance: &Instance, config: &Config) -> Result<Self, LammpsError> {
        let file = &config.file;
        let script_error = |message| LammpsError::Script {
            file: file.clone(),
            message,
        };
        if Path::new(file).is_dir() {
            return Err(LammpsError::Folder { file: file.clone() });
        }
        if let Some((file, line)) = quit::find(file) {
            return Err(LammpsError::Quit { file, line });
        }
        instance.file(&text(file)).map_err(script_error)?;
        // SAFETY: a live instance.
        let n_atoms = instance.call(|f, handle| unsafe { (f.lammps_get_natoms)(handle) });
        let n_atoms = n_atoms.map_err(script_error)? as usize;
        if instance.setting(c"box_exist") != 1 || n_atoms == 0 {
            return Err(LammpsError::NoAtoms { file: file.clone() });
        }
        let dimension = instance.setting(c"dimension");
        if dimension != 3 {
            return Err(LammpsError::Dimension {
                file: file.clone(),
                found: dimension,
            });
        }
        let system = System {
            units: units(instance, config)?,
            n_atoms,
            cell: cell(instance).map_err(script_error)?,
            big_images: instance.setting(c"imageint") == 8,
            big_ids: instance.setting(c"tagint") == 8,
        };
        instance.command(PREPARE).map_err(script_error)?;
        if !system.cell.periodic.contains(&true) && n_atoms <= MOST_WITHOUT_BINS {
            instance.command(NO_BINS).map_err(script_error)?;
        }
        instance.command(SETUP).map_err(script_error)?;
        let mut ids = system.ids(instance).map_err(script_error)?;
        ids.sort_unstable();
        if !ids.iter().copied().eq(1..=n_atoms) {
            return Err(LammpsError::Ids {
                file: file.clone(),
                n_atoms,
                largest: ids.last().copied().unwrap_or(0),
            });
        }
        Ok(system)
    }

    /// IDs of the atoms in LAMMPS's own order, each from 1 to `n_atoms` for a system that was checked.
    fn ids(&self, instance: &Instance) -> Result<Vec<usize>, String> {
        let ids = instance.atoms::<c_void>(c"id")?;
        // SAFETY: IDs of all atoms, of the size that LAMMPS was built with.
        let id = |index| unsafe {
            match self.big_ids {
                true => ids.cast::<i64>().add(index).read() as usize,
                false => ids.cast::<c_int>().add(index).read() as usize,
            }
        };
        Ok((0..self.n_atoms).map(id).collect())
    }

    /// # Safety
    /// `images` has a flag for the atom.
    unsafe fn set_image(&self, images: *mut c_void, index: usize, image: [i64; 3]) {
        let bits = if self.big_images { 21 } else { 10 };
        let largest = 1i64 << (bits - 1);
        let part = |k: usize| ((image[k] + largest) & ((1 << bits) - 1)) << (k * bits);
        let flag = part(0) | part(1) | part(2);
        // SAFETY: by contract.
        unsafe {
            match self.big_images {
                true => *images.cast::<i64>().add(index) = flag,
                false => *images.cast::<i32>().add(index) = flag as i32,
            }
        }
    }
}

/// An instance with its input read.
pub struct Context {
    instance: Instance,
    system: System,
}

impl Context {
    /// Reads the input.
    ///
    /// # Errors
    /// LAMMPS's words; an input that defines no system which RegFlow can use.
    pub fn new(runtime: &'static Runtime, config: &Config) -> Result<Self, LammpsError> {
        let instance = open(runtime, config)?;
        let system = {
            // Inputs are read one at a time: LAMMPS counts what it makes in variables of the process.
            let _one = runtime.creating();
            System::read(&instance, config)
        }?;
        Ok(Context { instance, system })
    }

    /// Number of atoms.
    pub fn n_atoms(&self) -> usize {
        self.system.n_atoms
    }

    /// Masses in u by ID, NaN where they have no unit.
    ///
    /// # Errors
    /// LAMMPS does not tell the atoms' IDs.
    pub fn masses(&self) -> Result<Vec<f64>, Failure> {
        let mut masses = vec![f64::NAN; self.n_atoms()];
        let Some(unit) = self.system.units.mass else {
            return Ok(masses);
        };
        let by_atom = self.instance.atoms::<f64>(c"rmass");
        let by_type = self.instance.atoms::<f64>(c"mass");
        let types = self.instance.atoms::<c_int>(c"type");
        for (index, id) in self.ids()?.into_iter().enumerate() {
            // SAFETY: arrays of all atoms, or of all types, which count from 1.
            let mass = unsafe {
                match (&by_atom, &by_type, &types) {
                    (Ok(by_atom), ..) => by_atom.add(index).read(),
                    (_, Ok(by_type), Ok(types)) => {
                        by_type.add(types.add(index).read() as usize).read()
                    }
                    _ => f64::NAN,
                }
            };
            masses[id - 1] = mass * unit;
        }
        Ok(masses)
    }

    fn ids(&self) -> Result<Vec<usize>, Failure> {
        let ids = self.system.ids(&self.instance);
        ids.map_err(Failure::Refused)
    }

    /// Positions by ID in nm.
    ///
    /// # Errors
    /// LAMMPS does not tell them.
    pub fn positions(&self) -> Result<Vec<f64>, Failure> {
        let mut positions = vec![0.0; 3 * self.n_atoms()];
        self.read_rows(c"x", self.system.units.length, &mut positions)?;
        Ok(positions)
    }

    /// Reads rows of three numbers of all atoms, by ID, in the unit given.
    fn read_rows(&self, name: &CStr, unit: f64, values: &mut [f64]) -> Result<(), Failure> {
        let rows = self.instance.atoms::<*const f64>(name);
        let rows = rows.map_err(Failure::Refused)?;
        for (index, id) in self.ids()?.into_iter().enumerate() {
            let place = 3 * (id - 1);
            for k in 0..3 {
                // SAFETY: rows of three numbers for all atoms.
                values[place + k] = unsafe { *rows.add(index).read().add(k) } * unit;
            }
        }
        Ok(())
    }

    /// Energy in kJ/mol at `positions` (by ID, nm); forces in kJ/(mol nm) where they are wanted.
    ///
    /// # Errors
    /// After an error the instance must not be used again.
    pub fn evaluate(
        &mut self,
        positions: &[f64],
        forces: Option<&mut [f64]>,
    ) -> Result<f64, Failure> {
        let (instance, system) = (&self.instance, &self.system);
        let _work = instance.runtime().working();
        let scale = 1.0 / system.units.length;
        let x = instance.atoms::<*mut f64>(c"x").map_err(Failure::Refused)?;
        let images = instance.atoms(c"image").map_err(Failure::Refused)?;
        for (index, id) in self.ids()?.into_iter().enumerate() {
            let place = 3 * (id - 1);
            let mut r = std::array::from_fn(|k| positions[place + k] * scale);
            let image = system.cell.wrap(&mut r);
            // SAFETY: rows of three numbers, and image flags, for all atoms.
            unsafe {
                std::ptr::copy_nonoverlapping(r.as_ptr(), x.add(index).read(), 3);
                system.set_image(images.as_ptr(), index, image);
            }
        }
        let done = instance.command(EVALUATE);
        let found = instance.setting(c"nlocal").max(0) as usize;
        Failure::of_count(found, system.n_atoms)?;
        done.map_err(Failure::Refused)?;
        // SAFETY: the energy's compute exists always, and was evaluated by the run; 0, 0: a global scalar.
        let energy = instance.call(|f, handle| unsafe {
            let energy = (f.lammps_extract_compute)(handle, c"thermo_pe".as_ptr(), 0, 0);
            energy.cast::<f64>().as_ref().copied()
        });
        instance.last_error().map_err(Failure::Refused)?;
        let energy = energy.map_err(Failure::Refused)?;
        let energy = energy.ok_or_else(|| Failure::Refused("LAMMPS has no energy".into()))?;
        if let Some(forces) = forces {
            self.read_rows(c"f", system.units.energy / system.units.length, forces)?;
        }
        Ok(energy * system.units.energy)
    }
}

/// Arguments come from JSON, which can hold any character.
fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

fn open(runtime: &'static Runtime, config: &Config) -> Result<Instance, LammpsError> {
    let mut arguments = ["lammps", "-log", "none", "-screen", "none", "-nocite"]
        .map(text)
        .to_vec();
    for (name, value) in &config.variables {
        arguments.extend([text("-var"), text(name), text(value)]);
    }
    let mut pointers: Vec<*mut c_char> = arguments
        .iter()
        .map(|text| text.as_ptr().cast_mut())
        .collect();
    Instance::open(runtime, &mut pointers)?.ok_or(LammpsError::Start)
}

fn units(instance: &Instance, config: &Config) -> Result<Units, LammpsError> {
    // SAFETY: a live instance and a terminated name.
    let style =
        instance.call(|f, handle| unsafe { (f.lammps_extract_global)(handle, c"units".as_ptr()) });
    let style = style.map_err(|message| LammpsError::Script {
        file: config.file.clone(),
        message,
    })?;
    let style = match style.is_null() {
        true => String::new(),
        // SAFETY: a terminated text.
        false => unsafe { CStr::from_ptr(style.cast()) }
            .to_string_lossy()
            .into_owned(),
    };
    match (Units::of_style(&style), config.length, config.energy) {
        (Some(units), None, None) => Ok(units),
        (None, Some(length), Some(energy)) => Ok(Units {
            length,
            energy,
            mass: None,
        }),
        _ => Err(LammpsError::Units { style }),
    }
}

fn cell(instance: &Instance) -> Result<Cell, String> {
    let (mut low, mut high, mut tilt) = ([0.0; 3], [0.0; 3], [0.0; 3]);
    let (mut periodic, mut change) = ([0; 3], 0);
    let [xy, yz, xz] = &mut tilt;
    // SAFETY: a live instance, and room for what the function writes.
    instance.call(|f, handle| unsafe {
        (f.lammps_extract_box)(
            handle,
            low.as_mut_ptr(),
            high.as_mut_ptr(),
            xy,
            yz,
            xz,
            periodic.as_mut_ptr(),
            &mut change,
        );
    })?;
    let [xy, yz, xz] = tilt;
    Ok(Cell {
        low,
        edges: [
            [high[0] - low[0], 0.0, 0.0],
            [xy, high[1] - low[1], 0.0],
            [xz, yz, high[2] - low[2]],
        ],
        periodic: periodic.map(|flag| flag != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_number_of_atoms_is_accepted() {
        assert!(Failure::of_count(5, 5).is_ok());
        let words = |found| {
            let failure = || Failure::of_count(found, 5).expect_err("another number");
            let error = failure().describe("in.file", 5).to_string();
            [error, failure().of_configuration(5)]
        };
        for text in words(3) {
            assert!(text.contains("2 of 5 atoms left the box"), "{text}");
        }
        for text in words(6) {
            assert!(text.contains("6 atoms instead of 5"), "{text}");
        }
    }

    #[test]
    fn wrapping_keeps_the_place_up_to_whole_edges() {
        let cell = Cell {
            low: [-1.0, 2.0, 0.5],
            edges: [[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [-0.5, 0.7, 6.0]],
            periodic: [true, true, false],
        };
        let start = [-17.3, 44.2, 30.0];
        let mut r = start;
        let image = cell.wrap(&mut r);
        assert_eq!(image[2], 0);
        for k in 0..3 {
            let shift: f64 = (0..3).map(|e| image[e] as f64 * cell.edges[e][k]).sum();
            assert!((r[k] + shift - start[k]).abs() < 1e-12);
        }
        // Once more nothing moves.
        let inside = r;
        assert_eq!(cell.wrap(&mut r), [0; 3]);
        assert_eq!(r, inside);
    }
}
