//! Gives the shared library its versioned name, and keeps what it exports to the functions of the header.

/// Version of the binary interface. It is raised when a function or type of `include/regflow.h` changes or goes away, and
/// then only: programs linked to `libregflow.so.N` run with every later library of that name.
const SOVERSION: u32 = 0;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libregflow.so.{SOVERSION}");
        // Some crates export functions in C (bzip2 its error handler), which would be one in the whole process with those of
        // others: of this crate's own objects alone the functions stay visible.
        println!("cargo:rustc-cdylib-link-arg=-Wl,--exclude-libs,ALL");
    }
}
