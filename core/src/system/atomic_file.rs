//! The one way to write a file: to a temporary neighbour first, renamed when it is whole.

use std::fs::File;
use std::io;
use std::path::Path;

use super::SystemError;

/// Writes `path` through `write`: to a temporary file in the same folder, flushed to the disk, then renamed, so that a reader
/// sees the old file or the whole new one, never a part. On any failure the temporary file is removed and an old file stays
/// as it was.
///
/// # Errors
/// [`SystemError::Write`] if the folder is missing, `path` is a folder or a device, `write` fails or the disk is full.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), SystemError> {
    let failed = |source| SystemError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = temporary_neighbour(path, "").map_err(failed)?;
    write(file.as_file_mut()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Checks that [`write_atomically`] can write `path`, so that this is told before the work that it is to hold.
///
/// # Errors
/// [`SystemError::Write`] as there, but for a disk that fills up later.
pub fn check_writable(path: &Path) -> Result<(), SystemError> {
    temporary_beside(path).map(|_| ())
}

/// An empty file in the folder of `path` that is removed when dropped.
pub(crate) fn temporary_beside(path: &Path) -> Result<tempfile::NamedTempFile, SystemError> {
    temporary_neighbour(path, "").map_err(|source| SystemError::Write {
        path: path.to_owned(),
        source,
    })
}

/// A hidden temporary file in the folder of `path` whose name ends in `suffix`; removed when dropped.
pub(super) fn temporary_neighbour(
    path: &Path,
    suffix: &str,
) -> io::Result<tempfile::NamedTempFile> {
    match path.metadata() {
        // A rename would replace the device or fail late.
        Ok(found) if !found.is_file() => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is something here that is not a file",
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(suffix);
    #[cfg(unix)]
    {
        // The usual mode of a new file, before the umask; tempfile alone would leave 0600 on the result.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn writes_and_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, |file| file.write_all(b"one")).unwrap();
        write_atomically(&path, |file| file.write_all(b"two")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn missing_folders_folders_and_devices_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            folder.path().join("missing/a.txt"),
            folder.path().to_owned(),
            "/dev/null".into(),
        ] {
            let error = write_atomically(&path, |_| Ok(())).unwrap_err();
            assert!(matches!(error, SystemError::Write { .. }), "{error}");
            let error = check_writable(&path).unwrap_err();
            assert!(matches!(error, SystemError::Write { .. }), "{error}");
        }
        check_writable(&folder.path().join("a.txt")).unwrap();
        assert!(names(folder.path()).is_empty());
    }
}
