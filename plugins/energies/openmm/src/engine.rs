//! Systems and contexts of OpenMM.

use crate::runtime::opaque;
use crate::runtime::{Runtime, STATE_ENERGY, STATE_FORCES, Vec3};
use regflow_engine::{Exception, guarded};
use regflow_plugin::Configuration;
use std::ffi::{CStr, CString, c_int};
use std::ptr::NonNull;
use std::sync::Arc;

/// A system, shared by its contexts.
pub struct System {
    runtime: &'static Runtime,
    system: NonNull<opaque::System>,
}

// SAFETY: after its making a system is only read.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

impl Drop for System {
    fn drop(&mut self) {
        let destroy = self.runtime.functions.OpenMM_System_destroy;
        // SAFETY: made by deserializeSystem, given back once. What a destructor throws tells of nothing that can be mended.
        let _ = guarded(|| unsafe { destroy(self.system.as_ptr()) });
    }
}

fn not_null<T>(pointer: *mut T) -> Result<NonNull<T>, Exception> {
    NonNull::new(pointer).ok_or_else(|| Exception("it made no object".into()))
}

impl System {
    /// Reads the text of a System XML.
    ///
    /// # Errors
    /// OpenMM's words.
    pub fn from_xml(runtime: &'static Runtime, xml: &CStr) -> Result<Self, Exception> {
        let deserialize = runtime.functions.OpenMM_XmlSerializer_deserializeSystem;
        // OpenMM's own conversion of texts to numbers keeps state without a lock: two threads would get wrong ones.
        let _one = runtime.creating();
        // SAFETY: a terminated text.
        let system = guarded(|| unsafe { deserialize(xml.as_ptr()) })?;
        Ok(System {
            runtime,
            system: not_null(system)?,
        })
    }

    /// Number of constraints.
    pub fn n_constraints(&self) -> usize {
        // SAFETY: a live system.
        let n = unsafe {
            (self.runtime.functions.OpenMM_System_getNumConstraints)(self.system.as_ptr())
        };
        n.max(0) as usize
    }

    /// Masses in u; `None` for virtual sites.
    pub fn masses(&self) -> Vec<Option<f64>> {
        let (f, system) = (&self.runtime.functions, self.system.as_ptr());
        // SAFETY: a live system, and indices below its number of particles.
        unsafe {
            let n = (f.OpenMM_System_getNumParticles)(system);
            let mass = |index| (f.OpenMM_System_getParticleMass)(system, index);
            let is_real = |index| (f.OpenMM_System_isVirtualSite)(system, index) == 0;
            (0..n)
                .map(|index| is_real(index).then(|| mass(index)))
                .collect()
        }
    }
}

/// A platform with the values of its properties.
#[derive(Clone)]
pub struct Platform {
    platform: *mut opaque::Platform,
    properties: Vec<(CString, CString)>,
}

// SAFETY: platforms belong to the process; their default values are changed under a lock only.
unsafe impl Send for Platform {}
// SAFETY: as above.
unsafe impl Sync for Platform {}

impl Platform {
    /// # Safety
    /// A platform of the runtime, and properties that it has.
    pub unsafe fn new(
        platform: *mut opaque::Platform,
        properties: Vec<(CString, CString)>,
    ) -> Self {
        Platform {
            platform,
            properties,
        }
    }
}

/// What one thread evaluates with.
pub struct Context {
    system: Arc<System>,
    integrator: NonNull<opaque::Integrator>,
    context: NonNull<opaque::Context>,
    positions: NonNull<opaque::Vec3Array>,
}

// SAFETY: OpenMM's contexts may be used by any thread, one at a time.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        let f = &self.system.runtime.functions;
        // SAFETY: each made by its create function, given back once, the context before its integrator. What a destructor
        // throws (that of a GPU's context may) tells of nothing that can be mended, and must not keep the others.
        unsafe {
            let _ = guarded(|| (f.OpenMM_Context_destroy)(self.context.as_ptr()));
            let _ = guarded(|| (f.OpenMM_Integrator_destroy)(self.integrator.as_ptr()));
            let _ = guarded(|| (f.OpenMM_Vec3Array_destroy)(self.positions.as_ptr()));
        }
    }
}

