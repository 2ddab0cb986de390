//! The id of a data folder: what tells servers on one database which of them have the files of a cache.

use std::{io, path::Path};

use uuid::Uuid;

/// Name of the file that holds the id.
const NAME: &str = "folder-id";
/// Longest file that is taken for one.
const MAX_BYTES: u64 = 256;

/// The id of the folder, which is given one if it has none. All servers on the folder get the same. Blocks.
///
/// A copy of the folder has the id of the original: give it one of its own by removing the file, or let only one of the two be used
/// with a database.
pub(crate) fn id(folder: &Path) -> io::Result<String> {
    let path = folder.join(NAME);
    if let Some(id) = read(&path)? {
        return Ok(id);
    }
    latentd_files::create_folder(folder)?;
    latentd_files::write_new(&path, Uuid::new_v4().to_string().as_bytes())?;
    read(&path)?.ok_or_else(|| io::Error::other(format!("{} is not an id", path.display())))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let text = latentd_files::read_text_if_present(path, MAX_BYTES)?;
    let id = text.map(|text| text.trim().parse::<Uuid>());
    id.transpose()
        .map(|id| id.map(|id| id.to_string()))
        .map_err(|error| io::Error::other(format!("{} is not an id: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("data");
        let first = id(&inner).unwrap();
        assert_eq!(id(&inner).unwrap(), first);
        assert_eq!(fs_err::read_dir(&inner).unwrap().count(), 1);
        assert_ne!(id(folder.path()).unwrap(), first);
        fs_err::write(inner.join(NAME), "no id").unwrap();
        assert!(id(&inner).is_err());
    }
}
