//! What processes that work on one job say to each other.

use std::fmt::Debug;

/// A communication failed: a process is gone, or the transport says so.
#[derive(Debug, thiserror::Error)]
#[error("rank {rank} of {size}: {what} failed: {reason}")]
pub struct CommunicatorError {
    /// This process.
    pub rank: usize,
    /// How many there are.
    pub size: usize,
    /// What was being done.
    pub what: &'static str,
    /// What the transport says.
    pub reason: String,
}

/// A group of processes, each with its rank, that share a job.
///
/// Every function but the first three is collective: all ranks call it, in the same order and with the same lengths. The library
/// knows no transport: MPI is that of the program or of the engine.
pub trait Communicator: Debug + Send + Sync {
    /// This process, 0 to `size() - 1`.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// This process among those of its machine, by which it chooses a device.
    fn local_rank(&self) -> usize;

    /// Replaces `values` by their sums over the ranks, added in the order of the ranks: the same bits everywhere.
    ///
    /// # Errors
    /// The communication fails.
    fn sum(&self, values: &mut [f64]) -> Result<(), CommunicatorError>;

    /// Replaces `bytes` by those of rank 0.
    ///
    /// # Errors
    /// The communication fails.
    fn broadcast(&self, bytes: &mut [u8]) -> Result<(), CommunicatorError>;

    /// The bytes of every rank, in the order of the ranks, on rank 0; nothing on the others. Lengths may differ.
    ///
    /// # Errors
    /// The communication fails.
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, CommunicatorError>;

    /// Waits for all ranks.
    ///
    /// # Errors
    /// The communication fails.
    fn barrier(&self) -> Result<(), CommunicatorError>;
}

/// A process on its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Communicator for Local {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local_rank(&self) -> usize {
        0
    }

    fn sum(&self, _values: &mut [f64]) -> Result<(), CommunicatorError> {
        Ok(())
    }

    fn broadcast(&self, _bytes: &mut [u8]) -> Result<(), CommunicatorError> {
        Ok(())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, CommunicatorError> {
        Ok(vec![bytes.to_vec()])
    }

    fn barrier(&self) -> Result<(), CommunicatorError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_on_its_own_keeps_what_it_has() {
        let alone: &dyn Communicator = &Local;
        assert_eq!((alone.rank(), alone.size(), alone.local_rank()), (0, 1, 0));
        let mut values = [1.5, -2.0];
        alone.sum(&mut values).unwrap();
        let mut bytes = [7, 8];
        alone.broadcast(&mut bytes).unwrap();
        alone.barrier().unwrap();
        assert_eq!((values, bytes), ([1.5, -2.0], [7, 8]));
        assert_eq!(alone.gather(&bytes).unwrap(), [vec![7, 8]]);
    }
}
