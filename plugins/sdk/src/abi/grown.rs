//! Types that begin with their size: reading what an older or newer maker has of them.

use core::mem::MaybeUninit;

/// A type that may grow at its end.
///
/// # Safety
/// The type is `repr(C)` and begins with a `u64`, the size that its maker knew. Whatever lies beyond `FIRST_SIZE` may be zero bytes.
pub unsafe trait Grown: Sized {
    /// The size in version 1.0, which every maker has.
    const FIRST_SIZE: usize;
}

/// Implements [`Grown`] for a type whose last field in version 1.0 is the one given.
macro_rules! grown {
    ($type:ty, $last:ident: $of:ty) => {
        // SAFETY: as for the macro's uses: `repr(C)`, `struct_size` first, and nothing beyond the last field yet.
        unsafe impl $crate::abi::Grown for $type {
            const FIRST_SIZE: usize = core::mem::offset_of!($type, $last) + size_of::<$of>();
        }
    };
}
pub(crate) use grown;

/// A copy of a value as far as its maker has it: what a newer one has more is left out, and what an older one lacks is zero.
///
/// # Errors
/// The size found, 0 for null, if it is less than [`Grown::FIRST_SIZE`].
///
/// # Safety
/// `value` is null, or begins with its size and is readable that far.
pub unsafe fn read<T: Grown>(value: *const T) -> Result<T, u64> {
    if value.is_null() {
        return Err(0);
    }
    // SAFETY: by contract. Nothing is assumed of where the other side puts its values.
    let found = unsafe { value.cast::<u64>().read_unaligned() };
    if found < T::FIRST_SIZE as u64 {
        return Err(found);
    }
    let mut copy = MaybeUninit::<T>::zeroed();
    let shared = found.min(size_of::<T>() as u64) as usize;
    // SAFETY: the value has `found` bytes, the copy as many as its type; what is not copied may be zero (`Grown`).
    unsafe {
        value
            .cast::<u8>()
            .copy_to_nonoverlapping(copy.as_mut_ptr().cast(), shared);
        Ok(copy.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct First {
        struct_size: u64,
        n: u32,
        reserved: u32,
    }

    /// As a later version has it.
    #[repr(C)]
    struct Later {
        struct_size: u64,
        n: u32,
        reserved: u32,
        more: Option<extern "C" fn()>,
    }
    grown!(Later, reserved: u32);

    extern "C" fn more() {}

    #[test]
    fn values_of_older_and_newer_makers_are_read() {
        let first = First {
            struct_size: size_of::<First>() as u64,
            n: 7,
            reserved: 0,
        };
        // SAFETY: readable for its size.
        let found = unsafe { read((&raw const first).cast::<Later>()) };
        assert!(found.is_ok_and(|found| found.n == 7 && found.more.is_none()));
        let mut later = Later {
            struct_size: size_of::<Later>() as u64 + 8,
            n: 5,
            reserved: 0,
            more: Some(more),
        };
        // SAFETY: what is said to lie beyond is not read.
        let found = unsafe { read(&later) };
        assert!(found.is_ok_and(|found| found.n == 5 && found.more.is_some()));
        for size in [0, 15] {
            later.struct_size = size;
            // SAFETY: as above.
            assert_eq!(unsafe { read(&later) }.err(), Some(size));
        }
        // SAFETY: null is allowed.
        assert_eq!(unsafe { read::<Later>(core::ptr::null()) }.err(), Some(0));
    }
}
