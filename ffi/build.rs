//! Gives the shared library its versioned name.

/// Version of the binary interface. It is raised when a function or type of `include/regflow.h` changes or goes away, and
/// then only: programs linked to `libregflow.so.N` run with every later library of that name.
const SOVERSION: u32 = 0;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libregflow.so.{SOVERSION}");
    }
}
