//! The library as a whole: its log, threads, devices and plugins.

use std::ffi::c_char;
use std::path::Path;

use regflow_core::{parallel, plugin, tensor};
use serde_json::json;

use crate::arguments::{output, text, write_text};
use crate::failure::{Failure, Status};
use crate::status::guard;

/// The log, which goes to the caller.
pub(crate) mod log {
    use std::ffi::{CString, c_char, c_void};
    use std::mem::offset_of;
    use std::sync::{Mutex, PoisonError};

    use crate::arguments::{Struct, structure};
    use crate::failure::{Failure, Status};
    use crate::status::guard;

    /// Level of a log message: something works otherwise than expected. Lower levels are graver.
    pub const REGFLOW_LOG_WARNING: i32 = 2;
    /// Level of a log message: what a long call is doing.
    pub const REGFLOW_LOG_INFO: i32 = 3;

    /// Where log messages go.
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct Log {
        /// `sizeof(regflow_log_t)`.
        pub struct_size: usize,
        /// First argument of `write`.
        pub user_data: *mut c_void,
        /// Takes a message, one line without its end, valid during the call. May be called from any thread, one at a time, and
        /// must not call `regflow_set_log`. Must not throw.
        pub write: Option<
            unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char),
        >,
    }

    // SAFETY: a number and pointers, the first of them `struct_size`; a NULL function is `None`.
    unsafe impl Struct for Log {
        const NAME: &'static str = "regflow_log_t";
        const FIRST_SIZE: usize = offset_of!(Log, write) + size_of::<usize>();
    }

    struct Sink(Option<Log>);

    // SAFETY: the interface says that `write` may be called from any thread.
    unsafe impl Send for Sink {}
    static SINK: Mutex<Sink> = Mutex::new(Sink(None));

    /// Says where log messages go from now on; NULL, as at first, for nowhere.
    ///
    /// `log` is copied; its `user_data` must live until another log is set. When this call returns, the one before is not in use
    /// any more. Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from any thread. Since 1.
    ///
    /// # Safety
    /// `log` is NULL or may be read for its `struct_size`, and its function may be called as documented.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn regflow_set_log(log: *const Log) -> Status {
        guard("regflow_set_log", || {
            let sink = match log.is_null() {
                true => None,
                // SAFETY: the caller vouches for the struct.
                false => Some(unsafe { structure("log", log) }?),
            };
            if sink.is_some_and(|sink| sink.write.is_none()) {
                return Err(Failure::Null {
                    argument: "log->write",
                });
            }
            SINK.lock().unwrap_or_else(PoisonError::into_inner).0 = sink;
            Ok(())
        })
    }

    pub(crate) fn warning(message: &str) {
        write(REGFLOW_LOG_WARNING, message);
    }

    pub(crate) fn info(message: &str) {
        write(REGFLOW_LOG_INFO, message);
    }

    fn write(level: i32, message: &str) {
        let sink = SINK.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((user_data, write)) = sink.0.and_then(|log| Some((log.user_data, log.write?)))
        else {
            return;
        };
        let line = message.replace(['\n', '\0'], " ");
        let line = CString::new(line).unwrap_or_default();
        // SAFETY: the caller's own function and data, by one thread at a time.
        unsafe { write(user_data, level, line.as_ptr()) };
    }
}

/// Sets the number of threads of this library in this process, for everything that it computes on the CPU; 0 stands for the
/// default.
///
/// There is one pool of threads, whoever calls; a calling thread waits for it. Without this call the first one that computes starts
/// as many threads as the environment variable RAYON_NUM_THREADS says, or else as the process may use processors: those of its
/// affinity mask, or fewer if a control group limits its time. An engine that runs several processes on a node (ranks) and does not
/// bind each to its own processors sets the number here, such as 1. To be called before anything is computed; later only the number
/// that is running is accepted. The libraries of other engines that compute energies (`openmm:`, `lammps:`) have threads of their own.
///
/// Threads are not copied by `fork`: a process that is forked after its parent has computed gets `REGFLOW_ERROR_STATE` from every
/// function that computes. The first call that computes also sets the environment variable CANDLE_NUM_THREADS to 1, unless it
/// is set, so that the tensor library starts no threads beside these: no other thread may change the environment meanwhile.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT` above 4096; `REGFLOW_ERROR_STATE` if another number of threads is running, or in a forked
/// process; `REGFLOW_ERROR_COMPUTE` if the system gives no threads. Safe to call from any thread. Since 1.
#[unsafe(no_mangle)]
pub extern "C" fn regflow_set_threads(n: usize) -> Status {
    guard("regflow_set_threads", || Ok(parallel::set_threads(n)?))
}

/// Writes the number of threads to `*n`; starts them, if nothing has been computed yet.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE` if the system gives no
/// threads. Safe to call from any thread. Since 1.
///
/// # Safety
/// `n` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_threads(n: *mut usize) -> Status {
    guard("regflow_threads", || {
        // SAFETY: the caller vouches for the pointer.
        let n = unsafe { output("n", n) }?;
        *n = parallel::threads()?;
        Ok(())
    })
}

/// Writes the devices that this build can use here as a JSON array: `["cpu", "cuda:0"]`.
///
/// `text` has room for `capacity` bytes, the final NUL included; `*length` becomes the number that is needed, also when the
/// room is too small, and `text` NULL with a capacity of 0 asks for it alone.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is too small. Safe to call from any thread. Since 1.
///
/// # Safety
/// `text` may be written to for `capacity` bytes, and `length` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_devices(
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    guard("regflow_devices", || {
        let devices = json!(tensor::devices()).to_string();
        // SAFETY: the caller vouches for the memory.
        unsafe { write_text(&devices, text, capacity, length) }
    })
}

/// Loads a plugin library: what it offers is then known by name to everything in this process. It is never unloaded.
///
/// Plugins in the folders of `REGFLOW_PLUGIN_PATH` and beside this library are found by name without this call.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_PLUGIN` if the file cannot be used, of which nothing is known then. Safe to call
/// from any thread. Since 1.
///
/// # Safety
/// `path` is a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_plugin_load(path: *const c_char) -> Status {
    guard("regflow_plugin_load", || {
        // SAFETY: the caller vouches for the string.
        let path = unsafe { text("path", path) }?;
        plugin::load(Path::new(path)).map_err(|error| Failure::Plugin(Box::new(error)))
    })
}

/// Writes the plugins that are linked in or were loaded as a JSON array of objects with `kind` ("flow", "field", "target", "energy"), `name`,
/// `version`, `description`, `origin` and `schema` (of the configuration).
///
/// `text`, `capacity` and `length` as in `regflow_devices`. Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH` if the room is
/// too small. Safe to call from any thread. Since 1.
///
/// # Safety
/// `text` may be written to for `capacity` bytes, and `length` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_plugins(
    text: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    guard("regflow_plugins", || {
        let all: Vec<_> = plugin::all()
            .into_iter()
            .map(|info| {
                let schema: serde_json::Value =
                    serde_json::from_str(&info.schema).unwrap_or_default();
                json!({
                    "kind": info.kind,
                    "name": info.name,
                    "version": info.version,
                    "description": info.description,
                    "origin": info.origin.to_string(),
                    "schema": schema,
                })
            })
            .collect();
        // SAFETY: the caller vouches for the memory.
        unsafe { write_text(&json!(all).to_string(), text, capacity, length) }
    })
}
