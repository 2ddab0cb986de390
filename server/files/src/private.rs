//! What the server writes is its own.

use rustix::fs::Mode;

/// From now on, files and folders that this process makes are for its user alone. Call it once, at the start.
///
/// Root's folders can be passed through by others, though not read: the private Postgres, which does not run as root, has to
/// reach its own inside.
pub fn keep_private() {
    let is_root = rustix::process::geteuid().is_root();
    let mask = if is_root { 0o066 } else { 0o077 };
    rustix::process::umask(Mode::from_raw_mode(mask));
}
