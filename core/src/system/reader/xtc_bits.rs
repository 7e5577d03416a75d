//! The compression of positions in XTC files (`xdr3dfcoord` of the xdrfile library): integers in multiples of a precision,
//! three at a time in one number of mixed radix, with runs of atoms that are close to the one before in fewer bits.

/// What precedes the compressed bits.
pub(super) struct Header {
    /// Units per nm.
    pub precision: f32,
    /// Smallest and largest coordinates, in these units.
    pub least: [i32; 3],
    /// See `least`.
    pub most: [i32; 3],
    /// Where in [`RANGES`] the close atoms begin.
    pub small: i32,
}

/// Ranges of the differences of close atoms: powers of the cube root of 2, so that three of them fill whole bits.
const RANGES: [u32; 73] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 101, 128, 161, 203, 256,
    322, 406, 512, 645, 812, 1024, 1290, 1625, 2048, 2580, 3250, 4096, 5060, 6501, 8192, 10321,
    13003, 16384, 20642, 26007, 32768, 41285, 52015, 65536, 82570, 104031, 131072, 165140, 208063,
    262144, 330280, 416127, 524287, 660561, 832255, 1048576, 1321122, 1664510, 2097152, 2642245,
    3329021, 4194304, 5284491, 6658042, 8388607, 10568983, 13316085, 16777216,
];

/// The first range that is one.
const FIRST: usize = 9;

/// Bits, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
}

const TOO_FEW: &str = "too few bits";

impl Bits<'_> {
    /// Up to 32 bits.
    fn take(&mut self, count: u32) -> Result<u32, String> {
        let end = self.next + count as usize;
        if end > 8 * self.bytes.len() {
            return Err(TOO_FEW.to_owned());
        }
        let mut value = 0_u64;
        let (first, last) = (self.next / 8, end.div_ceil(8));
        for &byte in &self.bytes[first..last] {
            value = value << 8 | u64::from(byte);
        }
        value >>= 8 * last - end;
        self.next = end;
        Ok((value & ((1 << count) - 1)) as u32)
    }

    /// Three integers below `sizes` from one number of `count` bits, whose bytes come least significant first.
    fn three(&mut self, count: u32, sizes: [u32; 3]) -> Result<[u32; 3], String> {
        let mut value = 0_u128;
        let mut done = 0;
        while done < count {
            let bits = (count - done).min(8);
            value |= u128::from(self.take(bits)?) << done;
            done += 8;
        }
        let [_, y, z] = sizes.map(u128::from);
        let x = u32::try_from(value / z / y).map_err(|_| "a coordinate out of range".to_owned())?;
        Ok([x, (value / z % y) as u32, (value % z) as u32])
    }
}

/// Bits that numbers below `size` need.
fn bits_of(size: u32) -> u32 {
    u32::BITS - size.leading_zeros()
}

/// Bits that the product of the sizes needs.
fn bits_of_product(sizes: [u32; 3]) -> u32 {
    let product: u128 = sizes.iter().map(|&size| u128::from(size)).product();
    u128::BITS - product.leading_zeros()
}

/// Appends the positions (nm) of `n_atoms` atoms.
///
/// # Errors
/// What is wrong with the bits, in words.
pub(super) fn unpack(
    header: &Header,
    bytes: &[u8],
    n_atoms: usize,
    positions: &mut Vec<f64>,
) -> Result<(), String> {
    let precision = f64::from(header.precision);
    if !(precision.is_finite() && precision > 0.0) {
        return Err(format!("a precision of {precision}"));
    }
    let mut small = usize::try_from(header.small)
        .ok()
        .filter(|small| (FIRST..RANGES.len()).contains(small))
        .ok_or_else(|| format!("a size class of {}", header.small))?;
    let mut sizes = [0; 3];
    for (size, (&least, &most)) in sizes.iter_mut().zip(header.least.iter().zip(&header.most)) {
        let range = i64::from(most) - i64::from(least) + 1;
        *size = u32::try_from(range)
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| format!("coordinates from {least} to {most}"))?;
    }
    // Ranges that are too large to be multiplied are stored one by one.
    let together = sizes.iter().all(|&size| size <= 0xff_ffff);
    let whole = if together { bits_of_product(sizes) } else { 0 };
    let mut bits = Bits { bytes, next: 0 };
    let mut run = 0;
    let wanted = positions.len() + 3 * n_atoms;
    let mut put = |point: [i64; 3]| positions.extend(point.map(|x| x as f64 / precision));
    let mut left = n_atoms;
    while left > 0 {
        let offset = if together {
            bits.three(whole, sizes)?
        } else {
            [
                bits.take(bits_of(sizes[0]))?,
                bits.take(bits_of(sizes[1]))?,
                bits.take(bits_of(sizes[2]))?,
            ]
        };
        let mut point: [i64; 3] =
            std::array::from_fn(|axis| i64::from(header.least[axis]) + i64::from(offset[axis]));
        left -= 1;
        let mut change = 0;
        if bits.take(1)? == 1 {
            let code = bits.take(5)? as usize;
            change = code as i32 % 3 - 1;
            run = code / 3;
        }
        if run > left {
            return Err("more atoms than there are".to_owned());
        }
        if run == 0 {
            put(point);
        }
        let range = RANGES[small];
        for k in 0..run {
            let offset = bits.three(small as u32, [range; 3])?;
            let near: [i64; 3] = std::array::from_fn(|axis| {
                point[axis] + i64::from(offset[axis]) - i64::from(range / 2)
            });
            if k == 0 {
                // The first two change places, which suits water: the oxygen is close to both hydrogens.
                put(near);
                put(point);
            } else {
                put(near);
            }
            point = near;
            left -= 1;
        }
        small = small
            .checked_add_signed(change as isize)
            .filter(|small| (FIRST..RANGES.len()).contains(small))
            .ok_or("a size class out of range")?;
    }
    debug_assert_eq!(positions.len(), wanted);
    Ok(())
}
