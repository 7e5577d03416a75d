//! Attributes of operations, with the lifetime of what they borrow.

use crate::abi::{ATTR_FLOAT, ATTR_INTS, Attr};
use std::marker::PhantomData;

/// A named argument of an operation: a key of [`crate::abi::op::key`] with a number or a list of integers.
///
/// It cannot outlive the integers:
///
/// ```compile_fail,E0597
/// use regflow_plugin::{Attribute, abi::op::key};
/// let attribute = {
///     let shape = [2, 3];
///     Attribute::ints(key::SHAPE, &shape)
/// };
/// attribute.value();
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Attribute<'a> {
    raw: Attr,
    values: PhantomData<&'a [i64]>,
}

// SAFETY: the integers are borrowed and only read.
unsafe impl Send for Attribute<'_> {}
// SAFETY: as above.
unsafe impl Sync for Attribute<'_> {}

/// What an attribute holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    /// A number.
    Float(f64),
    /// A list of integers.
    Ints(&'a [i64]),
    /// A kind that this version does not know.
    Unknown(u32),
}

impl<'a> Attribute<'a> {
    /// A number.
    pub const fn float(key: u32, value: f64) -> Self {
        Attribute {
            raw: Attr {
                key,
                kind: ATTR_FLOAT,
                float: value,
                ints: std::ptr::null(),
                len: 0,
            },
            values: PhantomData,
        }
    }

    /// Integers.
    pub const fn ints(key: u32, values: &'a [i64]) -> Self {
        Attribute {
            raw: Attr {
                key,
                kind: ATTR_INTS,
                float: 0.0,
                ints: values.as_ptr(),
                len: values.len() as u64,
            },
            values: PhantomData,
        }
    }

    /// The attributes of a call through the ABI.
    ///
    /// # Safety
    /// `ints` of each that has `ATTR_INTS` is null or has `len` values that stay and do not change during `'a`.
    pub const unsafe fn from_raw(attrs: &'a [Attr]) -> &'a [Attribute<'a>] {
        // SAFETY: `Attribute` has the layout of `Attr`; the caller vouches for the pointers.
        unsafe { std::slice::from_raw_parts(attrs.as_ptr().cast(), attrs.len()) }
    }

    /// The attributes as the ABI has them.
    pub(crate) const fn to_raw(attributes: &'a [Attribute<'_>]) -> &'a [Attr] {
        // SAFETY: `Attribute` has the layout of `Attr`.
        unsafe { std::slice::from_raw_parts(attributes.as_ptr().cast(), attributes.len()) }
    }

    /// Its key.
    pub const fn key(&self) -> u32 {
        self.raw.key
    }

    /// What it holds.
    pub fn value(&self) -> Value<'a> {
        let Attr {
            kind,
            float,
            ints,
            len,
            ..
        } = self.raw;
        match kind {
            ATTR_FLOAT => Value::Float(float),
            ATTR_INTS if len == 0 => Value::Ints(&[]),
            ATTR_INTS if ints.is_null() => Value::Unknown(kind),
            // SAFETY: not null, and of `len` values that live for 'a: borrowed in `ints`, or vouched for in `from_raw`.
            ATTR_INTS => Value::Ints(unsafe { std::slice::from_raw_parts(ints, len as usize) }),
            kind => Value::Unknown(kind),
        }
    }
}
