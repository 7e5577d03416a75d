//! Checks of what a caller passed in, each failure naming the argument.

use std::ffi::{CStr, c_char};

use regflow_core::tensor::{self, Device};

use crate::status::Failure;

/// # Safety
/// `pointer` is NULL or points to a `T` that lives, unchanged, for `'a`.
pub(crate) unsafe fn reference<'a, T>(
    argument: &'static str,
    pointer: *const T,
) -> Result<&'a T, Failure> {
    check(argument, pointer)?;
    // SAFETY: not NULL, aligned, and the caller vouches for the rest.
    Ok(unsafe { &*pointer })
}

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
pub(crate) unsafe fn values<'a>(
    argument: &'static str,
    pointer: *const f64,
    length: usize,
) -> Result<&'a [f64], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    check(argument, pointer)?;
    check_size(argument, length)?;
    // SAFETY: not NULL, aligned, no longer than an object can be, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// As `values`, for results.
///
/// # Safety
/// `pointer` is NULL or points to `length` values that nothing else reads or writes for `'a`.
pub(crate) unsafe fn results<'a>(
    argument: &'static str,
    pointer: *mut f64,
    length: usize,
) -> Result<&'a mut [f64], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(argument, pointer)?;
    check_size(argument, length)?;
    // SAFETY: not NULL, aligned, no longer than an object can be, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
}

fn check<T>(argument: &'static str, pointer: *const T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::Null { argument });
    }
    if !pointer.is_aligned() {
        return Err(Failure::Misaligned { argument });
    }
    Ok(())
}

fn check_size(argument: &'static str, length: usize) -> Result<(), Failure> {
    if length > isize::MAX as usize / size_of::<f64>() {
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

/// "cpu" or "cuda:N".
pub(crate) fn device(name: &str) -> Result<Device, Failure> {
    tensor::device(name).map_err(|error| Failure::Device(Box::new(error)))
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
    fn arrays_are_checked() {
        let mut buffer = [0.0; 2];
        let pointer = buffer.as_mut_ptr();
        // SAFETY: only pointers that are valid for the given length, or refused before use, are passed.
        unsafe {
            assert_eq!(values("x", std::ptr::null(), 0).unwrap().len(), 0);
            assert!(matches!(
                values("x", std::ptr::null(), 1),
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
