//! Compiles the guard that catches C++ exceptions of engines.

fn main() {
    println!("cargo:rerun-if-changed=src/guard.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flags(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .file("src/guard.cpp")
        .compile("regflow_engine_guard");
}
