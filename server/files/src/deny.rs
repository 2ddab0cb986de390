//! Places that nobody's path may lead to, whatever the system would let this process read.

use std::{
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use crate::Error;

/// What the kernel tells of processes and devices: among it, the environment and the memory of this process.
const OF_THE_KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Folders and files of our own that hold secrets, with all links resolved. It only grows.
static OWN: RwLock<Vec<PathBuf>> = RwLock::new(Vec::new());

/// From now on, no file in this folder can be opened by a path from outside: the private database's, say.
pub fn deny(path: &Path) {
    let path = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut own = OWN.write().unwrap_or_else(PoisonError::into_inner);
    if !own.contains(&path) {
        own.push(path);
    }
}

/// Fails if what was opened lies in a denied place. It is the descriptor that is asked, not the path: links may have changed.
pub(crate) fn check(file: &fs_err::File) -> Result<(), Error> {
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Where there is no /proc, there are no such places.
    let Ok(place) = fs_err::read_link(descriptor) else {
        return Ok(());
    };
    let own = OWN.read().unwrap_or_else(PoisonError::into_inner);
    let of_the_kernel = OF_THE_KERNEL.iter().map(Path::new);
    let mut denied = of_the_kernel.chain(own.iter().map(PathBuf::as_path));
    match denied.find(|denied| place.starts_with(denied)) {
        Some(denied) => Err(Error::Denied(denied.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_do_not_lead_into_denied_places() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("corpus.txt");
        for secret in ["/proc/self/environ", "/proc/self/maps"] {
            fs_err::os::unix::fs::symlink(secret, &link).unwrap();
            let error = crate::open(&link).unwrap_err();
            assert!(matches!(error, Error::Denied(_)), "{error}");
            fs_err::remove_file(&link).unwrap();
        }
        let own = folder.path().join("own");
        fs_err::create_dir(&own).unwrap();
        fs_err::write(own.join("password"), "s3cret").unwrap();
        assert!(crate::read(&own.join("password"), 9).is_ok());
        deny(&own);
        fs_err::os::unix::fs::symlink(&own, folder.path().join("other")).unwrap();
        for path in ["own/password", "other/password", "own/../own/password"] {
            let error = crate::read(&folder.path().join(path), 9).unwrap_err();
            assert!(matches!(error, Error::Denied(_)), "{path}: {error}");
        }
    }
}
