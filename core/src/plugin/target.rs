//! Target sources: pairs of prior and data points.

use super::check::random;
use super::error::{CheckError, PluginError};
use super::host;
use super::kind::{Checked, Instance, Kind, Plugin, Setup};
use super::{FeatureKind, PluginInfo};
use crate::math::angle::wrap_single;
use rand::RngExt;
use rand_distr::StandardNormal;
use regflow_plugin::abi::{self, Grown};
use regflow_plugin::target::{PairBatch, PairRequest, TargetTable};
use std::f64::consts::{PI, TAU};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A target source built from a plugin. Usable from several threads at once.
pub struct Target {
    instance: Instance<Target>,
}

/// What to make pairs of.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// Prior points, row-major `[n, D]`: as many pairs are made.
    pub x0: &'a [f32],
    /// Data points, row-major `[n1, D]`.
    pub x1: &'a [f32],
    /// Kind of each feature, `[D]`.
    pub kinds: &'a [FeatureKind],
    /// Seed of the source's random numbers.
    pub seed: u64,
    /// Number of threads to use.
    pub threads: usize,
    /// Told the finished fraction from any thread; ends the work by returning `false`.
    pub progress: &'a (dyn Fn(f64) -> bool + Sync),
}

impl<'a> Task<'a> {
    /// A task for all threads of the pool that nobody watches.
    pub fn new(x0: &'a [f32], x1: &'a [f32], kinds: &'a [FeatureKind], seed: u64) -> Task<'a> {
        Task {
            x0,
            x1,
            kinds,
            seed,
            threads: rayon::current_num_threads(),
            progress: &|_| true,
        }
    }
}

/// The data sides of pairs.
#[derive(Clone, PartialEq, Debug)]
pub enum DataSide {
    /// Rows of the given data points.
    Rows(Vec<u32>),
    /// Points of the source's own, row-major `[n, D]`; circular features in `(-pi, pi]` as rounded to f32.
    Points(Vec<f32>),
}

/// Pairs, as many as there were prior points.
#[derive(Clone, PartialEq, Debug)]
pub struct Pairing {
    /// Prior sides `[n, D]`, circular features in `(-pi, pi]`; `None` for the given ones in their order.
    pub x0: Option<Vec<f32>>,
    /// Data sides.
    pub data: DataSide,
    /// Log density of each data side under the source, in feature space with all constants, `[n]`.
    pub log_q: Option<Vec<f64>>,
    /// log |det d x1 / d x0| of the source's map, `[n]`.
    pub log_det: Option<Vec<f64>>,
}

impl Pairing {
    /// The data sides as points `[n, D]`; `x1` are the given data points.
    pub fn points(&self, x1: &[f32], dimension: usize) -> Vec<f32> {
        match &self.data {
            DataSide::Points(points) => points.clone(),
            DataSide::Rows(rows) => {
                let row = |&row: &u32| &x1[row as usize * dimension..][..dimension];
                rows.iter().map(row).collect::<Vec<_>>().concat()
            }
        }
    }
}

impl Kind for Target {
    type Table = TargetTable;

    fn try_out(plugin: &Plugin<Target>) -> Result<Checked, PluginError> {
        const N: usize = 16;
        let kinds = [FeatureKind::Real, FeatureKind::Circular];
        let mut random = random(0);
        let mut points = || -> Vec<f32> {
            let point = |_| {
                let angle = PI * (1.0 - 2.0 * random.random::<f64>());
                [random.sample::<f32, _>(StandardNormal), angle as f32]
            };
            (0..N).flat_map(point).collect()
        };
        let (x0, x1) = (points(), points());
        let pairing = plugin.build("")?.pair(&Task::new(&x0, &x1, &kinds, 0))?;
        if let (Some(log_q), Some(log_det)) = (&pairing.log_q, &pairing.log_det) {
            let prior_side = pairing.x0.as_deref().unwrap_or(&x0).chunks_exact(2);
            for ((point, &found), log_det) in prior_side.zip(log_q).zip(log_det) {
                // Rounding of a map in f32.
                let tolerance = 1e-2 * (1.0 + found.abs());
                let log_prior = -0.5 * f64::from(point[0]).powi(2) - 1.5 * TAU.ln();
                let expected = log_prior - log_det;
                if (found - expected).abs() > tolerance {
                    return Err(PluginError::Check {
                        plugin: plugin.info().name.clone(),
                        reason: CheckError::Density {
                            expected,
                            found,
                            tolerance,
                        },
                    });
                }
            }
        }
        let data = match pairing.data {
            DataSide::Rows(_) => "data points",
            DataSide::Points(_) => "points of its own",
        };
        let known = match (pairing.log_q, pairing.log_det) {
            (None, None) => "",
            (Some(_), None) => ", with their density",
            (None, Some(_)) => ", with the map's log-determinant",
            (Some(_), Some(_)) => ", with density and log-determinant",
        };
        Ok(Checked {
            summary: format!("pairs a small set with {data}{known}"),
            warnings: Vec::new(),
        })
    }
}

impl Plugin<Target> {
    /// Builds the target source. `config` is a JSON object (empty: the defaults).
    ///
    /// # Errors
    /// A configuration that the plugin refuses; a panic.
    pub fn build(&self, config: &str) -> Result<Target, PluginError> {
        Ok(Target {
            instance: self.create(config, Setup::default())?,
        })
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.instance.fmt(f)
    }
}

impl Target {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        self.instance.info()
    }

