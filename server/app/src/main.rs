//! The binary `latentd`.
fn main() {}
