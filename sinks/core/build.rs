//! Builds nothing. Cargo allows `links` only beside a build script, and `links` keeps a second version of
//! this crate out of a program: it would have a registry of its own, whose sinks nobody finds.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