    /// Makes a pair for each prior point.
    ///
    /// # Errors
    /// Whatever the plugin says; pairs of other numbers or shapes, values that are not finite, a row outside `x1`;
    /// [`PluginError::Stopped`].
    pub fn pair(&self, task: &Task<'_>) -> Result<Pairing, PluginError> {
        let dim = task.kinds.len();
        let rows = |what, values: &[f32]| {
            if dim > 0 && values.len().is_multiple_of(dim) {
                return Ok(values.len() / dim);
            }
            Err(PluginError::Points {
                what,
                found: values.len(),
                n_features: dim,
            })
        };
        let (n0, n1) = (
            rows("prior points", task.x0)?,
            rows("data points", task.x1)?,
        );
        let codes: Vec<u32> = task.kinds.iter().map(|kind| kind.code()).collect();
        let desk = Desk {
            plugin: self.info(),
            task,
            count: n0,
            n1,
            stopped: AtomicBool::new(false),
            taken: Mutex::new((Taken::default(), None)),
        };
        let request = PairRequest {
            struct_size: size_of::<PairRequest>() as u64,
            x0: task.x0.as_ptr(),
            n0: n0 as u64,
            x1: task.x1.as_ptr(),
            n1: n1 as u64,
            dim: dim as u64,
            kinds: codes.as_ptr(),
            count: n0 as u64,
            seed: task.seed,
            threads: u32::try_from(task.threads.max(1)).unwrap_or(u32::MAX),
            reserved: 0,
            progress: report,
            give,
            data: std::ptr::from_ref(&desk).cast_mut().cast(),
        };
        let result = self.instance.call("pair", |target| {
            // SAFETY: the instance is alive, and everything that the request points to outlives the call.
            unsafe { (self.instance.table().pair)(target, &request) }
        });
        let (taken, failure) = match desk.taken.into_inner() {
            Ok(done) => done,
            // The plugin may have gone on as if nothing were wrong.
            Err(_) => {
                return Err(self
                    .info()
                    .failed("pair", "a panic in the host, which took its pairs"));
            }
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        if result.is_err() && desk.stopped.into_inner() {
            let plugin = self.info().name.clone();
            return Err(PluginError::Stopped { plugin });
        }
        result?;
        taken.pairing(self.info(), n0)
    }
}

/// What the plugin's calls of the request's functions come to.
struct Desk<'a> {
    plugin: &'a PluginInfo,
    task: &'a Task<'a>,
    count: usize,
    n1: usize,
    stopped: AtomicBool,
    /// The pairs so far, and what was wrong with the next ones.
    taken: Mutex<(Taken, Option<PluginError>)>,
}

