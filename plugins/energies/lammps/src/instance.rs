//! Instances of LAMMPS.

use crate::runtime::{Functions, Handle, Runtime, RuntimeError};
use regflow_engine::{EngineLibrary, Exception, guarded};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

/// `MPI_COMM_SELF` of MPICH and of all libraries with its binary interface.
const MPICH_COMM_SELF: c_int = 0x4400_0001;

/// A communicator of one process that nobody else uses.
enum Communicator {
    /// LAMMPS was built without MPI.
    None,
    /// MPICH's are numbers.
    Mpich(c_int),
    /// Open MPI's are pointers.
    OpenMpi(*mut c_void),
}

/// An instance of LAMMPS, with a communicator of its own: threads must not share one.
pub struct Instance {
    runtime: &'static Runtime,
    handle: Handle,
    communicator: Communicator,
}

// SAFETY: an instance may be used by any thread, one at a time.
unsafe impl Send for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        let _one = self.runtime.creating();
        let library = &self.runtime.library;
        // SAFETY: the handle is live or null, which LAMMPS ignores; the communicator is given back once, after its user.
        unsafe {
            // What LAMMPS throws here tells of nothing that can be mended.
            let _ = guarded(|| (self.runtime.functions.lammps_close)(self.handle));
            match &mut self.communicator {
                Communicator::None => {}
                Communicator::Mpich(communicator) => free(library, communicator),
                Communicator::OpenMpi(communicator) => free(library, communicator),
            }
        }
    }
}

impl Instance {
    /// An instance without input. `arguments` are those of the `lmp` program, its name first, as terminated texts.
    ///
    /// # Errors
    /// A library that lacks a function, an exception; `None` if LAMMPS refuses the arguments.
    pub fn open(
        runtime: &'static Runtime,
        arguments: &mut [*mut c_char],
    ) -> Result<Option<Self>, RuntimeError> {
        let library = &runtime.library;
        let one = runtime.creating();
        // SAFETY: the texts are terminated and outlive the call; communicators have the type that the MPI library uses.
        let (handle, communicator) = unsafe {
            if (runtime.functions.lammps_config_has_mpi_support)() == 0 {
                let (n, null) = (arguments.len() as c_int, std::ptr::null_mut());
                let open = runtime.functions.lammps_open_no_mpi;
                let handle = guarded(|| open(n, arguments.as_mut_ptr(), null))?;
                (handle, Communicator::None)
            } else if library.has("ompi_mpi_comm_self") {
                let own: *mut c_void = library.get("ompi_mpi_comm_self")?;
                let (handle, communicator) = open(library, own, arguments)?;
                (handle, Communicator::OpenMpi(communicator))
            } else {
                let (handle, communicator) = open(library, MPICH_COMM_SELF, arguments)?;
                (handle, Communicator::Mpich(communicator))
            }
        };
        let instance = Instance {
            runtime,
            handle,
            communicator,
        };
        // An instance that is dropped takes its turn as well.
        drop(one);
        Ok((!handle.is_null()).then_some(instance))
    }

    /// The library.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// Calls functions of the library with the handle, which is live.
    ///
    /// # Errors
    /// What LAMMPS throws: its interface catches only exceptions of its own types.
    pub fn call<T>(&self, body: impl FnOnce(&Functions, Handle) -> T) -> Result<T, String> {
        let result = guarded(|| body(&self.runtime.functions, self.handle));
        result.map_err(|Exception(words)| {
            format!("{words} (an exception of C++: is a number out of range?)")
        })
    }

    /// Runs an input script.
    ///
    /// # Errors
    /// LAMMPS's words.
    pub fn file(&self, path: &CStr) -> Result<(), String> {
        // SAFETY: a live instance and a terminated text.
        self.call(|f, handle| unsafe { (f.lammps_file)(handle, path.as_ptr()) })?;
        self.last_error()
    }

    /// Runs commands, one a line.
    ///
    /// # Errors
    /// LAMMPS's words.
    pub fn command(&self, commands: &CStr) -> Result<(), String> {
        // SAFETY: a live instance and a terminated text.
        self.call(|f, handle| unsafe { (f.lammps_commands_string)(handle, commands.as_ptr()) })?;
        self.last_error()
    }

    /// LAMMPS's words, if there was an error since the last call.
    ///
    /// # Errors
    /// The words.
    pub fn last_error(&self) -> Result<(), String> {
        let mut message = [0u8; 1024];
        let (buffer, length) = (message.as_mut_ptr().cast(), message.len() as c_int);
        // SAFETY: a live instance, and a buffer of the length given.
        let failed = self.call(|f, handle| unsafe {
            let failed = (f.lammps_has_error)(handle) != 0;
            if failed {
                (f.lammps_get_last_error_message)(handle, buffer, length);
            }
            failed
        })?;
        if !failed {
            return Ok(());
        }
        let message = CStr::from_bytes_until_nul(&message).unwrap_or_default();
        let words = message.to_string_lossy();
        Err(words.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// A setting, -1 if LAMMPS does not know it.
    pub fn setting(&self, name: &CStr) -> c_int {
        // SAFETY: a live instance and a terminated name.
        self.call(|f, handle| unsafe { (f.lammps_extract_setting)(handle, name.as_ptr()) })
            .unwrap_or(-1)
    }

    /// A property of the atoms in LAMMPS's own order, valid until the next command.
    ///
    /// # Errors
    /// They do not have it.
    pub fn atoms<T>(&self, name: &CStr) -> Result<NonNull<T>, String> {
        // SAFETY: a live instance and a terminated name.
        let found =
            self.call(|f, handle| unsafe { (f.lammps_extract_atom)(handle, name.as_ptr()) })?;
        NonNull::new(found.cast())
            .ok_or_else(|| format!("the atoms have no {}", name.to_string_lossy()))
    }
}

/// Opens an instance on a copy of `own`, the communicator of this process alone.
///
/// # Safety
/// `C` is the MPI library's type of communicators.
unsafe fn open<C: Copy>(
    library: &EngineLibrary,
    own: C,
    arguments: &mut [*mut c_char],
) -> Result<(Handle, C), RuntimeError> {
    type Open<C> = unsafe extern "C-unwind" fn(c_int, *mut *mut c_char, C, *mut Handle) -> Handle;
    type Copy<C> = unsafe extern "C-unwind" fn(C, *mut C) -> c_int;
    let mut communicator = own;
    // SAFETY: by contract the types of the MPI standard and of LAMMPS's header.
    unsafe {
        library.get::<Copy<C>>("MPI_Comm_dup")?(own, &mut communicator);
        let open = library.get::<Open<C>>("lammps_open")?;
        let (n, null) = (arguments.len() as c_int, std::ptr::null_mut());
        match guarded(|| open(n, arguments.as_mut_ptr(), communicator, null)) {
            Ok(handle) => Ok((handle, communicator)),
            Err(exception) => {
                free(library, &mut communicator);
                Err(exception.into())
            }
        }
    }
}

/// # Safety
/// `C` is the MPI library's type of communicators, and this one is not used any more.
unsafe fn free<C>(library: &EngineLibrary, communicator: &mut C) {
    type Free<C> = unsafe extern "C-unwind" fn(*mut C) -> c_int;
    // SAFETY: by contract.
    unsafe {
        if let Ok(free) = library.get::<Free<C>>("MPI_Comm_free") {
            free(communicator);
        }
    }
}
