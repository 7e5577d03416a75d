//! Handles: what the caller holds of an object of this library.
//!
//! A handle knows what it is and whether it was freed, so that a NULL, a handle of another kind and, for a while, one that
//! was freed come back as errors instead of undefined behaviour: the contents go when a handle is freed, the shell is kept
//! until [`QUARANTINE`] others have been freed.

use std::any::Any;
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::arguments::check;
use crate::failure::Failure;

/// Shells of freed handles that are kept, some 50 bytes each.
const QUARANTINE: usize = 4096;
/// Mark of a freed handle.
const FREED: u64 = u64::from_be_bytes(*b"regfREED");

static FREED_HANDLES: Mutex<VecDeque<Box<dyn Any + Send>>> = Mutex::new(VecDeque::new());

/// The inside of a handle.
pub(crate) struct Slot<T> {
    mark: AtomicU64,
    /// Whether an [`Exclusive`] is out.
    busy: AtomicBool,
    content: UnsafeCell<Option<T>>,
}

// SAFETY: the content is reached through `shared` and `exclusive` only, whose callers keep the rules of the C interface:
// exclusive use by one thread at a time (checked by `busy`), and no use during `free`.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// A type that the C interface points to.
pub(crate) trait Handle: Send + 'static {
    /// What is inside.
    type Content: Send + Sync;
    /// Mark of a live handle of this kind.
    const MARK: u64;
    /// Name of the C type.
    const NAME: &'static str;

    fn new(slot: Slot<Self::Content>) -> Self;
    fn slot(&self) -> &Slot<Self::Content>;
}

/// A new handle, which [`free`] ends.
pub(crate) fn create<H: Handle>(content: H::Content) -> *mut H {
    Box::into_raw(Box::new(H::new(Slot {
        mark: AtomicU64::new(H::MARK),
        busy: AtomicBool::new(false),
        content: UnsafeCell::new(Some(content)),
    })))
}

/// # Safety
/// `pointer` is NULL or came from `create`; if its handle was freed, fewer than [`QUARANTINE`] were since.
unsafe fn slot<'a, H: Handle>(
    argument: &'static str,
    pointer: *const H,
) -> Result<&'a Slot<H::Content>, Failure> {
    check(argument, pointer)?;
    // SAFETY: not NULL, aligned, and the caller vouches for the rest.
    let slot = unsafe { &*pointer }.slot();
    match slot.mark.load(Ordering::Acquire) {
        mark if mark == H::MARK => Ok(slot),
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
        .as_ref()
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
    // SAFETY: made by `create`, and given back once.
    let shell: Box<dyn Any + Send> = unsafe { Box::from_raw(pointer) };
    let mut freed = FREED_HANDLES.lock().unwrap_or_else(PoisonError::into_inner);
    freed.push_back(shell);
    let oldest = (freed.len() > QUARANTINE).then(|| freed.pop_front());
    drop(freed);
    drop((oldest, content));
    Ok(())
}

/// Makes a handle of a type that the C interface points to. The type itself is written out, for cbindgen to see it.
macro_rules! handle {
    ($name:ident($content:ty), $c_name:literal, $mark:literal) => {
        impl $crate::handle::Handle for $name {
            type Content = $content;
            const MARK: u64 = u64::from_be_bytes(*$mark);
            const NAME: &'static str = $c_name;

            fn new(slot: $crate::handle::Slot<$content>) -> Self {
                $name(slot)
            }
            fn slot(&self) -> &$crate::handle::Slot<$content> {
                &self.0
            }
        }
    };
}
pub(crate) use handle;

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(Slot<u32>);
    struct Other(Slot<u32>);
    handle!(Number(u32), "number", b"regnumbr");
    handle!(Other(u32), "other", b"regother");

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
        use std::sync::Arc;
        struct Shared(Slot<Arc<u32>>);
        handle!(Shared(Arc<u32>), "shared", b"regshard");
        let content = Arc::new(1);
        for _ in 0..QUARANTINE + 10 {
            let handle = create::<Shared>(Arc::clone(&content));
            // SAFETY: just made.
            unsafe { free("a", handle) }.unwrap();
            assert_eq!(Arc::strong_count(&content), 1);
        }
        let kept = FREED_HANDLES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        assert!(kept <= QUARANTINE);
    }
}
