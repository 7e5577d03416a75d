//! MPI, which LAMMPS was built with: started where the program has not done so, and then also ended.

use regflow_engine::{EngineError, EngineLibrary};
use std::ffi::{c_char, c_int};
use std::sync::OnceLock;
use std::thread::{self, ThreadId};

/// Levels of thread support, the same numbers in every MPI library.
const THREAD_SERIALIZED: c_int = 2;
const THREAD_MULTIPLE: c_int = 3;

/// Why MPI does not do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// The library lacks a function.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It could not be started.
    #[error("MPI could not be started: status {status} of MPI_Init_thread")]
    Start {
        /// MPI's status.
        status: i32,
    },
    /// The program ended it.
    #[error("MPI was ended by this program (MPI_Finalize): LAMMPS cannot be used any more")]
    Ended,
    /// The program started it for one thread.
    #[error(
        "this program started MPI for its main thread alone, and energies are computed by others: start it with \
         MPI_Init_thread and MPI_THREAD_MULTIPLE (or MPI_THREAD_SERIALIZED, for one evaluation at a time)"
    )]
    OneThread,
}

type Query = unsafe extern "C-unwind" fn(*mut c_int) -> c_int;
type Init =
    unsafe extern "C-unwind" fn(*mut c_int, *mut *mut *mut c_char, c_int, *mut c_int) -> c_int;
type Finalize = unsafe extern "C-unwind" fn() -> c_int;

/// What ends the MPI that was started here.
struct Started {
    finalized: Query,
    finalize: Finalize,
    /// Only the thread that started it may end it, and no child of `fork`.
    thread: ThreadId,
    process: u32,
}

static STARTED: OnceLock<Started> = OnceLock::new();

/// A process launched by mpiexec that leaves without ending MPI counts as crashed.
extern "C" fn end() {
    let Some(started) = STARTED.get() else { return };
    if thread::current().id() != started.thread || std::process::id() != started.process {
        return;
    }
    let mut finalized = 0;
    // SAFETY: types of the MPI standard; both functions may be called at any time after the start.
    unsafe {
        (started.finalized)(&mut finalized);
        if finalized == 0 {
            (started.finalize)();
        }
    }
}

/// Starts MPI, unless the program did. Returns whether several threads may use it at the same time.
///
/// # Errors
/// It does not start, was ended, or is for one thread only.
pub fn start(library: &EngineLibrary) -> Result<bool, MpiError> {
    let (mut started, mut provided, mut finalized) = (0, 0, 0);
    // SAFETY: types of the MPI standard; MPI_Init_thread takes null for the arguments of main.
    let status = unsafe {
        let query = library.get::<Query>("MPI_Finalized")?;
        query(&mut finalized);
        if finalized != 0 {
            return Err(MpiError::Ended);
        }
        library.get::<Query>("MPI_Initialized")?(&mut started);
        if started == 0 {
            let ending = Started {
                finalized: query,
                finalize: library.get("MPI_Finalize")?,
                thread: thread::current().id(),
                process: std::process::id(),
            };
            let (argc, argv) = (std::ptr::null_mut(), std::ptr::null_mut());
            let init = library.get::<Init>("MPI_Init_thread")?;
            let status = init(argc, argv, THREAD_MULTIPLE, &mut provided);
            if status == 0 && STARTED.set(ending).is_ok() {
                libc::atexit(end);
            }
            status
        } else {
            library.get::<Query>("MPI_Query_thread")?(&mut provided)
        }
    };
    match (status, provided) {
        (0, THREAD_MULTIPLE) => Ok(true),
        (0, THREAD_SERIALIZED) => Ok(false),
        (0, _) => Err(MpiError::OneThread),
        (status, _) => Err(MpiError::Start { status }),
    }
}
