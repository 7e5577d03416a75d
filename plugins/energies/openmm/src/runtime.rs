//! OpenMM's C wrapper, opened once per process.

use regflow_engine::{Engine, EngineError, EngineLibrary, Exception, functions, guarded};
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where OpenMM is.
pub static OPENMM: Engine = Engine {
    name: "OpenMM",
    library: "OpenMM",
    variable: "REGFLOW_OPENMM_LIB",
    package: "OpenMM.libs/lib",
    needs: None,
    remedy: "install it with `pip install openmm` in an active virtual environment",
};

/// Objects of OpenMM, which only pointers name.
pub mod opaque {
    pub enum System {}
    pub enum Integrator {}
    pub enum Platform {}
    pub enum Context {}
    pub enum State {}
    pub enum Vec3Array {}
    pub enum StringArray {}
}
use opaque::{Context, Integrator, Platform, State, StringArray, System, Vec3Array};

/// A position or a force.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Vec3 {
    pub x: f64,
    pub y: f64,
    pub z: f64,
}

/// Flag of `OpenMM_Context_getState`.
pub const STATE_FORCES: c_int = 4;
/// Flag of `OpenMM_Context_getState`.
pub const STATE_ENERGY: c_int = 8;

functions! {
    /// The functions in use (`OpenMMCWrapper.h`).
    pub Functions {
        OpenMM_Platform_getDefaultPluginsDirectory: fn() -> *const c_char;
        OpenMM_Platform_loadPluginsFromDirectory: fn(*const c_char) -> *mut StringArray;
        OpenMM_StringArray_destroy: fn(*mut StringArray);
        OpenMM_StringArray_getSize: fn(*const StringArray) -> c_int;
        OpenMM_StringArray_get: fn(*const StringArray, c_int) -> *const c_char;
        OpenMM_Platform_getNumPlatforms: fn() -> c_int;
        OpenMM_Platform_getPlatform: fn(c_int) -> *mut Platform;
        OpenMM_Platform_getName: fn(*const Platform) -> *const c_char;
        OpenMM_Platform_getPropertyNames: fn(*const Platform) -> *const StringArray;
        OpenMM_Platform_getPropertyDefaultValue: fn(*const Platform, *const c_char) -> *const c_char;
        OpenMM_Platform_setPropertyDefaultValue: fn(*mut Platform, *const c_char, *const c_char);
        OpenMM_XmlSerializer_deserializeSystem: fn(*const c_char) -> *mut System;
        OpenMM_System_destroy: fn(*mut System);
        OpenMM_System_getNumParticles: fn(*const System) -> c_int;
        OpenMM_System_getNumConstraints: fn(*const System) -> c_int;
        OpenMM_System_getParticleMass: fn(*const System, c_int) -> f64;
        OpenMM_System_isVirtualSite: fn(*const System, c_int) -> c_int;
        OpenMM_VerletIntegrator_create: fn(f64) -> *mut Integrator;
        OpenMM_Integrator_destroy: fn(*mut Integrator);
        OpenMM_Context_create_2: fn(*const System, *mut Integrator, *mut Platform) -> *mut Context;
        OpenMM_Context_destroy: fn(*mut Context);
        OpenMM_Context_setPositions: fn(*mut Context, *const Vec3Array);
        OpenMM_Context_getState: fn(*const Context, c_int, c_int) -> *mut State;
        OpenMM_State_getPotentialEnergy: fn(*const State) -> f64;
        OpenMM_State_getForces: fn(*const State) -> *const Vec3Array;
        OpenMM_State_destroy: fn(*mut State);
        OpenMM_Vec3Array_create: fn(c_int) -> *mut Vec3Array;
        OpenMM_Vec3Array_destroy: fn(*mut Vec3Array);
        OpenMM_Vec3Array_set: fn(*mut Vec3Array, c_int, Vec3);
        OpenMM_Vec3Array_get: fn(*const Vec3Array, c_int) -> *const Vec3;
    }
}

/// Why OpenMM cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Its library is missing or too old.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It threw an exception at its start.
    #[error("OpenMM: {0}")]
    Exception(#[from] Exception),
}

/// The open library. Its objects belong to the process.
pub struct Runtime {
    /// The functions.
    pub functions: Functions,
    creation: Mutex<()>,
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
        let library = OPENMM.open()?;
        let opened = Runtime {
            functions: Functions::load(&library)?,
            creation: Mutex::new(()),
        };
        opened.load_platforms(&library)?;
        let opened: &'static Runtime = Box::leak(Box::new(opened));
        *runtime = Some(opened);
        Ok(opened)
    }

    /// To be held while systems are read and contexts made, which needs state that belongs to the process.
    pub fn creating(&self) -> MutexGuard<'_, ()> {
        self.creation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All platforms but Reference are plugins of OpenMM, in a folder beside its library or where OPENMM_PLUGIN_DIR says. One
    /// that does not load, such as that of a GPU which is not there, is left out of the list. A process that uses OpenMM
    /// otherwise has loaded them already.
    fn load_platforms(&self, library: &EngineLibrary) -> Result<(), Exception> {
        let f = &self.functions;
        let is_named = std::env::var_os("OPENMM_PLUGIN_DIR").is_some();
        // A library that the system's loader found has no folder here: OpenMM has one compiled in.
        let folder = library.path().parent();
        let folder = folder.filter(|folder| !is_named && !folder.as_os_str().is_empty());
        let beside = folder.and_then(|folder| {
            let plugins = folder.join("plugins").into_os_string();
            CString::new(plugins.into_encoded_bytes()).ok()
        });
        // SAFETY: terminated texts; the list is the caller's.
        guarded(|| unsafe {
            if (f.OpenMM_Platform_getNumPlatforms)() > 1 {
                return;
            }
            let folder = match &beside {
                Some(folder) => folder.as_ptr(),
                None => (f.OpenMM_Platform_getDefaultPluginsDirectory)(),
            };
            let loaded = (f.OpenMM_Platform_loadPluginsFromDirectory)(folder);
            (f.OpenMM_StringArray_destroy)(loaded);
        })
    }

    /// The platforms, by name.
    pub fn platforms(&self) -> Vec<(String, *mut Platform)> {
        let f = &self.functions;
        // SAFETY: indices below the number of platforms, which are never removed.
        unsafe {
            let n = (f.OpenMM_Platform_getNumPlatforms)();
            let platforms = (0..n).map(|index| (f.OpenMM_Platform_getPlatform)(index));
            platforms
                .map(|platform| (text((f.OpenMM_Platform_getName)(platform)), platform))
                .collect()
        }
    }

    /// Names of the properties of a platform.
    ///
    /// # Safety
    /// A platform of [`Runtime::platforms`].
    pub unsafe fn properties(&self, platform: *mut Platform) -> Vec<String> {
        let f = &self.functions;
        // SAFETY: by contract; indices below the length of the platform's own list.
        unsafe {
            let names = (f.OpenMM_Platform_getPropertyNames)(platform);
            (0..(f.OpenMM_StringArray_getSize)(names))
                .map(|index| text((f.OpenMM_StringArray_get)(names, index)))
                .collect()
        }
    }
}

/// # Safety
/// `pointer` is a terminated text.
unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: by contract.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_string_lossy().into_owned()
}
