//! The folder of one attempt at a build, which no other attempt writes into.
//!
//! A process that was taken for dead, while it was only stopped, may come back at any time and go on writing. It writes into the folder
//! of its own attempt; the database says which attempt's folder is the cache. A new attempt takes over what earlier ones finished by
//! links to their files, so that nothing is computed twice; files are never changed in place.

use std::{
    io,
    path::{Path, PathBuf},
};

use latentd_cache::{manifest_path, saes_dir, tokens_path};
use latentd_domain::JobId;
use latentd_files::SCRATCH;

/// Name of the folder of the attempt with this number, below the folder of the cache.
pub(super) fn place(job: &JobId, epoch: i32) -> String {
    format!("{}.{epoch}", job.id())
}

/// Takes over into the folder of attempt `epoch` what earlier attempts of the job finished, below the folder `root`; with
/// `from_root` also what lies in `root` itself, where builds from before this was so have their files. Blocks.
pub(super) fn take_over(root: &Path, job: &JobId, epoch: i32, from_root: bool) -> io::Result<()> {
    let into = root.join(place(job, epoch));
    latentd_files::create_folder(&into)?;
    let mut earlier = attempts(root, job)?;
    earlier.retain(|(number, _)| *number < epoch);
    // The latest first: it has taken over what those before it had.
    earlier.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    for (_, folder) in &earlier {
        link_all(folder, &into)?;
    }
    if from_root {
        link_file(&tokens_path(root), &tokens_path(&into))?;
        link_all(&saes_dir(root), &saes_dir(&into))?;
    }
    Ok(())
}

/// Removes the folders of all attempts of the job below `root`, but for `keep`. Blocks.
pub(crate) fn remove_others(root: &Path, job: &JobId, keep: &str) -> io::Result<()> {
    for (_, folder) in attempts(root, job)? {
        if !folder.ends_with(keep) {
            absent(fs_err::remove_dir_all(folder))?;
        }
    }
    Ok(())
}

/// Removes what the build `job` left below `root`; of a build from before attempts had folders, what lies in `root` itself. What
/// belongs to another build of the same name stays. Returns the bytes that are free again. Blocks.
pub(crate) fn remove_files(root: &Path, job: &JobId, in_root: bool) -> io::Result<u64> {
    let mut gone: Vec<PathBuf> = attempts(root, job)?
        .into_iter()
        .map(|(_, folder)| folder)
        .collect();
    if in_root {
        gone.extend([tokens_path(root), manifest_path(root), saes_dir(root)]);
    }
    let mut freed = 0;
    for path in gone {
        let Some(bytes) = present(size(&path))? else {
            continue;
        };
        absent(if path.is_dir() {
            fs_err::remove_dir_all(&path)
        } else {
            fs_err::remove_file(&path)
        })?;
        freed += bytes;
    }
    // It stays if another build has files in it.
    let _ = fs_err::remove_dir(root);
    Ok(freed)
}

/// The attempts of a job that have folders, with their numbers.
fn attempts(root: &Path, job: &JobId) -> io::Result<Vec<(i32, PathBuf)>> {
    let Some(entries) = present(fs_err::read_dir(root))? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_prefix(job.id()))
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|number| number.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    Ok(found)
}

/// Links every complete file of a folder, and of the folders within, that is not there yet.
fn link_all(from: &Path, into: &Path) -> io::Result<()> {
    let Some(entries) = present(fs_err::read_dir(from))? else {
        return Ok(());
    };
    latentd_files::create_folder(into)?;
    for entry in entries {
        let entry = entry?;
        let (path, target) = (entry.path(), into.join(entry.file_name()));
        let scratch = path.extension().is_some_and(|ending| ending == SCRATCH);
        if entry.file_type()?.is_dir() {
            link_all(&path, &target)?;
        } else if !scratch && path != manifest_path(from) {
            link_file(&path, &target)?;
        }
    }
    latentd_files::sync_folder(into)
}

fn link_file(path: &Path, target: &Path) -> io::Result<()> {
    if target.exists() {
        return Ok(());
    }
    match fs_err::hard_link(path, target) {
        // An earlier attempt that is still at it has replaced or removed the file, or there is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs_err::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut bytes = 0;
    for entry in fs_err::read_dir(path)? {
        bytes += present(size(&entry?.path()))?.unwrap_or_default();
    }
    Ok(bytes)
}

/// `None` for what is not there.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The outcome of a removal; what was not there is removed too.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    present(removed).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, content: &str) {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    #[test]
    fn a_new_attempt_has_what_earlier_ones_finished_and_is_not_touched_by_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("c");
        let job: JobId = "j".parse().unwrap();
        write(&root.join("j.1/tokens.safetensors"), "tokens");
        write(&root.join("j.1/saes/m.a/shard-00000.safetensors"), "old");
        write(
            &root.join("j.1/saes/m.a/shard-00001.safetensors.tmp"),
            "half",
        );
        write(&root.join("j.2/saes/m.a/shard-00000.safetensors"), "new");
        write(&root.join("other.1/tokens.safetensors"), "other");
        take_over(&root, &job, 3, false).unwrap();
        let read = |name: &str| fs_err::read_to_string(root.join("j.3").join(name)).unwrap();
        assert_eq!(read("tokens.safetensors"), "tokens");
        assert_eq!(read("saes/m.a/shard-00000.safetensors"), "new");
        assert!(
            !root
                .join("j.3/saes/m.a/shard-00001.safetensors.tmp")
                .exists()
        );
        // The earlier attempt comes back and replaces its file: a new file under the name in its own folder.
        write(&root.join("j.1/x.tmp"), "changed");
        latentd_files::rename(
            &root.join("j.1/x.tmp"),
            &root.join("j.1/tokens.safetensors"),
        )
        .unwrap();
        assert_eq!(read("tokens.safetensors"), "tokens");
        remove_others(&root, &job, "j.3").unwrap();
        assert!(!root.join("j.1").exists() && root.join("other.1").exists());
        assert_eq!(read("tokens.safetensors"), "tokens");
        let freed = remove_files(&root, &job, false).unwrap();
        assert_eq!(freed, ("tokens".len() + "new".len()) as u64);
        assert!(root.join("other.1/tokens.safetensors").exists());
        assert_eq!(
            remove_files(&root, &"other".parse().unwrap(), false).unwrap(),
            5
        );
        assert!(!root.exists());
        assert_eq!(remove_files(&root, &job, true).unwrap(), 0);
    }

    #[test]
    fn files_in_the_folder_of_the_cache_itself_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("c");
        let job: JobId = "j".parse().unwrap();
        write(&root.join("tokens.safetensors"), "tokens");
        write(&root.join("saes/m.a/shard-00000.safetensors"), "s");
        take_over(&root, &job, 2, true).unwrap();
        assert!(root.join("j.2/saes/m.a/shard-00000.safetensors").exists());
        assert_eq!(
            remove_files(&root, &job, true).unwrap(),
            2 * ("tokens".len() as u64 + 1)
        );
        assert!(!root.exists());
    }
}
