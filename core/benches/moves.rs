//! Metropolis moves of the dipeptide: by the Rust library, and through the C interface of `libregflow`, in the manner of the table.
//!
//!     REGFLOW_LIBRARY=target/release/libregflow.so cargo bench -p regflow --bench moves
//!
//! A program of its own: here both sides use the system's allocator, as the programs that link `libregflow` do.

#[path = "table/measure.rs"]
#[expect(dead_code, reason = "other tables have peers in Python")]
mod measure;
#[path = "table/peer.rs"]
#[expect(dead_code, reason = "other tables have peers in Python")]
mod peer;

use std::error::Error;

use std::ffi::{CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::Arc;

use libloading::Library;
use regflow::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
use regflow::energy::ForceField;
use regflow::model::Model;
use regflow::sample::{Metropolis, MoveOptions};
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;

use measure::{Rival, Table, median_of_calls};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The library that `make bench` builds.
const LIBRARY: &str = "REGFLOW_LIBRARY";
/// Attempts per call of the whole form.
const ATTEMPTS: usize = 1024;

type Handle = *mut c_void;
type Propose =
    unsafe extern "C" fn(Handle, *const f64, usize, *mut f64, usize, *mut f64, usize) -> i32;
type Decide =
    unsafe extern "C" fn(Handle, *const f64, usize, *const f64, usize, *mut i32, usize) -> i32;
type Run = unsafe extern "C" fn(
    Handle,
    Handle,
    usize,
    *mut f64,
    usize,
    *mut f64,
    usize,
    *mut usize,
    usize,
) -> i32;

/// `regflow_move_options_t`.
#[repr(C)]
struct Options {
    struct_size: usize,
    n_walkers: usize,
    temperature: f64,
    seed: u64,
    batch: usize,
    n_system_atoms: usize,
    atoms: *const usize,
    atoms_length: usize,
    frame: *const usize,
    frame_length: usize,
    placement: i32,
    reserved: i32,
}

/// The C interface, as a program that links it sees it.
struct C {
    library: Library,
    model: Handle,
    energy: Handle,
}

impl C {
    fn open(library: &Path, model: &Path, system: &Path) -> Outcome<C> {
        // SAFETY: our own library, whose initialisers do nothing.
        let library = unsafe { Library::new(library) }?;
        let text = |path: &Path| CString::new(path.to_string_lossy().as_bytes());
        let (path, system) = (text(model)?, text(system)?);
        let (mut model, mut energy): (Handle, Handle) = (null_mut(), null_mut());
        // SAFETY: the types are those of the header; all pointers are valid for the calls.
        unsafe {
            let load =
                library
                    .get::<unsafe extern "C" fn(*const c_char, *const c_void, *mut Handle) -> i32>(
                        b"regflow_model_load\0",
                    )?;
            check(load(path.as_ptr(), null(), &mut model))?;
            let load = library.get::<unsafe extern "C" fn(*const c_char, *mut Handle) -> i32>(
                b"regflow_energy_load\0",
            )?;
            check(load(system.as_ptr(), &mut energy))?;
        }
        Ok(C {
            library,
            model,
            energy,
        })
    }

    fn moves(&self, n_walkers: usize) -> Outcome<Handle> {
        let options = Options {
            struct_size: size_of::<Options>(),
            n_walkers,
            temperature: 0.0,
            seed: 1,
            batch: 0,
            n_system_atoms: 0,
            atoms: null(),
            atoms_length: 0,
            frame: null(),
            frame_length: 0,
            placement: 0,
            reserved: 0,
        };
        let mut handle = null_mut();
        // SAFETY: the type is that of the header; all pointers are valid for the call.
        unsafe {
            let new =
                self.library
                    .get::<unsafe extern "C" fn(Handle, *const Options, *mut Handle) -> i32>(
                        b"regflow_move_new\0",
                    )?;
            check(new(self.model, &options, &mut handle))?;
        }
        Ok(handle)
    }
}

fn check(status: i32) -> Outcome {
    match status {
        0 => Ok(()),
        status => Err(format!("a function of {LIBRARY} failed with status {status}").into()),
    }
}

fn main() -> Outcome {
    let mut table = Table::new(std::env::args().skip(1))?;
    rows(&mut table)
}

fn rows(table: &mut Table) -> Outcome {
    let split = |walkers: usize| format!("move, {walkers} walkers, engine's energy");
    let whole = format!("moves, 1 walker, {ATTEMPTS} with native energy");
    if ![split(1), split(256), whole.clone()]
        .iter()
        .any(|name| table.wants(name))
    {
        return Ok(());
    }
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
    let folder = tempfile::tempdir()?;
    let (path, system) = (
        folder.path().join("model.safetensors"),
        data.join("system.xml"),
    );
    let (model, frame) = model(&data)?;
    model.save(&path)?;
    // As the C interface has it.
    let model = Arc::new(Model::load(&path, &Device::Cpu)?);
    let c = match std::env::var_os(LIBRARY).map(PathBuf::from) {
        Some(library) => Some(C::open(&library, &path, &system)?),
        None => None,
    };
    let options = |n_walkers| MoveOptions {
        n_walkers,
        seed: 1,
        ..MoveOptions::default()
    };

    for walkers in [1, 256] {
        let name = split(walkers);
        if !table.wants(&name) {
            continue;
        }
        let positions = frame.repeat(walkers);
        let energies = vec![0.0; walkers];
        let mut proposals = positions.clone();
        let mut log_ratios = vec![0.0; walkers];
        let mut accepted = vec![false; walkers];
        let mut moves = Metropolis::new(Arc::clone(&model), &options(walkers))?;
        let rust = || {
            median_of_calls(|| {
                moves.propose(&positions, &mut proposals, &mut log_ratios)?;
                moves.decide(&energies, &energies, &mut accepted)?;
                Ok(())
            })
            .map(|seconds| seconds / walkers as f64)
        };
        let (mut proposals, mut log_ratios) = (positions.clone(), vec![0.0; walkers]);
        let mut accepted = vec![0; walkers];
        let mut through;
        let rival = match &c {
            None => Rival::NotInstalled,
            Some(c) => {
                let handle = c.moves(walkers)?;
                // SAFETY: the types are those of the header.
                let (propose, decide) = unsafe {
                    (
                        *c.library.get::<Propose>(b"regflow_move_propose\0")?,
                        *c.library.get::<Decide>(b"regflow_move_decide\0")?,
                    )
                };
                let (positions, energies) = (&positions, &energies);
                let (proposals, log_ratios) = (&mut proposals, &mut log_ratios);
                let accepted = &mut accepted;
                through = move || {
                    median_of_calls(|| {
                        let (n, w) = (positions.len(), walkers);
                        // SAFETY: all arrays have the lengths that are passed.
                        check(unsafe {
                            propose(
                                handle,
                                positions.as_ptr(),
                                n,
                                proposals.as_mut_ptr(),
                                n,
                                log_ratios.as_mut_ptr(),
                                w,
                            )
                        })?;
                        // SAFETY: as above.
                        check(unsafe {
                            decide(
                                handle,
                                energies.as_ptr(),
                                w,
                                energies.as_ptr(),
                                w,
                                accepted.as_mut_ptr(),
                                w,
                            )
                        })
                    })
                    .map(|seconds| seconds / walkers as f64)
                };
                Rival::Other(&mut through)
            }
        };
        table.row(&name, rust, rival, &|_| "peer: through C".into())?;
    }

    if table.wants(&whole) {
        let energy = ForceField::from_system_xml(&system)?;
        let mut moves = Metropolis::new(model, &options(1))?;
        let (mut positions, mut energies) = (frame.clone(), [0.0]);
        let rust = || {
            median_of_calls(|| {
                moves.run(&energy, ATTEMPTS, &mut positions, &mut energies)?;
                Ok(())
            })
            .map(|seconds| seconds / ATTEMPTS as f64)
        };
        let mut positions = frame;
        let mut through;
        let rival = match &c {
            None => Rival::NotInstalled,
            Some(c) => {
                let (handle, energy) = (c.moves(1)?, c.energy);
                // SAFETY: the type is that of the header.
                let run = unsafe { *c.library.get::<Run>(b"regflow_move_run\0")? };
                let positions = &mut positions;
                through = move || {
                    median_of_calls(|| {
                        let n = positions.len();
                        // SAFETY: the array has the length that is passed; NULL stands for results that are not wanted.
                        check(unsafe {
                            run(
                                handle,
                                energy,
                                ATTEMPTS,
                                positions.as_mut_ptr(),
                                n,
                                null_mut(),
                                0,
                                null_mut(),
                                0,
                            )
                        })
                    })
                    .map(|seconds| seconds / ATTEMPTS as f64)
                };
                Rival::Other(&mut through)
            }
        };
        table.row(&whole, rust, rival, &|_| "peer: through C".into())?;
    }
    Ok(())
}

/// An untrained model of the default size, and a frame.
fn model(data: &Path) -> Outcome<(Model, Vec<f64>)> {
    let topology = Topology::read(&data.join("topology.pdb"))?;
    let options = ReadOptions {
        stride: 50,
        ..ReadOptions::default()
    };
    let frames = Trajectory::open(&[data.join("trajectory.dcd")], &topology, &options)?
        .read_all()?
        .positions;
    let frame = frames[..3 * topology.n_atoms()].to_vec();
    let options = CoordinateOptions {
        circular: true,
        ..CoordinateOptions::default()
    };
    let coordinates = Coordinates::fit(CoordinateKind::Internal, &topology, &frames, &options)?;
    let config = serde_json::json!({});
    let model = Model::new("nsf", config, coordinates, topology, 300.0, 1, &Device::Cpu)?;
    Ok((model, frame))
}
