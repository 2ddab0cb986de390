//! Compiles the crate again when a migration is added: the macro that embeds them only sees the files it knows.

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]
fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
