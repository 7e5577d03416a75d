//! CHARMM, NAMD and X-PLOR DCD: Fortran records of 32 or 64-bit markers in either byte order, coordinates in X, Y, Z
//! records; atoms that are fixed appear in the first frame only. Layout as in chemfiles' and VMD's readers.

use super::bytes::{Bytes, Order, damaged};
use super::{Fault, RawFrame, Reader, cell};
use crate::math::vector::Vector;

pub(super) struct Dcd {
    bytes: Bytes,
    layout: Layout,
    n_atoms: usize,
    /// Whole frames.
    frames: u64,
    /// The next frame.
    next: u64,
    /// Why there are no more frames, if the file does not simply end.
    damage: Option<String>,
    /// Positions of all atoms in the first frame, where some are fixed.
    first: Vec<f64>,
    buffer: Vec<u8>,
}

struct Layout {
    wide: bool,
    order: Order,
    /// CHARMM's version where the program follows CHARMM, else 0.
    version: i32,
    cell: bool,
    /// A fourth record of each atom.
    fourth: bool,
    atoms: u64,
    /// Atoms that move, from 0; all without a list.
    free: Option<Vec<usize>>,
    header: u64,
}

/// Bytes of a cell record.
const CELL: u64 = 48;

impl Layout {
    fn marker(&self) -> u64 {
        if self.wide { 8 } else { 4 }
    }

    fn frame_size(&self, first: bool) -> u64 {
        let atoms = match &self.free {
            Some(free) if !first => free.len() as u64,
            _ => self.atoms,
        };
        let cell = if self.cell {
            2 * self.marker() + CELL
        } else {
            0
        };
        cell + (3 + u64::from(self.fourth)) * (2 * self.marker() + 4 * atoms)
    }
}

