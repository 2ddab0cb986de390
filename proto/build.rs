//! Compiles `latentd/v1/*.proto` with protox, so that no `protoc` is needed.

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
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(descriptors)?;
    Ok(())
}
