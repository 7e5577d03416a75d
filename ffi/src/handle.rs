//! Handles: what the caller holds of an object of this library.
//!
//! A handle knows what it is and whether it was freed, so that a NULL, a handle of another kind and, for a while, one that
//! was freed come back as errors instead of undefined behaviour: the contents go when a handle is freed, the shell is kept
//! until [`QUARANTINE`] others have been freed.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::arguments::check;
use crate::failure::Failure;

/// Shells of freed handles that are kept, 24 bytes each.
const QUARANTINE: usize = 4096;
/// Mark of a freed handle.
const FREED: u64 = u64::from_be_bytes(*b"regfREED");

static FREED_SHELLS: Mutex<VecDeque<Shell>> = Mutex::new(VecDeque::new());

/// What a handle points to: the same size whatever is inside, and the mark first, so that it can be read through a handle
/// of any kind.
#[repr(C)]
struct Slot<T> {
    mark: AtomicU64,
    /// Whether an [`Exclusive`] is out.
    busy: AtomicBool,
    content: UnsafeCell<Option<Box<T>>>,
}

/// A freed handle, to which the caller may still have a pointer: no reference of ours claims it.
struct Shell(*mut Slot<()>);

// SAFETY: without content, and reached through atomics only.
unsafe impl Send for Shell {}

impl Drop for Shell {
    fn drop(&mut self) {
        // SAFETY: made by `create` with a slot of the same layout, whose content was taken; given back once.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A type that the C interface points to. It is never made: pointers to it are pointers to a [`Slot`].
pub(crate) trait Handle {
    /// What is inside.
    type Content: Send + Sync;
    /// Mark of a live handle of this kind.
    const MARK: u64;
    /// Name of the C type.
    const NAME: &'static str;
}

/// A new handle, which [`free`] ends.
pub(crate) fn create<H: Handle>(content: H::Content) -> *mut H {
    Box::into_raw(Box::new(Slot {
        mark: AtomicU64::new(H::MARK),
        busy: AtomicBool::new(false),
        content: UnsafeCell::new(Some(Box::new(content))),
    }))
    .cast()
}

/// # Safety
/// `pointer` is NULL or came from `create`; if its handle was freed, fewer than [`QUARANTINE`] were since.
unsafe fn slot<'a, H: Handle>(
    argument: &'static str,
    pointer: *const H,
) -> Result<&'a Slot<H::Content>, Failure> {
    let pointer: *const Slot<H::Content> = pointer.cast();
    check(argument, pointer)?;
    // SAFETY: not NULL, aligned, and every kind of slot begins with its mark.
    match unsafe { &*pointer.cast::<AtomicU64>() }.load(Ordering::Acquire) {
        // SAFETY: a live handle of this kind.
        mark if mark == H::MARK => Ok(unsafe { &*pointer }),
        FREED => Err(Failure::Freed { argument }),
        _ => Err(Failure::WrongHandle {
            argument,
            expected: H::NAME,
        }),
    }
}

/// The content, for calls that do not change it.
///
/// # Safety
/// As `slot`; no other call changes or frees the handle for `'a`.
pub(crate) unsafe fn shared<'a, H: Handle>(
    argument: &'static str,
    pointer: *const H,
) -> Result<&'a H::Content, Failure> {
    // SAFETY: the caller vouches for the pointer.
    let slot = unsafe { slot(argument, pointer) }?;
    // SAFETY: nothing changes the content meanwhile.
    unsafe { &*slot.content.get() }
        .as_deref()
        .ok_or(Failure::Freed { argument })
}

/// The content, for one call at a time.
pub(crate) struct Exclusive<'a, T> {
    content: &'a mut T,
    busy: &'a AtomicBool,
}

impl<T> Deref for Exclusive<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.content
    }
}

impl<T> DerefMut for Exclusive<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.content
    }
}

impl<T> Drop for Exclusive<'_, T> {
    fn drop(&mut self) {
        self.busy.store(false, Ordering::Release);
    }
}

