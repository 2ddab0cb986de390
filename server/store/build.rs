//! Compiles the crate again when a migration is added: the macro that embeds them only sees the files it knows.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
