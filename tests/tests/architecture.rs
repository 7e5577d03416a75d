//! What the sources may name, and where: the arrows that ARCHITECTURE.md allows, and the one room that knows the tensor library.

use std::collections::{BTreeMap, BTreeSet};
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

/// Source without its comments, and without what is compiled for tests alone: tests may look anywhere.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("mod tests {"))
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    code.join("\n")
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().and_then(|n| n.to_str()).unwrap();
    let in_tests = path.components().any(|part| part.as_os_str() == "tests");
    in_tests || name == "tests" || name.ends_with("_tests") || name == "fixtures" || name == "chain"
}

/// The rooms that `crate::` paths of this code enter, those of `use crate::{a, b}` included.
fn entered(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        let letter = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        text.chars().take_while(letter).collect()
    };
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate`, and other crates whose names end alike, are no rooms of this one.
        if code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut first = true;
        for (place, c) in list.char_indices() {
            if depth == 0 && first && c.is_ascii_alphabetic() {
                rooms.insert(word(&list[place..]));
                first = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                _ => {}
            }
        }
    }
    rooms
}

/// The block of ARCHITECTURE.md between the fences that follow `heading`.
fn block(heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, rest) = text.split_once(heading).expect("the heading is there");
    let (_, rest) = rest.split_once("```text\n").expect("a block follows");
    let (block, _) = rest.split_once("```").expect("the block ends");
    block.lines().map(str::to_owned).collect()
}

#[test]
fn rooms_use_only_what_the_architecture_allows() {
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in block("## Arrows") {
        let (room, uses) = line.split_once("->").expect("ROOM -> ROOM, ROOM");
        let uses = uses.split(',').map(|room| room.trim().to_owned());
        let uses = uses.filter(|room| !room.is_empty()).collect();
        allowed.insert(room.trim().to_owned(), uses);
    }
    let source = root().join("core/src");
    let mut wrong = Vec::new();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&source) {
        let inside = path.strip_prefix(&source).unwrap();
        let room = inside.components().next().unwrap().as_os_str();
        let room = room.to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "lib" || room == "bin" || is_test(inside) {
            continue;
        }
        for other in entered(&code(&path)) {
            if other == room {
                continue;
            }
            if !allowed.get(&room).is_some_and(|uses| uses.contains(&other)) {
                wrong.push(format!("{}: {room} -> {other}", inside.display()));
            }
            used.entry(room.clone()).or_default().insert(other);
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that ARCHITECTURE.md does not allow:\n{}",
        wrong.join("\n")
    );
    // The page stays true the other way round, too.
    for (room, uses) in &allowed {
        assert!(
            source.join(room).exists(),
            "ARCHITECTURE.md names the room {room}, which is not there"
        );
        let none = BTreeSet::new();
        let used = used.get(room).unwrap_or(&none);
        let idle: Vec<_> = uses.difference(used).collect();
        assert!(
            idle.is_empty(),
            "ARCHITECTURE.md allows arrows from {room} that nothing uses: {idle:?}"
        );
    }
}

#[test]
fn arrows_make_no_circle() {
    let mut rest: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in block("## Arrows") {
        let (room, uses) = line.split_once("->").unwrap();
        let uses = uses.split(',').map(|room| room.trim().to_owned());
        rest.insert(
            room.trim().into(),
            uses.filter(|room| !room.is_empty()).collect(),
        );
    }
    while !rest.is_empty() {
        let free: Vec<String> = rest
            .iter()
            .filter(|(_, uses)| uses.iter().all(|other| !rest.contains_key(other)))
            .map(|(room, _)| room.clone())
            .collect();
        assert!(
            !free.is_empty(),
            "these rooms use each other in a circle: {rest:?}"
        );
        for room in free {
            rest.remove(&room);
        }
    }
}