/// The content, for calls that change it: an error if another such call is in progress.
///
/// # Safety
/// As `slot`; no `shared` call uses the handle and no call frees it for `'a`.
pub(crate) unsafe fn exclusive<'a, H: Handle>(
    argument: &'static str,
    pointer: *const H,
) -> Result<Exclusive<'a, H::Content>, Failure> {
    // SAFETY: the caller vouches for the pointer.
    let slot = unsafe { slot(argument, pointer) }?;
    if slot.busy.swap(true, Ordering::Acquire) {
        return Err(Failure::Busy { argument });
    }
    // SAFETY: `busy` was false, so that this is the only `Exclusive`, and the caller vouches for the rest.
    match unsafe { &mut *slot.content.get() } {
        Some(content) => Ok(Exclusive {
            content,
            busy: &slot.busy,
        }),
        None => Err(Failure::Freed { argument }),
    }
}

/// Ends a handle. NULL does nothing.
///
/// # Safety
/// As `slot`; no other call uses the handle.
pub(crate) unsafe fn free<H: Handle>(
    argument: &'static str,
    pointer: *mut H,
) -> Result<(), Failure> {
    if pointer.is_null() {
        return Ok(());
    }
    // SAFETY: the caller vouches for the pointer.
    let slot = unsafe { slot(argument, pointer) }?;
    if slot.busy.load(Ordering::Acquire) {
        return Err(Failure::Busy { argument });
    }
    let freed = slot
        .mark
        .compare_exchange(H::MARK, FREED, Ordering::AcqRel, Ordering::Acquire);
    if freed.is_err() {
        return Err(Failure::Freed { argument });
    }
    // SAFETY: this call alone has freed the handle, and the caller vouches that no other one uses it.
    let content = unsafe { &mut *slot.content.get() }.take();
    let mut shells = FREED_SHELLS.lock().unwrap_or_else(PoisonError::into_inner);
    shells.push_back(Shell(pointer.cast()));
    let oldest = (shells.len() > QUARANTINE).then(|| shells.pop_front());
    drop(shells);
    drop((oldest, content));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Number;
    struct Other;
    struct Counted;

    impl Handle for Number {
        type Content = u32;
        const MARK: u64 = 1;
        const NAME: &'static str = "number";
    }

    impl Handle for Other {
        type Content = [u64; 100];
        const MARK: u64 = 2;
        const NAME: &'static str = "other";
    }

    impl Handle for Counted {
        type Content = Arc<u32>;
        const MARK: u64 = 3;
        const NAME: &'static str = "counted";
    }

    #[test]
    fn handles_know_what_they_are() {
        let number = create::<Number>(7);
        // SAFETY: every pointer is NULL, or a handle that lives or was freed just now.
        unsafe {
            assert_eq!(*shared("a", number).unwrap(), 7);
            *exclusive("a", number).unwrap() += 1;
            assert_eq!(*shared("a", number).unwrap(), 8);
            assert!(matches!(
                shared("a", number.cast::<Other>()),
                Err(Failure::WrongHandle {
                    expected: "other",
                    ..
                })
            ));
            let first = exclusive("a", number).unwrap();
            assert!(matches!(exclusive("a", number), Err(Failure::Busy { .. })));
            assert!(matches!(free("a", number), Err(Failure::Busy { .. })));
            drop(first);
            assert!(free("a", number).is_ok());
            assert!(matches!(shared("a", number), Err(Failure::Freed { .. })));
            assert!(matches!(exclusive("a", number), Err(Failure::Freed { .. })));
            assert!(matches!(free("a", number), Err(Failure::Freed { .. })));
            assert!(free("a", std::ptr::null_mut::<Number>()).is_ok());
            assert!(matches!(
                shared("a", std::ptr::null::<Number>()),
                Err(Failure::Null { .. })
            ));
        }
    }

    #[test]
    fn contents_go_at_once_and_shells_in_the_end() {
        let content = Arc::new(1);
        for _ in 0..QUARANTINE + 10 {
            let handle = create::<Counted>(Arc::clone(&content));
            // SAFETY: just made.
            unsafe { free("a", handle) }.unwrap();
            assert_eq!(Arc::strong_count(&content), 1);
        }
        let kept = FREED_SHELLS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        assert!(kept <= QUARANTINE);
    }
}
