//! Bytes of binary files: numbers in either byte order, never beyond the end of the file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::Fault;

pub(super) struct Bytes {
    file: BufReader<File>,
    length: u64,
    position: u64,
}

/// Byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

pub(super) fn damaged<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Damaged(reason.into()))
}

impl Order {
    pub(super) fn i32(self, bytes: [u8; 4]) -> i32 {
        match self {
            Self::Little => i32::from_le_bytes(bytes),
            Self::Big => i32::from_be_bytes(bytes),
        }
    }

    pub(super) fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }

    pub(super) fn f32(self, bytes: [u8; 4]) -> f32 {
        f32::from_bits(self.i32(bytes) as u32)
    }

    pub(super) fn f64(self, bytes: [u8; 8]) -> f64 {
        f64::from_bits(self.i64(bytes) as u64)
    }
}

impl Bytes {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            length: file.metadata()?.len(),
            file: BufReader::with_capacity(1 << 16, file),
            position: 0,
        })
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes before the next one.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// No bytes left?
    pub(super) fn at_end(&self) -> bool {
        self.position >= self.length
    }

    /// Bytes left.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// An error unless so many bytes are left: asked before memory is taken for them.
    pub(super) fn need(&self, bytes: u64) -> Result<(), Fault> {
        if bytes > self.left() {
            return Err(Fault::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        self.need(bytes)?;
        // No file is longer than i64 counts.
        self.file.seek_relative(bytes as i64)?;
        self.position += bytes;
        Ok(())
    }

    pub(super) fn seek(&mut self, position: u64) -> Result<(), Fault> {
        if position >= self.position {
            return self.skip(position - self.position);
        }
        self.file.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// Reads `count` bytes into a buffer.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, count: u64) -> Result<(), Fault> {
        self.need(count)?;
        buffer.resize(count as usize, 0);
        self.file.read_exact(buffer)?;
        self.position += count;
        Ok(())
    }

    pub(super) fn i32(&mut self, order: Order) -> Result<i32, Fault> {
        Ok(order.i32(self.array()?))
    }

    pub(super) fn f32(&mut self, order: Order) -> Result<f32, Fault> {
        Ok(order.f32(self.array()?))
    }

    /// A number that counts something.
    pub(super) fn size(&mut self, order: Order) -> Result<u64, Fault> {
        let value = self.i32(order)?;
        u64::try_from(value)
            .or_else(|_| damaged(format!("a size of {value} at byte {}", self.position - 4)))
    }
}
