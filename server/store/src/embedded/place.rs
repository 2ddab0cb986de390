//! Where the files of the embedded Postgres are: in the data directory if that works, else somewhere that does, and it says so.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{
    Error, PORT,
    account::{Account, absolute},
};

/// A socket's path is at most this long, in bytes: `sun_path` less its final NUL.
const SOCKET_PATH_MAX: usize = 107;
/// Where root's files go when the account that Postgres runs as cannot enter the data directory.
const SYSTEM_STATE: &str = "/var/lib";

/// Folders and the account of one embedded Postgres.
#[derive(Clone, Debug)]
pub(super) struct Place {
    base: PathBuf,
    socket_dir: PathBuf,
    account: Option<Account>,
    notices: Vec<String>,
}

impl Place {
    /// Chooses the folders for a data directory, and makes them.
    pub(super) fn choose(data_dir: &Path) -> Result<Self, Error> {
        fs_err::create_dir_all(data_dir)?;
        let data_dir = absolute(data_dir)?;
        let own = data_dir.join("postgres");
        let moved = read_location(&data_dir)?;
        let account = Account::choose(Some(
            &moved.clone().unwrap_or_else(|| own.clone()).join("cluster"),
        ))?;
        let mut notices = Vec::new();
        let base = match (&account, moved) {
            (_, Some(moved)) => moved,
            (Some(account), None) => match account.blocked_at(&own)? {
                Some(blocked) => {
                    let base = move_out(&data_dir, &blocked, account)?;
                    notices.push(format!(
                        "PostgreSQL does not run as root, so it runs as `{}`, which cannot enter {}: \
                         the database is in {} instead",
                        account.name,
                        blocked.display(),
                        base.display()
                    ));
                    base
                }
                None => own,
            },
            (None, None) => own,
        };
        make_folder(&base, 0o755)?;
        check_owner(&base)?;
        let (socket_dir, notice) = socket_dir(&base, account.as_ref())?;
        notices.extend(notice);
        Ok(Self {
            base,
            socket_dir,
            account,
            notices,
        })
    }

    /// The folder that everything but the socket may be in.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// The folder of the socket.
    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// As whom Postgres runs, if not as this process.
    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// What an operator should know.
    pub(super) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Gives a file or folder to the account that Postgres runs as.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        self.account
            .as_ref()
            .map_or(Ok(()), |account| account.give(path))
    }
}

/// The file in the data directory that says where the database went. A random name, not one made of the path: who deletes the
/// data directory and begins anew must not find the old database.
fn location_file(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres.location")
}

fn read_location(data_dir: &Path) -> Result<Option<PathBuf>, Error> {
    match fs_err::read_to_string(location_file(data_dir)) {
        Ok(location) => Ok(Some(PathBuf::from(location.trim_end()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The folder that [`Place::choose`] chose for a data directory earlier, or would look at first.
pub(super) fn known_base(data_dir: &Path) -> Result<PathBuf, Error> {
    Ok(read_location(data_dir)?.unwrap_or_else(|| data_dir.join("postgres")))
}

/// Makes a folder that the account can enter, and writes down where it is.
fn move_out(data_dir: &Path, blocked: &Path, account: &Account) -> Result<PathBuf, Error> {
    let name = Uuid::new_v4().simple().to_string();
    let base = Path::new(SYSTEM_STATE).join(format!("latentd-{}", name.get(..12).unwrap_or(&name)));
    let unreachable = |why: String| Error::NotReachable {
        account: account.name.clone(),
        blocked: blocked.to_owned(),
        instead: base.clone(),
        why,
    };
    if let Some(blocked) = account.blocked_at(&base)? {
        return Err(unreachable(format!(
            "it cannot enter {} either",
            blocked.display()
        )));
    }
    make_folder(&base, 0o755).map_err(|error| unreachable(error.to_string()))?;
    fs_err::write(base.join("belongs-to"), format!("{}\n", data_dir.display()))?;
    let location = format!("{}\n", base.display());
    latentd_files::write(&location_file(data_dir), location.as_bytes())?;
    Ok(base)
}

/// The folder of the socket: beside the data if the path is short enough, else a private folder in /tmp.
fn socket_dir(base: &Path, account: Option<&Account>) -> Result<(PathBuf, Option<String>), Error> {
    let give = |path: &Path| account.map_or(Ok(()), |account| account.give(path));
    let near = base.join("socket");
    if fits(&near) {
        make_folder(&near, 0o700)?;
        give(&near)?;
        return Ok((near, None));
    }
    let uid = account.map_or_else(
        || rustix::process::geteuid().as_raw(),
        |account| account.uid,
    );
    let far = PathBuf::from(format!("/tmp/latentd-{uid}-{:016x}", path_hash(base)));
    match std::fs::DirBuilder::new().mode(0o700).create(&far) {
        Ok(()) => give(&far)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(io::Error::new(
                error.kind(),
                format!("cannot make {}: {error}", far.display()),
            )
            .into());
        }
    }
    // Anyone may write in /tmp: a folder, or a link, that someone else put there is not used.
    let metadata = fs_err::symlink_metadata(&far)?;
    if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o077 != 0 {
        return Err(Error::SocketDirectory { path: far });
    }
    let notice = format!(
        "the path of {} is too long for a socket: it is in {}",
        near.display(),
        far.display()
    );
    Ok((far, Some(notice)))
}

fn fits(folder: &Path) -> bool {
    folder.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= SOCKET_PATH_MAX
}

/// FNV-1a of a path: another name for each data directory.
fn path_hash(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

/// Makes a folder, if it is not there, with exactly this mode, whatever the umask.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    if !path.is_dir() {
        fs_err::create_dir_all(path)?;
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

/// Postgres refuses a data directory of another user; this says so before, in words.
fn check_owner(base: &Path) -> Result<(), Error> {
    let (owner, user) = (
        fs_err::metadata(base)?.uid(),
        rustix::process::geteuid().as_raw(),
    );
    if user == 0 || owner == user {
        Ok(())
    } else {
        Err(Error::Foreign {
            path: base.to_owned(),
            owner,
            user,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_gets_a_short_socket() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let short = Place::choose(folder.path()).unwrap();
        assert!(fits(short.socket_dir()) && short.socket_dir().starts_with(short.base()));
        assert_eq!(short.notices(), [] as [String; 0]);

        let long = folder
            .path()
            .join("a-folder-with-quite-a-long-name/".repeat(4));
        let place = Place::choose(&long).unwrap();
        assert!(fits(place.socket_dir()), "{}", place.socket_dir().display());
        assert_eq!(place.notices().len(), 1);
        assert_eq!(
            place.socket_dir(),
            Place::choose(&long).unwrap().socket_dir(),
            "the same at every start"
        );
        fs_err::remove_dir_all(place.socket_dir()).unwrap();
    }

    #[test]
    fn a_planted_socket_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let long = folder
            .path()
            .join("b-folder-with-quite-a-long-name/".repeat(4));
        let place = Place::choose(&long).unwrap();
        fs_err::set_permissions(place.socket_dir(), PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(
            Place::choose(&long),
            Err(Error::SocketDirectory { .. })
        ));
        fs_err::remove_dir_all(place.socket_dir()).unwrap();
        fs_err::os::unix::fs::symlink(folder.path(), place.socket_dir()).unwrap();
        assert!(matches!(
            Place::choose(&long),
            Err(Error::SocketDirectory { .. })
        ));
        fs_err::remove_file(place.socket_dir()).unwrap();
    }
}
