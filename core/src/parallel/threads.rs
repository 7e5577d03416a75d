//! The threads of this process: one pool for everything, of a size that is set once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::tensor;

/// Process that started the pool; 0: none has.
static STARTED_BY: AtomicU32 = AtomicU32::new(0);
/// Held while the pool is started; why it could not be.
static STARTING: Mutex<Option<String>> = Mutex::new(None);

/// More threads than this are a mistake, and would exhaust the system before it refuses them.
const MOST_THREADS: usize = 4096;

/// Why there are no threads to compute with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadsError {
    /// The pool runs already with another number.
    #[error(
        "{found} threads are already running: set their number ({expected}) before anything is computed"
    )]
    Running {
        /// Number asked for.
        expected: usize,
        /// Number running.
        found: usize,
    },
    /// This process is a fork of the one that started the pool, and has no copies of its threads.
    #[error(
        "process {child} was forked from process {parent} after that had started its threads, which a fork does not copy: fork \
         before anything is computed, or start a new program in the child"
    )]
    Forked {
        /// Process that started the pool.
        parent: u32,
        /// This process.
        child: u32,
    },
    /// More threads than can be meant.
    #[error("{found} threads are too many: expected at most {most}, or 0 for as many as there are processors", most = MOST_THREADS)]
    TooMany {
        /// Number asked for.
        found: usize,
    },
    /// The operating system gives no threads.
    #[error("the operating system refuses to start threads: {reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
}

/// Sets the number of threads; 0 stands for the default, `RAYON_NUM_THREADS` or else the processors that this process may
/// use: those of its affinity mask, or fewer where a control group limits its time. To be called before anything is computed;
/// afterwards only the number that is running is accepted.
///
/// # Errors
/// [`ThreadsError`].
pub fn set_threads(threads: usize) -> Result<(), ThreadsError> {
    if threads > MOST_THREADS {
        return Err(ThreadsError::TooMany { found: threads });
    }
    start_with(threads)?;
    let found = rayon::current_num_threads();
    if threads != 0 && found != threads {
        return Err(ThreadsError::Running {
            expected: threads,
            found,
        });
    }
    Ok(())
}

/// Number of threads that compute, those of the pool; started by this call if they were not.
///
/// # Errors
/// [`ThreadsError::Forked`], [`ThreadsError::Refused`].
pub fn threads() -> Result<usize, ThreadsError> {
    start()?;
    Ok(rayon::current_num_threads())
}

/// Whether this thread is one of the pool.
pub fn is_worker() -> bool {
    rayon::current_thread_index().is_some()
}

/// Starts the threads, of the default number, unless they run already. In a process that was forked from the one that started
/// them a computation would wait for ever: whoever cannot know how the process came about calls this first.
///
/// The first call sets the environment variable `CANDLE_NUM_THREADS` unless it is set: no thread of another language may use the
/// environment meanwhile.
///
/// # Errors
/// [`ThreadsError::Forked`], [`ThreadsError::Refused`].
pub fn start() -> Result<(), ThreadsError> {
    start_with(0)
}

fn start_with(threads: usize) -> Result<(), ThreadsError> {
    let child = std::process::id();
    let started_by = || STARTED_BY.load(Ordering::Acquire);
    if started_by() == 0 {
        let mut refused = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &*refused {
            // The pool can be started once only.
            return Err(ThreadsError::Refused {
                reason: reason.clone(),
            });
        }
        if started_by() == 0 {
            tensor::keep_to_one_pool();
            let built = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("regflow-{index}"))
                .build_global();
            // A pool that was there before is this process's own, for nothing else starts one.
            if let Err(error) = built
                && std::error::Error::source(&error).is_some()
            {
                *refused = Some(error.to_string());
                return Err(ThreadsError::Refused {
                    reason: error.to_string(),
                });
            }
            STARTED_BY.store(child, Ordering::Release);
        }
    }
    match started_by() {
        parent if parent == child => Ok(()),
        parent => Err(ThreadsError::Forked { parent, child }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_set_once() {
        let running = threads().unwrap();
        assert!(running >= 1);
        assert_eq!(rayon::current_num_threads(), running);
        assert_eq!(set_threads(0), Ok(()));
        assert_eq!(set_threads(running), Ok(()));
        assert_eq!(
            set_threads(running + 1),
            Err(ThreadsError::Running {
                expected: running + 1,
                found: running
            })
        );
        let found = usize::MAX;
        assert_eq!(set_threads(found), Err(ThreadsError::TooMany { found }));
        assert_eq!(threads(), Ok(running));
    }
}
