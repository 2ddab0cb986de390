//! The demonstration's SAE: part of this program, so that it needs no path and no network.

use std::path::{Path, PathBuf};

use super::{Error, archive::write_whole};

macro_rules! files {
    ($($name:literal),*) => {
        &[$(($name, include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/../../deploy/demo/sae-smollm2-135m-l9/", $name
        )) as &[u8])),*]
    };
}

/// The folder's files, as in `deploy/demo`.
const FILES: &[(&str, &[u8])] = files![
    "cfg.json",
    "sae_weights.safetensors",
    "sparsity.safetensors"
];

/// Writes the SAE as a SAELens folder under `data_dir`, unless it is there, and returns the folder.
pub fn write(data_dir: &Path) -> Result<PathBuf, Error> {
    let folder = data_dir.join("fetched/sae-smollm2-135m-l9");
    for (name, content) in FILES {
        let path = folder.join(name);
        let there = latentd_files::read(&path, content.len() as u64);
        let same = there.is_ok_and(|there| there == *content);
        if !same {
            write_whole(&path, content)?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_written_and_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let folder = write(dir.path()).unwrap();
        fs_err::write(folder.join("cfg.json"), "{").unwrap();
        assert_eq!(write(dir.path()).unwrap(), folder);
        for (name, content) in FILES {
            assert_eq!(fs_err::read(folder.join(name)).unwrap(), *content);
        }
    }
}
