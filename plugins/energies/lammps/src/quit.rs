//! Finds the command `quit` in an input before LAMMPS does, which would end the process, with status 0 as a rule.
//!
//! Seen are commands of the input and of the files that `include` and `jump` name, and commands within `if`, `run ... every` and
//! `partition`. Not seen is what only LAMMPS or others can know: commands and file names made of variables, and what Python
//! code, plugins and programs started by `shell` do.

use std::collections::HashSet;
use std::path::PathBuf;

/// File and line of the first `quit`, if there is one. What cannot be read is left to LAMMPS, which has words for it.
pub fn find(file: &str) -> Option<(String, usize)> {
    find_in(file, &mut HashSet::new())
}

/// `seen` has the files that were looked through: each is one time, also where they name each other.
fn find_in(file: &str, seen: &mut HashSet<PathBuf>) -> Option<(String, usize)> {
    let path = PathBuf::from(file).canonicalize().ok()?;
    // Nothing that may wait for input, such as a pipe.
    if !path.is_file() || !seen.insert(path.clone()) {
        return None;
    }
    let text = std::fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    commands(&text)
        .into_iter()
        .find_map(|(line, command)| match ends(&command) {
            Some(Ending::Quit) => Some((file.to_owned(), line)),
            Some(Ending::Files(files)) => files.iter().find_map(|file| find_in(file, seen)),
            None => None,
        })
}

/// Commands with the numbers of their first lines, as LAMMPS joins them: `&` at the end of a line, or triple quotes still open.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut command = String::new();
    let mut first = 1;
    for (number, line) in (1..).zip(text.lines()) {
        command.push_str(line);
        if let Some(start) = command.trim_end().strip_suffix('&') {
            command.truncate(start.len());
        } else if command.matches("\"\"\"").count() % 2 == 1 {
            command.push('\n');
        } else {
            commands.push((first, std::mem::take(&mut command)));
            first = number + 1;
        }
    }
    commands.push((first, command));
    commands
}

/// What a command leads to.
#[derive(PartialEq, Debug)]
enum Ending {
    /// The end of the process.
    Quit,
    /// Commands in these files.
    Files(Vec<String>),
}

fn ends(command: &str) -> Option<Ending> {
    let words = words(command);
    let (name, arguments) = words.split_first()?;
    match *name {
        "quit" => Some(Ending::Quit),
        "include" | "jump" => {
            let file = arguments.first()?;
            Some(Ending::Files(vec![(*file).to_owned()]))
        }
        "partition" => ends(&arguments.get(2..)?.join(" ")),
        // Commands are among the arguments, each one word by its quotes.
        "if" | "run" => {
            let mut files = Vec::new();
            for argument in arguments {
                match ends(argument) {
                    Some(Ending::Quit) => return Some(Ending::Quit),
                    Some(Ending::Files(more)) => files.extend(more),
                    None => {}
                }
            }
            Some(Ending::Files(files))
        }
        _ => None,
    }
}

/// Words of a command without its comment; quotes hold words together.
fn words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let quotes = ["\"\"\"", "\"", "'"];
        let quote = quotes.into_iter().find(|quote| rest.starts_with(quote));
        let (word, after) = if let Some(quote) = quote {
            let inside = &rest[quote.len()..];
            inside.split_once(quote).unwrap_or((inside, ""))
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || c == '#');
            rest.split_at(end.unwrap_or(rest.len()))
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<usize> {
        let mut commands = commands(text).into_iter();
        commands.find_map(|(line, command)| (ends(&command) == Some(Ending::Quit)).then_some(line))
    }

    #[test]
    fn quit_is_found_where_lammps_runs_it() {
        for (text, expected) in [
            ("units real\nquit\n", 2),
            ("  quit 3 # now", 1),
            ("# &\nno comment\nquit", 3),
            ("units &\n real\nqu&\nit", 3),
            ("if \"$x > 0\" then \"quit 1\" else \"print 'no'\"", 1),
            ("if 1 then &\n 'print a' &\n else quit", 1),
            ("if 1 then \"if 1 then 'quit'\"", 1),
            ("run 100 every 10 \"print x\" \"\"\"quit\"\"\"", 1),
            ("partition yes 1 quit", 1),
            ("print \"\"\"\nquit\n\"\"\"\nquit", 4),
        ] {
            assert_eq!(line(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn words_alone_do_not_count() {
        for text in [
            "# quit",
            "units real # quit",
            "print quit",
            "print \"a # b\" # c",
            "label quit",
            "if 1 then \"jump SELF quit\"",
            "if \"$x == quit\" then \"print quit\"",
            "quitting",
            "python f source here \"\"\"\ndef f():\n  quit\n\"\"\"",
            "print \"open\nunits real",
            "",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }
}
