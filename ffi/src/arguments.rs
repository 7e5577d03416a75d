//! Checks of what a caller passed in, each failure naming the argument.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::ops::{Range, RangeInclusive};

use regflow_core::tensor::{self, Device};

use crate::failure::Failure;

/// # Safety
/// `pointer` is NULL or may be written to for `'a`, and nothing else reads or writes there meanwhile.
pub(crate) unsafe fn output<'a, T>(
    argument: &'static str,
    pointer: *mut T,
) -> Result<&'a mut T, Failure> {
    check(argument, pointer)?;
    // SAFETY: not NULL, aligned, and the caller vouches for the rest.
    Ok(unsafe { &mut *pointer })
}

/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that lives, unchanged, for `'a`.
pub(crate) unsafe fn text<'a>(
    argument: &'static str,
    pointer: *const c_char,
) -> Result<&'a str, Failure> {
    check(argument, pointer)?;
    // SAFETY: not NULL, and the caller vouches for the rest.
    unsafe { CStr::from_ptr(pointer) }
        .to_str()
        .map_err(|_| Failure::NotUtf8 { argument })
}

/// The values at `pointer`; none, whatever the pointer, if `length` is 0.
///
/// # Safety
/// `pointer` is NULL or points to `length` values that live, unchanged, for `'a`.
pub(crate) unsafe fn values<'a, T: Plain>(
    argument: &'static str,
    pointer: *const T,
    length: usize,
) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    check(argument, pointer)?;
    check_size::<T>(argument, length)?;
    // SAFETY: not NULL, aligned, no longer than an object can be, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// As `values`, for results.
///
/// # Safety
/// `pointer` is NULL or points to `length` values that nothing else reads or writes for `'a`.
pub(crate) unsafe fn results<'a, T: Plain>(
    argument: &'static str,
    pointer: *mut T,
    length: usize,
) -> Result<&'a mut [T], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(argument, pointer)?;
    check_size::<T>(argument, length)?;
    // SAFETY: not NULL, aligned, no longer than an object can be, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
}

