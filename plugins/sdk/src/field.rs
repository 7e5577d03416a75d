//! Velocity fields: the trait that authors implement, and the table through which the host calls it.

use crate::abi::{BuildInfo, InstanceHandle, TableHead, TensorHandle, table};
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::instance::{self, call, head};
use crate::parameters::ParameterBuilder;
use crate::tensor::Tensor;

/// One architecture of velocity fields.
#[repr(C)]
pub struct FieldTable {
    /// What all tables have; flags `FIELD_*`.
    pub head: TableHead,
    /// v(x, t) `[B, D]` at x `[B, D]` and t, `[B]` or one number `[]` for all rows; all of one dtype.
    pub velocity: unsafe extern "C" fn(
        field: *const InstanceHandle,
        x: *const TensorHandle,
        t: *const TensorHandle,
        v: *mut *mut TensorHandle,
    ) -> i32,
    /// The same with the exact divergence, sum over i of dv_i/dx_i, `[B]` (dtype of x, or f64). Optional: null, or beyond the
    /// end of the table, where the field has none; the host then has estimates of its own.
    pub velocity_and_divergence: Option<
        unsafe extern "C" fn(
            field: *const InstanceHandle,
            x: *const TensorHandle,
            t: *const TensorHandle,
            v: *mut *mut TensorHandle,
            divergence: *mut *mut TensorHandle,
        ) -> i32,
    >,
}
table!(FieldTable, 2, "field", [velocity]);

/// [`TableHead::flags`]: the field understands circular features (else it is only given real ones).
pub const FIELD_CIRCULAR: u64 = 1;

/// A velocity field on features `[B, D]`: it carries prior points (t = 0) to data points (t = 1) by `dx/dt = v(x, t)`.
/// Integrators, and the density that goes with the divergence, are the host's.
///
/// Prior and scale of the features as for [`Flow`](crate::Flow): both ends are of order 1, and so are useful velocities. The
/// velocity of a circular feature is in radians per unit of time, and must have the period 2 pi in every circular feature of x,
/// which may have left `(-pi, pi]` on the way.
///
/// The host checks, with randomly perturbed parameters: shapes and dtypes, finite values, the period, that rows do not depend
/// on each other, the divergence against finite differences, and that every parameter has a gradient.
pub trait Field: Send + Sync + Sized + 'static {
    /// Configuration; as for [`Flow::Config`](crate::Flow::Config).
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema + Default;
    /// Name: lower case, digits, `-` and `_`.
    const NAME: &'static str;
    /// One sentence.
    const DESCRIPTION: &'static str;
    /// Whether the field treats circular features as such. Otherwise it is only given real ones.
    const CIRCULAR: bool;
    /// Whether [`Field::velocity_and_divergence`] is there.
    const DIVERGENCE: bool = false;

    /// Builds the field for `features`, asking `parameters` for everything trainable.
    ///
    /// # Errors
    /// Whatever is wrong with configuration or features.
    fn build(
        config: Self::Config,
        features: &[Feature],
        parameters: &ParameterBuilder<'_>,
    ) -> Result<Self>;

    /// v(x, t) `[B, D]` at x `[B, D]` and t in `[0, 1]`: `[B]`, or one number `[]` for all rows, in the dtype of x.
    ///
    /// # Errors
    /// Those of the operations used.
    fn velocity(&self, x: &Tensor, t: &Tensor) -> Result<Tensor>;

    /// The velocity with its exact divergence, the sum over i of dv_i/dx_i, `[B]`, in the dtype of x or f64; for fields whose
    /// [`Field::DIVERGENCE`] is true.
    ///
    /// # Errors
    /// Those of the operations used.
    fn velocity_and_divergence(&self, _x: &Tensor, _t: &Tensor) -> Result<(Tensor, Tensor)> {
        Err(Error::Lacks("a divergence"))
    }
}

/// The table of `F`; made once per plugin and kept for the life of the process.
pub fn table<F: Field>() -> &'static FieldTable {
    let flags = if F::CIRCULAR { FIELD_CIRCULAR } else { 0 };
    Box::leak(Box::new(FieldTable {
        head: head::<FieldTable, F::Config>(
            flags,
            F::NAME,
            F::DESCRIPTION,
            create::<F>,
            instance::destroy::<F>,
        ),
        velocity: velocity::<F>,
        velocity_and_divergence: if F::DIVERGENCE {
            Some(velocity_and_divergence::<F>)
        } else {
            None
        },
    }))
}

/// The table that [`table`] makes.
#[doc(hidden)]
pub type Table = FieldTable;

unsafe extern "C" fn create<F: Field>(
    info: *const BuildInfo,
    out: *mut *mut InstanceHandle,
) -> i32 {
    // SAFETY: the host passes a valid BuildInfo and a writable output.
    unsafe {
        instance::create(info, out, |config, setup| {
            F::build(config, &setup.features, &setup.parameters)
        })
    }
}

unsafe extern "C" fn velocity<F: Field>(
    field: *const InstanceHandle,
    x: *const TensorHandle,
    t: *const TensorHandle,
    v: *mut *mut TensorHandle,
) -> i32 {
    // SAFETY: the host passes what `create::<F>` made, live tensors and a writable output.
    unsafe {
        call::<F>(field, |instance| {
            let x = Tensor::borrow_raw(instance.host, x)?;
            let t = Tensor::borrow_raw(instance.host, t)?;
            *v = instance.value.velocity(&x, &t)?.into_raw();
            Ok(())
        })
    }
}

unsafe extern "C" fn velocity_and_divergence<F: Field>(
    field: *const InstanceHandle,
    x: *const TensorHandle,
    t: *const TensorHandle,
    v: *mut *mut TensorHandle,
    divergence: *mut *mut TensorHandle,
) -> i32 {
    // SAFETY: as for `velocity`.
    unsafe {
        call::<F>(field, |instance| {
            let x = Tensor::borrow_raw(instance.host, x)?;
            let t = Tensor::borrow_raw(instance.host, t)?;
            let (velocity, sum) = instance.value.velocity_and_divergence(&x, &t)?;
            *v = velocity.into_raw();
            *divergence = sum.into_raw();
            Ok(())
        })
    }
}
