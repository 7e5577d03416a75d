//! GROMACS XTC. Up to nine atoms are stored as they are, more of them compressed ([`xtc_bits`](super::xtc_bits)).

use super::bytes::{Bytes, Order, damaged};
use super::xtc_bits::{Header, unpack};
use super::{Fault, RawFrame, Reader, cell};

/// Of files with 32-bit and with 64-bit sizes of the compressed data.
const MAGIC: [i32; 2] = [1995, 2023];

pub(super) struct Xtc {
    bytes: Bytes,
    n_atoms: usize,
    buffer: Vec<u8>,
}

impl Xtc {
    pub(super) fn new(bytes: Bytes, n_atoms: usize) -> Self {
        Self {
            bytes,
            n_atoms,
            buffer: Vec::new(),
        }
    }
}

impl Reader for Xtc {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        let bytes = &mut self.bytes;
        if bytes.at_end() {
            return Ok(false);
        }
        let magic = bytes.i32(Order::Big)?;
        if !MAGIC.contains(&magic) {
            return damaged(format!("found {magic} where each frame has {}", MAGIC[0]));
        }
        let atoms = bytes.size(Order::Big)?;
        bytes.skip(8)?; // step, time
        let mut vectors = [[0.0; 3]; 3];
        for x in vectors.iter_mut().flatten() {
            *x = f64::from(bytes.f32(Order::Big)?);
        }
        if bytes.size(Order::Big)? != atoms {
            return damaged("two different numbers of atoms");
        }
        if atoms != self.n_atoms as u64 {
            return Err(Fault::Count(atoms as usize));
        }
        let frame = match frame {
            Some(frame) => {
                frame.clear();
                frame.cell = cell::checked(vectors);
                Some(frame)
            }
            None => None,
        };
        if atoms <= 9 {
            bytes.fill(&mut self.buffer, 12 * atoms)?;
            if let Some(frame) = frame {
                let (numbers, _) = self.buffer.as_chunks::<4>();
                let numbers = numbers
                    .iter()
                    .map(|&number| f64::from(Order::Big.f32(number)));
                frame.positions.extend(numbers);
            }
            return Ok(true);
        }
        let header = Header {
            precision: bytes.f32(Order::Big)?,
            least: [
                bytes.i32(Order::Big)?,
                bytes.i32(Order::Big)?,
                bytes.i32(Order::Big)?,
            ],
            most: [
                bytes.i32(Order::Big)?,
                bytes.i32(Order::Big)?,
                bytes.i32(Order::Big)?,
            ],
            small: bytes.i32(Order::Big)?,
        };
        let size = if magic == MAGIC[0] {
            bytes.size(Order::Big)?
        } else {
            let size = Order::Big.i64(bytes.array()?);
            u64::try_from(size)
                .or_else(|_| damaged(format!("{size} bytes of compressed positions")))?
        };
        // Padded to whole words.
        let padded = size.checked_add(3).map_or(u64::MAX, |size| size & !3);
        let Some(frame) = frame else {
            bytes.skip(padded)?;
            return Ok(true);
        };
        bytes.need(padded)?;
        bytes.fill(&mut self.buffer, size)?;
        bytes.skip(padded - size)?;
        unpack(&header, &self.buffer, self.n_atoms, &mut frame.positions)
            .map_err(|reason| Fault::Damaged(format!("compressed positions: {reason}")))?;
        Ok(true)
    }
}
