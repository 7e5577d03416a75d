//! Target sources, which make pairs of prior and data points: the trait that authors implement, and the table through which the
//! host calls it.

use crate::abi::{BuildInfo, InstanceHandle, STATUS_OK, TableHead, grown, table};
use crate::error::{Error, Result};
use crate::feature::FeatureKind;
use crate::host::Host;
use crate::instance::{self, call, head, known, slice};
use std::ffi::c_void;
use std::marker::PhantomData;

/// What pairs are to be made of; borrowed for [`TargetTable::pair`].
#[repr(C)]
pub struct PairRequest {
    /// `sizeof(PairRequest)`.
    pub struct_size: u64,
    /// Prior points, row-major `[n0, dim]`.
    pub x0: *const f32,
    /// Number of prior points.
    pub n0: u64,
    /// Data points, row-major `[n1, dim]`.
    pub x1: *const f32,
    /// Number of data points.
    pub n1: u64,
    /// Number of columns.
    pub dim: u64,
    /// [`FEATURE_REAL`](crate::abi::FEATURE_REAL) or [`FEATURE_CIRCULAR`](crate::abi::FEATURE_CIRCULAR) of each column.
    pub kinds: *const u32,
    /// Number of pairs to give; at most `n0`.
    pub count: u64,
    /// Seed of random numbers; another one for every request of a run.
    pub seed: u64,
    /// Number of threads to use, at least 1.
    pub threads: u32,
    /// 0.
    pub reserved: u32,
    /// Told the finished fraction now and then, from any thread; anything but 0 asks to stop.
    pub progress: unsafe extern "C" fn(data: *mut c_void, fraction: f64) -> i32,
    /// Takes the next pairs, from one thread at a time; a status other than [`STATUS_OK`] is to be returned.
    pub give: unsafe extern "C" fn(data: *mut c_void, pairs: *const PairBatch) -> i32,
    /// First argument of `progress` and `give`.
    pub data: *mut c_void,
}
grown!(PairRequest, data: *mut c_void);

/// Some pairs; borrowed for [`PairRequest::give`]. All batches of a request have the same arrays.
#[repr(C)]
pub struct PairBatch {
    /// `sizeof(PairBatch)`.
    pub struct_size: u64,
    /// Number of pairs.
    pub n: u64,
    /// Prior sides, row-major `[n, dim]`; null for the next `n` of the given prior points.
    pub x0: *const f32,
    /// Data sides, row-major `[n, dim]`; null where they are `rows`.
    pub x1: *const f32,
    /// Rows of the given data points, `[n]`; null where there is `x1`.
    pub rows: *const u32,
    /// Log density of each data side under the source, `[n]`, in feature space with all constants; or null.
    pub log_q: *const f64,
    /// log |det d x1 / d x0| of the source's map at each prior side, `[n]`; or null. Of a map, both go together:
    /// `log_q = log p0(x0) - log_det`.
    pub log_det: *const f64,
}
grown!(PairBatch, log_det: *const f64);

/// One target source.
#[repr(C)]
pub struct TargetTable {
    /// What all tables have; no flags yet.
    pub head: TableHead,
    /// Makes `count` pairs and gives them.
    pub pair:
        unsafe extern "C" fn(target: *const InstanceHandle, request: *const PairRequest) -> i32,
}
table!(TargetTable, 3, "target", [pair]);

/// Points in feature space, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a> {
    /// All values, `[n, dim]`.
    pub values: &'a [f32],
    /// Number of points.
    pub n: usize,
    /// Number of features.
    pub dim: usize,
}

impl<'a> Points<'a> {
    /// Point number `index`.
    ///
    /// # Panics
    /// `index` is not below `n`.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }
}

/// Tells the caller how far a long computation is.
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    report: unsafe extern "C" fn(*mut c_void, f64) -> i32,
    data: *mut c_void,
    call: PhantomData<&'a ()>,
}

// SAFETY: the host's progress function may be called from any thread (PairRequest).
unsafe impl Send for Progress<'_> {}
// SAFETY: as above.
unsafe impl Sync for Progress<'_> {}

impl Progress<'_> {
    /// A progress that nobody listens to.
    pub fn none() -> Progress<'static> {
        unsafe extern "C" fn ignore(_data: *mut c_void, _fraction: f64) -> i32 {
            STATUS_OK
        }
        Progress {
            report: ignore,
            data: std::ptr::null_mut(),
            call: PhantomData,
        }
    }

    /// Reports that `fraction` (0 to 1) is done.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the caller wants to stop; to be passed on.
    pub fn report(&self, fraction: f64) -> Result<()> {
        // SAFETY: function and data belong together and live for the call whose lifetime this value has.
        match unsafe { (self.report)(self.data, fraction) } {
            STATUS_OK => Ok(()),
            _ => Err(Error::Stopped),
        }
    }
}

/// What a target source may use, and who wants to hear of it.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Number of pairs to make; at most the number of prior points.
    pub count: usize,
    /// Seed of random numbers; another one for every call of a run.
    pub seed: u64,
    /// Number of threads to use, at least 1.
    pub threads: usize,
    /// To be told how far the work is.
    pub progress: Progress<'a>,
    /// Tensor operations, on the CPU.
    pub host: Host,
}

/// The pairs that a target source made.
#[derive(Clone, PartialEq, Debug)]
pub enum Pairing {
    /// The given prior points in their order, each with a row of the given data points.
    Rows(Vec<u32>),
    /// Points of the source's own.
    Points(PairedPoints),
}

