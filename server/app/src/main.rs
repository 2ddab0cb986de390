//! The binary `latentd`: the allocator, and the command line.

use std::process::ExitCode;

/// Buffers of a request come and go on many threads; this allocator keeps them from fighting over locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    latentd::cli::main()
}