unsafe extern "C" fn report(data: *mut c_void, fraction: f64) -> i32 {
    // SAFETY: `data` points to the desk of the running call.
    let desk = unsafe { &*data.cast::<Desk<'_>>() };
    let goes_on = catch_unwind(AssertUnwindSafe(|| (desk.task.progress)(fraction)));
    let goes_on = goes_on.unwrap_or_else(|payload| {
        // Dropping a payload can panic again.
        std::mem::forget(payload);
        false
    });
    desk.stopped.fetch_or(!goes_on, Ordering::Relaxed);
    i32::from(!goes_on)
}

unsafe extern "C" fn give(data: *mut c_void, pairs: *const PairBatch) -> i32 {
    host::guard(|| {
        // SAFETY: `data` points to the desk of the running call.
        let desk = unsafe { &*data.cast::<Desk<'_>>() };
        // After a panic, which left the pairs half taken, the lock is poisoned for good.
        let mut taken = desk.taken.lock().map_err(|error| error.to_string())?;
        let (pairs_so_far, failure) = &mut *taken;
        if failure.is_none() {
            // SAFETY: the plugin passes a batch whose arrays are as long as it says.
            *failure = unsafe { pairs_so_far.take(desk, pairs) }.err();
        }
        failure
            .as_ref()
            .map_or(Ok(()), |failure| Err(failure.to_string()))
    })
}

/// Pairs that were given.
#[derive(Default)]
struct Taken {
    n: usize,
    rows: Option<Vec<u32>>,
    x0: Option<Vec<f32>>,
    x1: Option<Vec<f32>>,
    log_q: Option<Vec<f64>>,
    log_det: Option<Vec<f64>>,
}

impl Taken {
    /// Takes the next pairs.
    ///
    /// # Safety
    /// `pairs` is null, or begins with its `struct_size`; its arrays are null or have as many values as it says.
    unsafe fn take(&mut self, desk: &Desk<'_>, pairs: *const PairBatch) -> Result<(), PluginError> {
        let wrong = |what, expected: String, found: String| PluginError::Pairing {
            plugin: desk.plugin.name.clone(),
            what,
            expected,
            found,
        };
        // SAFETY: by contract.
        let batch = unsafe { abi::read(pairs) }.map_err(|size| {
            let expected = format!("at least {}", PairBatch::FIRST_SIZE);
            wrong("bytes of a batch", expected, size.to_string())
        })?;
        let left = desk.count - self.n;
        let n = usize::try_from(batch.n).unwrap_or(usize::MAX);
        if n > left {
            let at_most = format!("at most {left} more");
            return Err(wrong("number of pairs", at_most, batch.n.to_string()));
        }
        if batch.rows.is_null() == batch.x1.is_null() {
            let found = if batch.x1.is_null() {
                "neither"
            } else {
                "both"
            };
            return Err(wrong(
                "data sides",
                "either `rows` or `x1`".into(),
                found.into(),
            ));
        }
        if n == 0 {
            return Ok(());
        }
        let width = desk.task.kinds.len();
        // SAFETY: by contract.
        unsafe {
            self.append("rows", |all| &mut all.rows, batch.rows, n, &wrong)?;
            self.append("x0", |all| &mut all.x0, batch.x0, n * width, &wrong)?;
            self.append("x1", |all| &mut all.x1, batch.x1, n * width, &wrong)?;
            self.append("log_q", |all| &mut all.log_q, batch.log_q, n, &wrong)?;
            self.append("log_det", |all| &mut all.log_det, batch.log_det, n, &wrong)?;
        }
        let first = self.n;
        let new_rows = self
            .rows
            .iter()
            .flat_map(|rows| rows[first..].iter().enumerate());
        if let Some((place, &row)) = new_rows.clone().find(|(_, row)| **row as usize >= desk.n1) {
            return Err(PluginError::Row {
                plugin: desk.plugin.name.clone(),
                point: first + place,
                row,
                n: desk.n1,
            });
        }
        for (what, values) in [
            ("x0 of the pairs", &mut self.x0),
            ("x1 of the pairs", &mut self.x1),
        ] {
            if let Some(values) = values {
                let values = &mut values[first * width..];
                desk.finite(
                    what,
                    values.iter().map(|value| value.is_finite()),
                    first,
                    width,
                )?;
                let kinds = desk.task.kinds.iter().cycle();
                values.iter_mut().zip(kinds).for_each(|(value, kind)| {
                    if *kind == FeatureKind::Circular {
                        *value = wrap_single(*value);
                    }
                });
            }
        }
        for (what, values) in [
            ("log_q of the pairs", &self.log_q),
            ("log_det of the pairs", &self.log_det),
        ] {
            if let Some(values) = values {
                let new = values[first..].iter();
                desk.finite(what, new.map(|value| value.is_finite()), first, 1)?;
            }
        }
        self.n += n;
        Ok(())
    }

    /// Appends `len` values to one of the arrays, which either all batches have, or none.
    ///
    /// # Safety
    /// `values` is null or has so many.
    unsafe fn append<T: Copy>(
        &mut self,
        what: &'static str,
        array: impl Fn(&mut Self) -> &mut Option<Vec<T>>,
        values: *const T,
        len: usize,
        wrong: &impl Fn(&'static str, String, String) -> PluginError,
    ) -> Result<(), PluginError> {
        let is_first = self.n == 0;
        let array = array(self);
        let has = |is| String::from(if is { "an array" } else { "none" });
        if !is_first && array.is_some() == values.is_null() {
            return Err(wrong(
                what,
                has(array.is_some()) + " as in the first batch",
                has(!values.is_null()),
            ));
        }
        if !values.is_aligned() {
            let expected = format!("an address that is a multiple of {}", align_of::<T>());
            return Err(wrong(what, expected, format!("{values:p}")));
        }
        if !values.is_null() {
            // SAFETY: by contract, and aligned.
            let new = unsafe { std::slice::from_raw_parts(values, len) };
            array.get_or_insert_default().extend_from_slice(new);
        }
        Ok(())
    }

    fn pairing(self, plugin: &PluginInfo, count: usize) -> Result<Pairing, PluginError> {
        if self.n != count {
            return Err(PluginError::Pairing {
                plugin: plugin.name.clone(),
                what: "number of pairs",
                expected: count.to_string(),
                found: self.n.to_string(),
            });
        }
        let data = match (self.rows, self.x1) {
            (_, Some(points)) => DataSide::Points(points),
            (rows, None) => DataSide::Rows(rows.unwrap_or_default()),
        };
        Ok(Pairing {
            x0: self.x0,
            data,
            log_q: self.log_q,
            log_det: self.log_det,
        })
    }
}

impl Desk<'_> {
    /// Checks values of pairs from `first` on, `width` for each.
    fn finite(
        &self,
        what: &'static str,
        are: impl Iterator<Item = bool> + Clone,
        first: usize,
        width: usize,
    ) -> Result<(), PluginError> {
        match are.clone().position(|is| !is) {
            None => Ok(()),
            Some(place) => Err(PluginError::NonFinite {
                plugin: self.plugin.name.clone(),
                action: "pair",
                what,
                count: are.filter(|is| !is).count(),
                row: first + place / width,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regflow_plugin::abi::{STATUS_ERROR, STATUS_OK};

    #[test]
    fn batches_are_taken_as_their_maker_has_them() {
        let plugin = crate::plugin::find::<Target>("ot").unwrap();
        let (x, kinds) = ([0.5f32, 1.5, 2.5], [FeatureKind::Real]);
        let task = Task::new(&x, &x, &kinds, 0);
        let desk = || Desk {
            plugin: plugin.info(),
            task: &task,
            count: 3,
            n1: 3,
            stopped: AtomicBool::new(false),
            taken: Mutex::default(),
        };
        let give = |desk: &Desk<'_>, batch: &PairBatch| {
            // SAFETY: the desk is alive, and the arrays have room for what is said.
            let status = unsafe { give(std::ptr::from_ref(desk).cast_mut().cast(), batch) };
            (status, host::take_message())
        };
        let rows = [2u32, 0, 1, 0];
        let batch = |size: usize| PairBatch {
            struct_size: size as u64,
            n: 3,
            x0: std::ptr::null(),
            x1: std::ptr::null(),
            rows: rows.as_ptr(),
            log_q: std::ptr::null(),
            log_det: std::ptr::null(),
        };
        for size in [PairBatch::FIRST_SIZE, size_of::<PairBatch>() + 8] {
            let desk = desk();
            assert_eq!(give(&desk, &batch(size)), (STATUS_OK, String::new()));
            let taken = desk.taken.into_inner().unwrap().0;
            assert_eq!(taken.rows, Some(vec![2, 0, 1]));
        }
        let (status, message) = give(&desk(), &batch(PairBatch::FIRST_SIZE - 8));
        assert_eq!(status, STATUS_ERROR);
        assert!(message.contains("at least 56, found 48"), "{message}");
        let askew = PairBatch {
            rows: rows.as_ptr().wrapping_byte_add(1),
            ..batch(PairBatch::FIRST_SIZE)
        };
        let (status, message) = give(&desk(), &askew);
        assert_eq!(status, STATUS_ERROR);
        assert!(
            message.contains("rows: expected an address that is a multiple of 4"),
            "{message}"
        );

        // After a panic nothing more is taken.
        let broken = desk();
        let panics = || {
            let _taken = broken.taken.lock().unwrap();
            panic!("while pairs are taken");
        };
        std::thread::scope(|scope| assert!(scope.spawn(panics).join().is_err()));
        assert_eq!(give(&broken, &batch(PairBatch::FIRST_SIZE)).0, STATUS_ERROR);
    }
}