impl Context {
    /// A context of the system on the platform.
    ///
    /// # Errors
    /// OpenMM's words.
    pub fn new(
        system: &Arc<System>,
        platform: &Platform,
        n_atoms: usize,
    ) -> Result<Self, Exception> {
        let runtime = system.runtime;
        let f = &runtime.functions;
        let _one = runtime.creating();
        // The C wrapper cannot give properties to a context, only default values to the platform: they are put back, since
        // the rest of the process may use OpenMM as well.
        let set = |name: &CStr, value: &CStr| {
            // SAFETY: terminated texts, and a platform of this runtime.
            guarded(|| unsafe {
                (f.OpenMM_Platform_setPropertyDefaultValue)(
                    platform.platform,
                    name.as_ptr(),
                    value.as_ptr(),
                );
            })
        };
        let mut before: Vec<(&CStr, CString)> = Vec::new();
        let mut create = || {
            for (name, value) in &platform.properties {
                // SAFETY: as above; the text is copied before anything changes it.
                let old = guarded(|| unsafe {
                    let old = (f.OpenMM_Platform_getPropertyDefaultValue)(
                        platform.platform,
                        name.as_ptr(),
                    );
                    CStr::from_ptr(old).to_owned()
                })?;
                before.push((name, old));
                set(name, value)?;
            }
            // SAFETY: a live system, an integrator that is destroyed after the context, and a platform of this runtime.
            unsafe {
                let integrator = not_null(guarded(|| (f.OpenMM_VerletIntegrator_create)(1e-3))?)?;
                let made = guarded(|| {
                    let system = system.system.as_ptr();
                    (f.OpenMM_Context_create_2)(system, integrator.as_ptr(), platform.platform)
                });
                match made.and_then(not_null) {
                    Ok(context) => Ok((integrator, context)),
                    Err(error) => {
                        let _ = guarded(|| (f.OpenMM_Integrator_destroy)(integrator.as_ptr()));
                        Err(error)
                    }
                }
            }
        };
        let created = create();
        // All of them, and before anything returns: the first failure is told when the context is taken care of.
        let restored = before
            .into_iter()
            .map(|(name, value)| set(name, &value))
            .fold(Ok(()), Result::and);
        let (integrator, context) = created?;
        // SAFETY: a length that OpenMM gave.
        let array = || guarded(|| unsafe { (f.OpenMM_Vec3Array_create)(n_atoms as c_int) });
        let positions = restored.and_then(|()| array());
        match positions.and_then(not_null) {
            Ok(positions) => Ok(Context {
                system: Arc::clone(system),
                integrator,
                context,
                positions,
            }),
            Err(error) => {
                // SAFETY: made above, given back once, the context before its integrator.
                unsafe {
                    let _ = guarded(|| (f.OpenMM_Context_destroy)(context.as_ptr()));
                    let _ = guarded(|| (f.OpenMM_Integrator_destroy)(integrator.as_ptr()));
                }
                Err(error)
            }
        }
    }

    /// Energy, and forces where they are wanted.
    ///
    /// # Errors
    /// OpenMM's words.
    pub fn evaluate(&mut self, configuration: Configuration<'_>) -> Result<(), Exception> {
        let f = &self.system.runtime.functions;
        let (context, array) = (self.context.as_ptr(), self.positions.as_ptr());
        let Configuration {
            positions,
            energy,
            forces,
        } = configuration;
        let types = match forces {
            Some(_) => STATE_ENERGY | STATE_FORCES,
            None => STATE_ENERGY,
        };
        // SAFETY: live objects of this context; the array has as many entries as there are atoms.
        let state = guarded(|| unsafe {
            for (index, r) in (0..).zip(positions.as_chunks::<3>().0) {
                let r = Vec3 {
                    x: r[0],
                    y: r[1],
                    z: r[2],
                };
                (f.OpenMM_Vec3Array_set)(array, index, r);
            }
            (f.OpenMM_Context_setPositions)(context, array);
            (f.OpenMM_Context_getState)(context, types, 0)
        })?;
        let state = not_null(state)?.as_ptr();
        // SAFETY: a live state that has the energy, and the forces on all atoms if they were asked for.
        let read = guarded(|| unsafe {
            *energy = (f.OpenMM_State_getPotentialEnergy)(state);
            if let Some(forces) = forces {
                let found = (f.OpenMM_State_getForces)(state);
                for (index, force) in (0..).zip(forces.as_chunks_mut::<3>().0) {
                    let Vec3 { x, y, z } = *(f.OpenMM_Vec3Array_get)(found, index);
                    *force = [x, y, z];
                }
            }
        });
        // SAFETY: made by getState, given back once.
        let _ = guarded(|| unsafe { (f.OpenMM_State_destroy)(state) });
        read
    }
}