/// Pairs whose data side is no row of the given data.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PairedPoints {
    /// Prior sides, row-major `[count, dim]`; `None` for the given prior points in their order.
    pub x0: Option<Vec<f32>>,
    /// Data sides, row-major `[count, dim]`.
    pub x1: Vec<f32>,
    /// Log density of each data side under the source, in feature space with all constants, `[count]`.
    pub log_q: Option<Vec<f64>>,
    /// log |det d x1 / d x0| of the source's map, `[count]`; then `log_q = log p0(x0) - log_det`.
    pub log_det: Option<Vec<f64>>,
}

/// A source of pairs of prior and data points, from which a flow can be trained by regression.
///
/// Prior and scale of the features as for [`Flow`](crate::Flow): real features of the prior are standard normal, circular ones
/// uniform in `(-pi, pi]`; real features of the data have mean 0 and variance 1.
pub trait TargetSource: Send + Sync + Sized + 'static {
    /// Configuration, read from JSON; as for [`crate::Flow::Config`].
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema + Default;
    /// Name, as in `--target NAME`.
    const NAME: &'static str;
    /// One sentence.
    const DESCRIPTION: &'static str;

    /// Takes the configuration.
    ///
    /// # Errors
    /// A value outside its range.
    fn build(config: Self::Config) -> Result<Self>;

    /// Makes `budget.count` pairs of the prior points `x0` and, as a source sees fit, of the data points `x1`: an assignment
    /// ([`Pairing::Rows`]), or points that a map of its own makes of the prior's ([`Pairing::Points`]). `kinds` has one entry
    /// per feature: differences of circular features are wrapped.
    ///
    /// # Errors
    /// Whatever hinders the pairing; [`Error::Stopped`] from `budget.progress`.
    fn pair(
        &self,
        x0: Points<'_>,
        x1: Points<'_>,
        kinds: &[FeatureKind],
        budget: &Budget<'_>,
    ) -> Result<Pairing>;
}

/// The table of `T`; made once per plugin and kept for the life of the process.
pub fn table<T: TargetSource>() -> &'static TargetTable {
    Box::leak(Box::new(TargetTable {
        head: head::<TargetTable, T::Config>(
            0,
            T::NAME,
            T::DESCRIPTION,
            create::<T>,
            instance::destroy::<T>,
        ),
        pair: pair::<T>,
    }))
}

/// The table that [`table`] makes.
#[doc(hidden)]
pub type Table = TargetTable;

unsafe extern "C" fn create<T: TargetSource>(
    info: *const BuildInfo,
    out: *mut *mut InstanceHandle,
) -> i32 {
    // SAFETY: the host passes a valid BuildInfo and a writable output.
    unsafe { instance::create(info, out, |config, _| T::build(config)) }
}

unsafe extern "C" fn pair<T: TargetSource>(
    target: *const InstanceHandle,
    request: *const PairRequest,
) -> i32 {
    // SAFETY: the host passes what `create::<T>` made and a valid request, whose pointers and lengths are valid for the call.
    unsafe {
        call::<T>(target, |instance| {
            let request = known("request", request)?;
            let dim = request.dim;
            let points = |values, n: u64| Points {
                values: slice(values, n * dim),
                n: n as usize,
                dim: dim as usize,
            };
            let kinds = slice(request.kinds, dim).iter();
            let kinds = kinds.map(|&code| instance::kind(code));
            let budget = Budget {
                count: request.count as usize,
                seed: request.seed,
                threads: request.threads.max(1) as usize,
                progress: Progress {
                    report: request.progress,
                    data: request.data,
                    call: PhantomData,
                },
                host: instance.host,
            };
            let pairing = instance.value.pair(
                points(request.x0, request.n0),
                points(request.x1, request.n1),
                &kinds.collect::<Result<Vec<_>>>()?,
                &budget,
            )?;
            give(instance.host, &request, &pairing)
        })
    }
}

/// Gives all pairs to the host, once their lengths are known to be right.
///
/// # Safety
/// A valid request.
unsafe fn give(host: Host, request: &PairRequest, pairing: &Pairing) -> Result<()> {
    let (count, dim) = (request.count as usize, request.dim as usize);
    let check = |what, found: usize, expected: usize| match found == expected {
        true => Ok(()),
        false => Err(Error::Shape {
            what,
            expected: vec![expected],
            found: vec![found],
        }),
    };
    let null = PairBatch {
        struct_size: size_of::<PairBatch>() as u64,
        n: request.count,
        x0: std::ptr::null(),
        x1: std::ptr::null(),
        rows: std::ptr::null(),
        log_q: std::ptr::null(),
        log_det: std::ptr::null(),
    };
    let numbers = |what, values: &Option<Vec<f64>>| match values {
        Some(values) => check(what, values.len(), count).map(|()| values.as_ptr()),
        None => Ok(std::ptr::null()),
    };
    let batch = match pairing {
        Pairing::Rows(rows) => {
            check("rows of the pairing", rows.len(), count)?;
            PairBatch {
                rows: rows.as_ptr(),
                ..null
            }
        }
        Pairing::Points(points) => {
            check("values of the pairing's x1", points.x1.len(), count * dim)?;
            let x0 = match &points.x0 {
                Some(x0) => check("values of the pairing's x0", x0.len(), count * dim)
                    .map(|()| x0.as_ptr())?,
                None => std::ptr::null(),
            };
            PairBatch {
                x0,
                x1: points.x1.as_ptr(),
                log_q: numbers("log densities of the pairing", &points.log_q)?,
                log_det: numbers("log-determinants of the pairing", &points.log_det)?,
                ..null
            }
        }
    };
    // SAFETY: function and data belong together; the arrays have `n` pairs each, and outlive the call.
    let status = unsafe { (request.give)(request.data, &batch) };
    host.check("give", status)
}
