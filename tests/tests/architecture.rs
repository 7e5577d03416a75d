//! What the sources may name, and where.

use std::path::{Path, PathBuf};

use regflow_tests::root;

/// Rust sources below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The tensor library is named in `core/src/tensor` only: what others use of it, that module exports.
#[test]
fn only_the_room_of_tensors_names_the_tensor_library() {
    let room = root().join("core/src/tensor");
    // Written apart, so that this file does not name it either.
    let name = ["can", "dle"].concat();
    let (mut inside, mut outside) = (0, Vec::new());
    for folder in ["core", "plugins", "ffi", "tests", "examples"] {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            let lines = text
                .lines()
                .enumerate()
                .filter(|(_, line)| line.contains(&name));
            if path.starts_with(&room) {
                inside += lines.count();
            } else {
                outside
                    .extend(lines.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
            }
        }
    }
    assert!(
        inside > 0,
        "the room of tensors is elsewhere than {}",
        room.display()
    );
    assert!(
        outside.is_empty(),
        "{name} is named outside {}: {outside:?}",
        room.display()
    );
}
