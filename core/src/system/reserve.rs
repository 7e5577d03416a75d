//! Disk space ahead of writing.
//!
//! chemfiles writes binary formats through a memory map: on a full disk the kernel kills the process (SIGBUS). Blocks that
//! were reserved before cannot run out.

use std::fs::File;
use std::io;

/// Space is reserved in steps of this many bytes.
const STEP: u64 = 1 << 20;

/// Space reserved for a growing file.
pub(super) struct Reserve {
    file: File,
    reserved: u64,
}

impl Reserve {
    pub(super) fn new(file: File) -> Self {
        Self { file, reserved: 0 }
    }

    /// Makes sure that the file can grow to `bytes`, leaving its size as it is.
    pub(super) fn up_to(&mut self, bytes: u64) -> io::Result<()> {
        if bytes <= self.reserved {
            return Ok(());
        }
        let target = bytes.next_multiple_of(STEP) + STEP;
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            use rustix::io::Errno;
            match fallocate(
                &self.file,
                FallocateFlags::KEEP_SIZE,
                self.reserved,
                target - self.reserved,
            ) {
                // File systems that cannot reserve (NFS 3, some FUSE) are trusted.
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.reserved = target;
        Ok(())
    }

    /// Flushes the file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
