//! Files of others and of our own: how the server opens what somebody else names, and writes what must outlive a power cut.
//!
//! A path from outside may lead to anything. Opening a FIFO waits for a writer that never comes, `/dev/zero` never ends, and a file
//! may grow while it is read. So a path is looked at first and opened without waiting, what was opened must be a regular
//! file, and small files are read up to a limit whatever their size says. This is the one place that opens such paths, and the one that renames. It knows no formats.

mod deny;
mod error;
mod interrupt;
mod kind;
mod private;
mod read;
mod whole;

pub use deny::deny;
pub use error::Error;
pub use interrupt::{Interrupt, InterruptOnDrop, Interrupted};
pub use kind::{Kind, kind};
pub use private::keep_private;
pub use read::{open, read, read_if_present, read_text, read_text_if_present};
pub use whole::{
    SCRATCH, WholeFile, create_folder, rename, rename_folder, sync_folder, write, write_new,
};
