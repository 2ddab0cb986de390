//! As whom Postgres runs: it refuses root, so a server of root drops to another account, which must be able to reach the files.

use std::{
    io,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use super::Error;

/// The user that Postgres runs as, where it is not the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account for a server of root, `None` for any other server, which runs Postgres as itself.
    ///
    /// It is the owner of `existing`, if there is one who is not root, else `nobody`. Postgres looks its user id up, so the
    /// account must be in /etc/passwd.
    pub(super) fn choose(existing: Option<&Path>) -> Result<Option<Self>, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs_err::read_to_string("/etc/passwd").map_err(|_| Error::NoAccount)?;
        let owner = existing
            .and_then(|path| path.metadata().ok())
            .map(|metadata| metadata.uid());
        let mut accounts = passwd.lines().filter_map(Self::parse);
        let owned = owner
            .filter(|&uid| uid != 0)
            .and_then(|uid| accounts.find(|account| account.uid == uid));
        let nobody = || {
            passwd
                .lines()
                .filter_map(Self::parse)
                .find(|account| account.name == "nobody")
        };
        owned
            .or_else(nobody)
            .filter(|account| account.uid != 0)
            .map(Some)
            .ok_or(Error::NoAccount)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { name, uid, gid })
    }

    /// The first folder on the way to `path` that the account cannot enter, `path` included if it is there.
    pub(super) fn blocked_at(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let path = absolute(path)?;
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for folder in ancestors.into_iter().rev() {
            match folder.metadata() {
                Ok(metadata) if !metadata.is_dir() || self.may_enter(&metadata) => {}
                Ok(_) => return Ok(Some(folder.to_owned())),
                // It will be made by us, with the right mode.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn may_enter(&self, metadata: &std::fs::Metadata) -> bool {
        let bit = if metadata.uid() == self.uid {
            0o100
        } else if metadata.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    }

    /// Gives a file or folder to the account.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot give {} to `{}`: {error}", path.display(), self.name),
            )
        })
    }
}

/// The path with every link in its existing part resolved: what the kernel will walk.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut existing = path.as_path();
    loop {
        match fs_err::canonicalize(existing) {
            Ok(real) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(real, |path, name| path.join(name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match (existing.file_name(), existing.parent()) {
            (Some(name), Some(parent)) => {
                missing.push(name.to_owned());
                existing = parent;
            }
            _ => return Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn passwd_lines_are_read() {
        let account =
            Account::parse("nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin").unwrap();
        assert_eq!(
            account,
            Account {
                name: "nobody".into(),
                uid: 65534,
                gid: 65533
            }
        );
        for bad in ["", "nobody", "nobody:x", "nobody:x:many:1", "+::::::"] {
            assert_eq!(Account::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_closed_folder_on_the_way_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| {
            fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let closed = folder.path().join("closed");
        fs_err::create_dir(&closed).unwrap();
        mode(folder.path(), 0o755);
        mode(&closed, 0o700);
        let stranger = Account {
            name: "stranger".into(),
            uid: 4_000_000,
            gid: 4_000_000,
        };
        assert_eq!(
            stranger.blocked_at(&closed.join("a/b")).unwrap(),
            Some(fs_err::canonicalize(&closed).unwrap())
        );
        mode(&closed, 0o711);
        assert_eq!(stranger.blocked_at(&closed.join("a/b")).unwrap(), None);
    }
}
