//! Compiles `latentd/v1/*.proto` with protox, so that no `protoc` is needed, and lists the pages of `errors`.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told where to write by a variable"
)]

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 8] = [
    "latentd/v1/server.proto",
    "latentd/v1/model.proto",
    "latentd/v1/sae.proto",
    "latentd/v1/activation.proto",
    "latentd/v1/cache.proto",
    "latentd/v1/job.proto",
    "latentd/v1/explanation.proto",
    "latentd/v1/provider.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=latentd");
    println!("cargo:rerun-if-changed=google");
    println!("cargo:rerun-if-changed=errors");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(descriptors)?;
    fs::write(out.join("error_pages.rs"), error_pages()?)?;
    Ok(())
}

/// A Rust slice of each reason and its page, by reason.
fn error_pages() -> Result<String, Box<dyn Error>> {
    let folder = fs::canonicalize("errors")?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(reason) = path.file_stem().and_then(|stem| stem.to_str()) {
            pages.push(format!("({reason:?}, include_str!({path:?})),\n"));
        }
    }
    pages.sort();
    Ok(format!("&[\n{}]", pages.concat()))
}
