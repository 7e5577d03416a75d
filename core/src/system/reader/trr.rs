//! GROMACS TRR, in single or double precision (`gmx_trn_header`).

use super::bytes::{Bytes, Order, damaged};
use super::{Fault, RawFrame, Reader, cell};

const MAGIC: i32 = 1993;

pub(super) struct Trr {
    bytes: Bytes,
    n_atoms: usize,
    buffer: Vec<u8>,
}

impl Trr {
    pub(super) fn new(bytes: Bytes, n_atoms: usize) -> Self {
        Self {
            bytes,
            n_atoms,
            buffer: Vec::new(),
        }
    }

    /// `count` numbers of `width` bytes.
    fn reals(&mut self, count: u64, width: u64) -> Result<impl Iterator<Item = f64>, Fault> {
        self.bytes.fill(&mut self.buffer, count * width)?;
        let number = move |bytes: &[u8]| match *bytes {
            [a, b, c, d] => f64::from(Order::Big.f32([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => Order::Big.f64([a, b, c, d, e, f, g, h]),
            _ => f64::NAN,
        };
        Ok(self.buffer.chunks_exact(width as usize).map(number))
    }
}

impl Reader for Trr {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        if self.bytes.at_end() {
            return Ok(false);
        }
        let magic = self.bytes.i32(Order::Big)?;
        if magic != MAGIC {
            return damaged(format!("found {magic} where each frame has {MAGIC}"));
        }
        self.bytes.skip(4)?;
        let version = self.bytes.size(Order::Big)?;
        self.bytes.skip(version.next_multiple_of(4))?;
        let mut sizes = [0; 10];
        for size in &mut sizes {
            *size = self.bytes.size(Order::Big)?;
        }
        let [
            input,
            energies,
            cell,
            virial,
            pressure,
            topology,
            symbols,
            x,
            v,
            f,
        ] = sizes;
        let atoms = self.bytes.size(Order::Big)?;
        self.bytes.skip(8)?; // step, number of energies
        if atoms != self.n_atoms as u64 {
            return Err(Fault::Count(atoms as usize));
        }
        let real = match cell {
            0 => x.max(v).max(f) / (3 * atoms).max(1),
            _ => cell / 9,
        };
        let fits = |size: u64, numbers: u64| size == 0 || size == numbers * real;
        let vectors = [x, v, f].iter().all(|&size| fits(size, 3 * atoms));
        if ![4, 8].contains(&real) || !vectors || !fits(cell, 9) {
            return damaged(format!(
                "sizes of box, positions, velocities and forces ({cell}, {x}, {v}, {f} bytes) that do not fit {atoms} atoms"
            ));
        }
        self.bytes.skip(2 * real)?; // time, lambda
        let Some(frame) = frame else {
            self.bytes.skip(sizes.iter().sum())?;
            return Ok(true);
        };
        frame.clear();
        self.bytes.need(sizes.iter().sum())?;
        self.bytes.skip(input + energies)?;
        if cell > 0 {
            let n: Vec<f64> = self.reals(9, real)?.collect();
            frame.cell =
                cell::checked([[n[0], n[1], n[2]], [n[3], n[4], n[5]], [n[6], n[7], n[8]]]);
        }
        self.bytes.skip(virial + pressure + topology + symbols)?;
        frame.empty = x == 0;
        if x > 0 {
            frame.positions.extend(self.reals(3 * atoms, real)?);
        }
        self.bytes.skip(v + f)?;
        Ok(true)
    }
}
