//! Work in parallel: the group of processes that share a job.

mod communicator;

pub use communicator::{Communicator, CommunicatorError, Local};
