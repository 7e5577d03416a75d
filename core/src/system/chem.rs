//! Calls into chemfiles: its warnings recorded instead of printed, its panics caught, file names checked.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use super::{SystemError, printable};

thread_local! {
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Panics of this thread are caught and told as errors: nothing is to be printed of them.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Distinct warnings kept per recorder; a file with more has one problem, many times.
const MOST_WARNINGS: usize = 20;

/// Runs `action`, which calls chemfiles, and adds the warnings of chemfiles that are new to `warnings`.
pub(super) fn call<T>(
    warnings: &mut Vec<String>,
    action: impl FnOnce() -> Result<T, chemfiles::Error>,
) -> Result<T, String> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // chemfiles warns on the thread that called it.
        chemfiles::set_warning_callback(|message| {
            WARNINGS.with_borrow_mut(|all| all.push(printable(message).into_owned()))
        });
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !CATCHES.get() {
                before(panic);
            }
        }));
    });
    WARNINGS.with_borrow_mut(Vec::clear);
    // The binding panics on messages that are not UTF-8, as a corrupt file may provoke.
    CATCHES.set(true);
    let result = catch_unwind(AssertUnwindSafe(action));
    CATCHES.set(false);
    let result = match result {
        Ok(result) => result.map_err(|error| printable(&error.message).into_owned()),
        Err(_) => Err(
            "it holds text that is not UTF-8; the file is corrupt or of another format".to_owned(),
        ),
    };
    for warning in WARNINGS.with_borrow_mut(std::mem::take) {
        if warnings.len() < MOST_WARNINGS && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    result
}

/// The chemfiles format of a path by its extension, e.g. "DCD" or "XYZ / GZ".
pub(super) fn format_of(path: &Path) -> Result<String, SystemError> {
    check_name(path)?;
    call(&mut Vec::new(), || chemfiles::guess_format(path)).map_err(|reason| {
        SystemError::UnknownFormat {
            path: path.to_owned(),
            reason,
            known: extensions(|format| format.read),
        }
    })
}

/// Extensions of all formats that `usable` accepts.
pub(super) fn extensions(usable: impl Fn(&chemfiles::FormatMetadata) -> bool) -> String {
    let mut known: Vec<String> = chemfiles::formats_list()
        .iter()
        .filter(|format| usable(format))
        .filter_map(|format| format.extension.map(str::to_owned))
        .collect();
    known.sort();
    known.join(" ")
}

/// Refuses names that the C interface cannot take.
pub(super) fn check_name(path: &Path) -> Result<(), SystemError> {
    match path.to_str() {
        Some(name) if !name.contains('\0') => Ok(()),
        _ => Err(SystemError::FileName {
            path: path.to_owned(),
        }),
    }
}

/// Refuses what is missing, unreadable, empty or no file, with one message for all formats.
pub(super) fn check_readable(path: &Path) -> Result<(), SystemError> {
    let failed = |source| SystemError::Read {
        path: path.to_owned(),
        source,
    };
    check_name(path)?;
    let found = std::fs::File::open(path)
        .and_then(|file| file.metadata())
        .map_err(failed)?;
    if !found.is_file() {
        return Err(failed(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is not a regular file",
        )));
    }
    if found.len() == 0 {
        return Err(SystemError::EmptyFile {
            path: path.to_owned(),
        });
    }
    Ok(())
}
