//! Settings of the whole process, made before anything else runs.

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 2 and 3: milliseconds after which free memory goes back to the system.
const PURGE_DELAY: mi_option_t = 15;

/// To be called first, while there is one thread.
pub fn prepare() {
    // Every step frees and takes the same large buffers; to get them anew from the system would cost a tenth of the time.
    // SAFETY: this option exists, and no other thread runs yet that could allocate.
    unsafe { mi_option_set(PURGE_DELAY, 10_000) };
}
