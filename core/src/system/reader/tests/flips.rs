//! Damaged files of every format: whatever the bytes, the result is frames or an error, in bounded memory and time.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::system::fixtures::{frames, topology};
use crate::system::{ReadOptions, Trajectory, TrajectoryWriter};

/// The environment variable that names the child's folder.
const FOLDER: &str = "REGFLOW_TEST_FLIPS";

/// Formats of files of five frames, and how many changed copies of each are read.
const FORMATS: [(&str, u64); 8] = [
    ("xtc", 2000),
    ("trr", 2000),
    ("dcd", 2000),
    ("nc", 2000),
    ("xyz", 400),
    ("gro", 400),
    ("pdb", 400),
    ("lammpstrj", 400),
];

/// Sebastiano Vigna's SplitMix64: the same changes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// One to four bytes or whole words changed, a piece taken out, or the end cut off.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    // Headers decide most: every other change hits the first half kilobyte.
    let reach = if random.below(2) == 0 {
        bytes.len().min(512)
    } else {
        bytes.len()
    };
    match random.below(8) {
        0 => bytes.truncate(random.below(reach).max(1)),
        1 => {
            let at = random.below(reach);
            bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()));
        }
        2 => {
            let at = random.below(reach).saturating_sub(4) & !3;
            let value: u32 = [0, 1, u32::MAX, 1 << 31, i32::MAX as u32, 1 << 24][random.below(6)];
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(reach);
                bytes[at] = match random.below(3) {
                    0 => bytes[at] ^ (1 << random.below(8)),
                    _ => random.next() as u8,
                };
            }
        }
    }
}

fn lammps() -> String {
    let all = frames();
    let mut text = String::new();
    for frame in 0..all.len() {
        text += "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n22\nITEM: BOX BOUNDS xy xz yz pp pp pp\n0 30 1\n0 30 2\n0 30 3\nITEM: ATOMS id xs ys zs ix iy iz\n";
        for (atom, x) in all.frame(frame).chunks_exact(3).enumerate() {
            text += &format!(
                "{} {:.6} {:.6} {:.6} 0 0 0\n",
                atom + 1,
                x[0] / 3.0,
                x[1] / 3.0,
                x[2] / 3.0
            );
        }
    }
    text
}

/// Reads what the parent test asks for; a crash is the parent's failure.
#[test]
#[ignore = "a child of damaged_files_give_frames_or_an_error"]
fn child() {
    let folder = std::env::var_os(FOLDER).expect("run by its parent");
    let folder = Path::new(&folder);
    let (topology, options) = (
        topology("aldp"),
        ReadOptions {
            longest_bond: f64::INFINITY,
            ..ReadOptions::default()
        },
    );
    for (number, (extension, copies)) in FORMATS.into_iter().enumerate() {
        let path = folder.join(format!("whole.{extension}"));
        if extension == "lammpstrj" {
            fs::write(&path, lammps()).unwrap();
        } else {
            let mut writer = TrajectoryWriter::create(&path, &topology).unwrap();
            writer.write(&frames().positions).unwrap();
            writer.finish().unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let (mut read, mut refused) = (0, 0);
        for copy in 0..copies {
            let mut random = Random((number as u64) << 32 | copy);
            let mut bytes = whole.clone();
            change(&mut bytes, &mut random);
            // A file of its own, which tells the parent what ended the process; and one that replaced another would go to the
            // disk at once.
            let name = format!("copy{copy}.{extension}");
            let path = folder.join(&name);
            fs::write(&path, &bytes).unwrap();
            let start = Instant::now();
            let result =
                Trajectory::open(&[&path], &topology, &options).and_then(|mut all| all.read_all());
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "copy {copy} of {extension} took {:?}",
                start.elapsed()
            );
            match result {
                // A size that was made smaller may split a frame, but nothing adds up to many.
                Ok(frames) => {
                    assert!(
                        frames.len() <= 12,
                        "{} frames from copy {copy} of {extension}",
                        frames.len()
                    );
                    assert!(frames.positions.iter().all(|x| x.is_finite()));
                    read += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains(&name), "{error}");
                    refused += 1;
                }
            }
            fs::remove_file(&path).unwrap();
        }
        // Bits of coordinates make frames, those of headers errors: both must have been tried.
        assert!(
            read > copies / 20 && refused > copies / 20,
            "{extension}: {read} read, {refused} refused"
        );
    }
}

#[test]
fn damaged_files_give_frames_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let test = std::env::current_exe().unwrap();
    // 2 GiB of address space: a size that is believed must not take memory.
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v 2097152; exec \"$0\" \"$@\""])
        .arg(test)
        .args([
            "--ignored",
            "--exact",
            "system::reader::tests::flips::child",
            "--test-threads=1",
        ])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(300) {
            child.kill().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("copy"))
        .collect();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{} at {left:?}:\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