/// Numbers and pointers of which every pattern of bits is a value.
pub(crate) trait Plain: Copy {}
impl Plain for f64 {}
impl Plain for usize {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u8 {}
impl Plain for Text {}

/// An element of an array of strings.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Text(pub *const c_char);

/// A struct of the interface that the caller fills in or has filled in.
///
/// # Safety
/// `#[repr(C)]`, its first field `struct_size: usize`; all of it is numbers and pointers for which zeros are a value.
pub(crate) unsafe trait Struct: Copy {
    const NAME: &'static str;
    /// Its size when it came: a caller of that time has no more. Whoever appends a field keeps this number.
    const FIRST_SIZE: usize;
}

/// The size that the caller says, no smaller than any version had and small enough to be one.
///
/// # Safety
/// `pointer` is NULL or points to a struct that begins with its size.
unsafe fn struct_size<T: Struct>(
    argument: &'static str,
    pointer: *const T,
) -> Result<usize, Failure> {
    check(argument, pointer)?;
    // SAFETY: not NULL, aligned, and every struct begins with its size.
    let found = unsafe { pointer.cast::<usize>().read() };
    if !(T::FIRST_SIZE..=4096).contains(&found) {
        return Err(Failure::StructSize {
            argument,
            name: T::NAME,
            expected: size_of::<T>(),
            found,
        });
    }
    Ok(found)
}

/// A copy of a struct of the caller's. What an older caller does not have is zero. A newer one may have nothing but zeros in
/// what this version does not know: it must not be asked for.
///
/// # Safety
/// `pointer` is NULL or points to a struct that is as long as its first field says.
pub(crate) unsafe fn structure<T: Struct>(
    argument: &'static str,
    pointer: *const T,
) -> Result<T, Failure> {
    // SAFETY: the caller vouches for the pointer.
    let found = unsafe { struct_size(argument, pointer) }?;
    let known = found.min(size_of::<T>());
    let bytes: *const u8 = pointer.cast();
    // SAFETY: the caller vouches for `found` bytes.
    let rest = unsafe { std::slice::from_raw_parts(bytes.add(known), found - known) };
    if rest.iter().any(|&byte| byte != 0) {
        return Err(Failure::StructNewer {
            argument,
            name: T::NAME,
        });
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: both are at least `known` bytes long, and zeros are a value of what is left (trait).
    unsafe {
        std::ptr::copy_nonoverlapping(bytes, value.as_mut_ptr().cast(), known);
        Ok(value.assume_init())
    }
}

/// Writes what the caller's version has of a result struct, but for its `struct_size`; what is longer stays as it is.
///
/// # Safety
/// `pointer` is NULL or points to a struct that is as long as its first field says and may be written to.
pub(crate) unsafe fn output_struct<T: Struct>(
    argument: &'static str,
    pointer: *mut T,
    value: T,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the pointer.
    let size = unsafe { struct_size(argument, pointer) }?;
    let (from, to): (*const u8, *mut u8) = ((&raw const value).cast(), pointer.cast());
    let own = size_of::<usize>();
    // SAFETY: as above; neither is shorter.
    unsafe {
        std::ptr::copy_nonoverlapping(from.add(own), to.add(own), size.min(size_of::<T>()) - own);
    }
    Ok(())
}

/// Copies bytes to the caller's memory, and their number to `*length` in any case. NULL with a capacity of 0 asks for the
/// number only.
///
/// # Safety
/// `to` is NULL or may be written to for `capacity` bytes, `length` is NULL or may be written to.
pub(crate) unsafe fn write_bytes(
    [argument, capacity_argument]: [&'static str; 2],
    bytes: &[u8],
    to: *mut u8,
    capacity: usize,
    length: *mut usize,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the pointer.
    *unsafe { output("length", length) }? = bytes.len();
    if to.is_null() && capacity == 0 {
        return Ok(());
    }
    if capacity < bytes.len() {
        return Err(Failure::Capacity {
            argument: capacity_argument,
            given: capacity,
            needed: bytes.len(),
        });
    }
    // SAFETY: the caller vouches for the memory.
    unsafe { results(argument, to, capacity) }?[..bytes.len()].copy_from_slice(bytes);
    Ok(())
}

/// As `write_bytes`, for text that ends with a NUL, which counts.
///
/// # Safety
/// As `write_bytes`.
pub(crate) unsafe fn write_text(
    text: &str,
    to: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Result<(), Failure> {
    let mut bytes = text.replace('\0', "\u{fffd}").into_bytes();
    bytes.push(0);
    // SAFETY: the caller vouches for the pointers.
    unsafe { write_bytes(["text", "capacity"], &bytes, to.cast(), capacity, length) }
}

pub(crate) fn check<T>(argument: &'static str, pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::Null { argument });
    }
    if !pointer.is_aligned() {
        return Err(Failure::Misaligned { argument });
    }
    Ok(())
}

fn check_size<T>(argument: &'static str, length: usize) -> Result<(), Failure> {
    if length > isize::MAX as usize / size_of::<T>() {
        return Err(Failure::TooLarge {
            argument,
            given: length,
        });
    }
    Ok(())
}

/// Fails unless an array of `given` numbers holds exactly `n` configurations of `per_configuration` numbers.
pub(crate) fn check_length(
    argument: &'static str,
    given: usize,
    n: usize,
    per_configuration: usize,
) -> Result<(), Failure> {
    let needed = n.checked_mul(per_configuration).ok_or(Failure::TooLarge {
        argument: "n",
        given: n,
    })?;
    if given != needed {
        return Err(Failure::Length {
            argument,
            given,
            needed,
            n,
            per_configuration,
        });
    }
    Ok(())
}

/// Configurations of one call into the library: bounds what it allocates besides the caller's arrays. A multiple of what the
/// network takes at a time.
pub(crate) const BLOCK: usize = 1 << 14;

/// `0..n` in parts of at most [`BLOCK`].
pub(crate) fn blocks(n: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n.div_ceil(BLOCK)).map(move |block| block * BLOCK..n.min((block + 1).saturating_mul(BLOCK)))
}

/// So many zeros, unless there is not the memory for them.
pub(crate) fn zeros<T: Copy + Default>(n: usize) -> Result<Vec<T>, Failure> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(n).map_err(|_| Failure::Memory {
        bytes: n.saturating_mul(size_of::<T>()),
    })?;
    zeros.resize(n, T::default());
    Ok(zeros)
}

/// Another array made of an array of the caller's, unless there is not the memory for it.
pub(crate) fn converted<T>(given: &[f64], convert: impl Fn(f64) -> T) -> Result<Vec<T>, Failure> {
    let mut result = Vec::new();
    result
        .try_reserve_exact(given.len())
        .map_err(|_| Failure::Memory {
            bytes: given.len().saturating_mul(size_of::<T>()),
        })?;
    result.extend(given.iter().map(|&x| convert(x)));
    Ok(result)
}

/// Fails unless a number of a struct is one of `valid`: others may get a meaning later.
pub(crate) fn check_number(
    argument: &'static str,
    found: i32,
    valid: RangeInclusive<i32>,
    expected: &'static str,
) -> Result<(), Failure> {
    if valid.contains(&found) {
        return Ok(());
    }
    Err(Failure::Range {
        argument,
        what: format!("it is {found}"),
        expected,
    })
}

/// "cpu" or "cuda:N".
pub(crate) fn device(argument: &'static str, name: &str) -> Result<Device, Failure> {
    tensor::device(name).map_err(|source| Failure::Device {
        argument,
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_match_exactly() {
        assert!(check_length("positions_length", 132, 2, 66).is_ok());
        let error = check_length("positions_length", 131, 2, 66).unwrap_err();
        assert_eq!(
            error.to_string(),
            "argument `positions_length` is 131, but 2 configurations of 66 numbers each need 132"
        );
        assert!(matches!(
            check_length("positions_length", 0, usize::MAX, 66),
            Err(Failure::TooLarge { argument: "n", .. })
        ));
    }

    #[test]
    fn blocks_cover_everything_once_and_no_memory_is_an_error() {
        assert_eq!(blocks(0).count(), 0);
        assert!(blocks(7).eq(std::iter::once(0..7)));
        let n = 2 * BLOCK + 1;
        assert_eq!(
            blocks(n).collect::<Vec<_>>(),
            [0..BLOCK, BLOCK..2 * BLOCK, 2 * BLOCK..n]
        );
        assert!(matches!(
            zeros::<f64>(usize::MAX / 16),
            Err(Failure::Memory { .. })
        ));
        assert_eq!(zeros::<u8>(3).unwrap(), [0; 3]);
        assert_eq!(converted(&[1.0, 2.0], |x| 2.0 * x).unwrap(), [2.0, 4.0]);
    }

    #[test]
    fn structs_of_other_versions_are_understood() {
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq)]
        struct Grown {
            struct_size: usize,
            first: f64,
            appended: f64,
        }
        // SAFETY: numbers, the first of them `struct_size`.
        unsafe impl Struct for Grown {
            const NAME: &'static str = "grown";
            const FIRST_SIZE: usize = 16;
        }
        let given = |struct_size, after| [struct_size, 1.5f64.to_bits() as usize, 9, after];
        let read = |given: [usize; 4]| {
            // SAFETY: as long as the sizes below that are not refused.
            unsafe { structure::<Grown>("x", given.as_ptr().cast()) }
        };
        let old = read(given(16, 7)).unwrap();
        assert_eq!((old.first, old.appended), (1.5, 0.0));
        let own = read(given(24, 7)).unwrap();
        assert_eq!(own.appended, f64::from_bits(9));
        assert_eq!(read(given(32, 0)).unwrap().appended, own.appended);
        let newer = read(given(32, 7));
        assert!(matches!(newer, Err(Failure::StructNewer { .. })));
        for size in [0, 8, 15, 4097, usize::MAX] {
            let refused = read(given(size, 0));
            assert!(matches!(refused, Err(Failure::StructSize { .. })), "{size}");
        }
        for (size, appended) in [(16, 9), (24, 2.5f64.to_bits() as usize)] {
            let mut to = given(size, 7);
            let value = Grown {
                struct_size: 24,
                first: 0.5,
                appended: 2.5,
            };
            // SAFETY: as above.
            unsafe { output_struct("x", to.as_mut_ptr().cast(), value) }.unwrap();
            assert_eq!(to, [size, 0.5f64.to_bits() as usize, appended, 7]);
        }
    }

    #[test]
    fn arrays_are_checked() {
        let mut buffer = [0.0; 2];
        let pointer = buffer.as_mut_ptr();
        // SAFETY: only pointers that are valid for the given length, or refused before use, are passed.
        unsafe {
            assert_eq!(values::<f64>("x", std::ptr::null(), 0).unwrap().len(), 0);
            assert!(matches!(
                values::<f64>("x", std::ptr::null(), 1),
                Err(Failure::Null { argument: "x" })
            ));
            assert!(matches!(
                values("x", pointer, usize::MAX),
                Err(Failure::TooLarge { .. })
            ));
            assert!(matches!(
                results("x", pointer.byte_add(1), 1),
                Err(Failure::Misaligned { .. })
            ));
            assert_eq!(results("x", pointer, 2).unwrap().len(), 2);
        }
    }
}
