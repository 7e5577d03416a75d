//! LAMMPS in processes that mpiexec starts, and in programs that started MPI themselves.

use std::ffi::c_int;
use std::path::Path;
use std::process::Command;

use libloading::Library;
use regflow::potential;
use regflow_tests::{bg_sample, dipeptide, engines, run};
use tempfile::TempDir;

use crate::engines::{lammps_input, molecule};
use crate::{assert_names, text};

#[test]
fn mpi_that_was_started_is_ended() {
    let Some(environment) = engines() else { return };
    let folder = TempDir::new().unwrap();
    let topology = dipeptide("topology.pdb");
    let system = molecule("alanine-dipeptide").join("system.xml");
    let input = lammps_input(folder.path(), &system, &topology, &[]);
    let output = run(Command::new(environment.join("bin/mpiexec"))
        .args(["-n", "1"])
        .arg(bg_sample().get_program())
        .args(["energy", "--energy", &format!("lammps:{}", text(&input))])
        .args(["--topology", text(&topology)])
        .args(["--trajectory", text(&dipeptide("trajectory.dcd"))])
        .args(["--stride", "1000"])
        .arg("--out")
        .arg(folder.path().join("energies.npz"))
        .env("REGFLOW_LAMMPS_LIB", &environment));
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(!told.contains("BAD TERMINATION"), "{told}");
    assert!(!told.to_lowercase().contains("finalize"), "{told}");
}

#[test]
fn mpi_for_one_thread_is_refused() {
    let Some(environment) = engines() else { return };
    run(Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "mpi::with_mpi_of_one_thread"])
        .env("REGFLOW_TEST_ENGINES", &environment)
        .env("REGFLOW_LAMMPS_LIB", &environment));
}

#[test]
#[ignore = "run by mpi_for_one_thread_is_refused in a process of its own"]
fn with_mpi_of_one_thread() {
    let environment = std::env::var("REGFLOW_TEST_ENGINES").unwrap();
    let folder = TempDir::new().unwrap();
    let topology = dipeptide("topology.pdb");
    let system = molecule("alanine-dipeptide").join("system.xml");
    let input = lammps_input(folder.path(), &system, &topology, &[]);
    let file = Path::new(&environment).join("lib/libmpi.so.12");
    type Init = unsafe extern "C" fn(*mut c_int, *mut c_int, c_int, *mut c_int) -> c_int;
    // SAFETY: the MPI library of the tests; types of the MPI standard, which allows null for the arguments of main.
    let mpi = unsafe { Library::new(file).unwrap() };
    let mut provided = -1;
    // SAFETY: as above.
    let status = unsafe {
        let init = mpi.get::<Init>("MPI_Init_thread").unwrap();
        init(std::ptr::null_mut(), std::ptr::null_mut(), 1, &mut provided)
    };
    assert_eq!((status, provided), (0, 1));
    let error = potential::load(&format!("lammps:{}", text(&input)))
        .err()
        .unwrap()
        .to_string();
    assert_names(&error, &["MPI_Init_thread", "MPI_THREAD_MULTIPLE"]);
    // SAFETY: MPI's own function, once, by the thread that started it.
    unsafe {
        type Finalize = unsafe extern "C" fn() -> c_int;
        mpi.get::<Finalize>("MPI_Finalize").unwrap()();
    }
    let error = potential::load(&format!("lammps:{}", text(&input)))
        .err()
        .unwrap()
        .to_string();
    assert_names(&error, &["MPI_Finalize"]);
}
