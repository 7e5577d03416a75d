//! Work in parallel: the threads of a process, and the group of processes that share a job.

mod communicator;
mod threads;

pub use communicator::{Communicator, CommunicatorError, Local};
pub use threads::{ThreadsError, is_worker, set_threads, start, threads};