impl Dcd {
    pub(super) fn open(mut bytes: Bytes, n_atoms: usize) -> Result<Self, Fault> {
        let (layout, claimed) = match header(&mut bytes) {
            Err(Fault::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return damaged("the file ends within its header");
            }
            result => result?,
        };
        if layout.atoms != n_atoms as u64 {
            return Err(Fault::Count(layout.atoms as usize));
        }
        let (first, later) = (layout.frame_size(true), layout.frame_size(false));
        let body = bytes.length() - layout.header;
        let (frames, rest) = if body < first {
            (0, body)
        } else {
            (1 + (body - first) / later, (body - first) % later)
        };
        // Programs that crash leave a count of 0 or of their last update; only fewer frames than claimed is a loss.
        let damage = if rest != 0 {
            Some(format!("the file ends {rest} bytes into this frame"))
        } else if claimed > 0 && frames < claimed as u64 {
            Some(format!(
                "the file ends here, but its header promises {claimed} frames"
            ))
        } else {
            None
        };
        Ok(Self {
            bytes,
            layout,
            n_atoms,
            frames,
            next: 0,
            damage,
            first: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Reads one record of known size into the buffer.
    fn record(&mut self, size: u64) -> Result<(), Fault> {
        for end in [false, true] {
            let found = marker(&mut self.bytes, &self.layout)?;
            if found != size {
                return damaged(format!(
                    "a record of {found} bytes where {size} are expected (at byte {})",
                    self.bytes.position() - self.layout.marker()
                ));
            }
            if !end {
                self.bytes.fill(&mut self.buffer, size)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, frame: &mut RawFrame) -> Result<(), Fault> {
        frame.clear();
        if self.layout.cell {
            self.record(CELL)?;
            let numbers: [f64; 6] =
                std::array::from_fn(|k| match *self.buffer[8 * k..].as_chunks::<8>().0 {
                    [number, ..] => self.layout.order.f64(number),
                    [] => f64::NAN,
                });
            frame.cell = cell_of(numbers, self.layout.version);
        }
        let all = self.next == 0 || self.layout.free.is_none();
        if all {
            frame.positions.resize(3 * self.n_atoms, 0.0);
        } else {
            frame.positions.clone_from(&self.first);
        }
        let atoms = match &self.layout.free {
            Some(free) if !all => free.len() as u64,
            _ => self.layout.atoms,
        };
        for axis in 0..3 {
            self.record(4 * atoms)?;
            let order = self.layout.order;
            let (numbers, _) = self.buffer.as_chunks::<4>();
            let numbers = numbers
                .iter()
                .map(|&number| f64::from(order.f32(number)) * 0.1);
            match &self.layout.free {
                Some(free) if !all => {
                    for (&atom, x) in free.iter().zip(numbers) {
                        frame.positions[3 * atom + axis] = x;
                    }
                }
                _ => {
                    for (target, x) in frame.positions[axis..].iter_mut().step_by(3).zip(numbers) {
                        *target = x;
                    }
                }
            }
        }
        if self.layout.fourth {
            self.record(4 * atoms)?;
        }
        if self.next == 0 && self.layout.free.is_some() {
            self.first.clone_from(&frame.positions);
        }
        Ok(())
    }
}

impl Reader for Dcd {
    fn next(&mut self, frame: Option<&mut RawFrame>) -> Result<bool, Fault> {
        if self.next == self.frames {
            return match self.damage.take() {
                Some(reason) => damaged(reason),
                None => Ok(false),
            };
        }
        match frame {
            Some(frame) => self.read(frame)?,
            // Later frames need the fixed atoms of the first one.
            None if self.next == 0 && self.layout.free.is_some() => {
                self.read(&mut RawFrame::default())?;
            }
            None => self.bytes.skip(self.layout.frame_size(self.next == 0))?,
        }
        self.next += 1;
        Ok(true)
    }
}

fn marker(bytes: &mut Bytes, layout: &Layout) -> Result<u64, Fault> {
    let size = if layout.wide {
        layout.order.i64(bytes.array()?)
    } else {
        i64::from(bytes.i32(layout.order)?)
    };
    u64::try_from(size).or_else(|_| damaged(format!("a record of {size} bytes")))
}

/// The layout and the number of frames that the header claims.
fn header(bytes: &mut Bytes) -> Result<(Layout, i32), Fault> {
    let start: [u8; 12] = bytes.array()?;
    let (wide, order) = match start {
        [84, 0, 0, 0, b'C', b'O', b'R', b'D', ..] => (false, Order::Little),
        [0, 0, 0, 84, b'C', b'O', b'R', b'D', ..] => (false, Order::Big),
        [84, 0, 0, 0, 0, 0, 0, 0, b'C', b'O', b'R', b'D'] => (true, Order::Little),
        [0, 0, 0, 0, 0, 0, 0, 84, b'C', b'O', b'R', b'D'] => (true, Order::Big),
        [_, _, _, _, b'V', b'E', b'L', b'D', ..] | [.., b'V', b'E', b'L', b'D'] => {
            return damaged("it holds velocities, no positions");
        }
        _ => return damaged("no DCD header"),
    };
    let mut layout = Layout {
        wide,
        order,
        version: 0,
        cell: false,
        fourth: false,
        atoms: 0,
        free: None,
        header: 0,
    };
    bytes.seek(layout.marker() + 4)?;
    let mut words = [0; 20];
    for word in &mut words {
        *word = bytes.i32(order)?;
    }
    let (claimed, fixed) = (words[0], words[8]);
    layout.version = words[19];
    layout.cell = layout.version != 0 && words[10] != 0;
    layout.fourth = layout.version != 0 && words[11] == 1;
    bytes.skip(layout.marker())?;
    let title = marker(bytes, &layout)?;
    bytes.skip(title)?;
    bytes.skip(layout.marker())?;
    if marker(bytes, &layout)? != 4 {
        return damaged("no number of atoms");
    }
    let atoms = bytes.i32(order)?;
    bytes.skip(layout.marker())?;
    if atoms < 1 || !(0..atoms).contains(&fixed) {
        return damaged(format!("{atoms} atoms, {fixed} of them fixed"));
    }
    layout.atoms = atoms as u64;
    if fixed != 0 {
        let free = (atoms - fixed) as u64;
        if marker(bytes, &layout)? != 4 * free {
            return damaged("a list of free atoms of the wrong length");
        }
        bytes.need(4 * free)?;
        let mut list = Vec::with_capacity(free as usize);
        for _ in 0..free {
            let atom = bytes.i32(order)?;
            if atom <= list.last().map_or(0, |&last| last as i32 + 1) || atom > atoms {
                return damaged("an impossible list of free atoms");
            }
            list.push(atom as usize - 1);
        }
        bytes.skip(layout.marker())?;
        layout.free = Some(list);
    }
    layout.header = bytes.position();
    Ok((layout, claimed))
}

/// The cell (nm): `a, gamma, b, beta, alpha, c` with angles in degrees or as their cosines, or, since CHARMM 25, the symmetric
/// matrix `xx, xy, yy, xz, yz, zz`.
fn cell_of(numbers: [f64; 6], version: i32) -> Option<[Vector; 3]> {
    let [a, gamma, b, beta, alpha, c] = numbers;
    let lengths = [a, b, c].map(|x| 0.1 * x);
    let angles = [alpha, beta, gamma];
    // The version tells little: programs that write angles claim any, and those that convert CHARMM's files claim 24 with a matrix.
    // But three angles of a cell are never as small as the elements of a matrix that do not make one as small as cosines.
    if angles.iter().all(|angle| (30.0..=150.0).contains(angle)) {
        return cell::from_lengths(lengths, angles);
    }
    if version < 25 && angles.iter().all(|angle| angle.abs() <= 1.0) {
        return cell::from_cosines(lengths, angles);
    }
    let [xx, xy, yy, xz, yz, zz] = numbers.map(|x| 0.1 * x);
    cell::checked([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_all_programs() {
        let right = cell::from_lengths([3.0, 3.1, 3.2], [80.0, 85.0, 70.0]);
        assert_eq!(cell_of([30.0, 70.0, 31.0, 85.0, 80.0, 32.0], 24), right);
        assert_eq!(cell_of([30.0, 70.0, 31.0, 85.0, 80.0, 32.0], 35), right);
        let cosine = |angle: f64| angle.to_radians().cos();
        let found = cell_of(
            [30.0, cosine(70.0), 31.0, cosine(85.0), cosine(80.0), 32.0],
            24,
        )
        .unwrap();
        for (x, y) in found.iter().flatten().zip(right.iter().flatten().flatten()) {
            assert!((x - y).abs() < 1e-14);
        }
        // CHARMM's own, CHARMM 25's, and one that a converter claims to be of CHARMM 24.
        for version in [40, 25, 24] {
            let matrix = cell_of([30.0, 1.0, 31.0, -2.0, 0.5, 32.0], version).unwrap();
            for (x, y) in matrix
                .iter()
                .flatten()
                .zip([3.0, 0.1, -0.2, 0.1, 3.1, 0.05, -0.2, 0.05, 3.2])
            {
                assert!((x - y).abs() < 1e-14);
            }
        }
        assert!(cell_of([0.0; 6], 24).is_none());
    }
}
