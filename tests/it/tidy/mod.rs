//! The taste that can be checked: sizes, headers, layers, names, documentation.

mod architecture;
mod documentation;
mod logs;
mod proto;
mod sources;

use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_owned()
}

/// The tracked and new files of the repository that end in `extension`, as paths relative to the root.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.retain(|path| path.extension().is_some_and(|e| e == extension));
    found.sort();
    assert!(
        !found.is_empty(),
        "no *.{extension} files under {}",
        root().display()
    );
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let skipped = ["target", ".git", "node_modules", "__pycache__", ".venv"];
        if entry.file_type().unwrap().is_dir() {
            if !skipped.contains(&name.as_str()) {
                walk(&entry.path(), found);
            }
        } else {
            found.push(entry.path().strip_prefix(root()).unwrap().to_owned());
        }
    }
}

fn read(path: &Path) -> String {
    fs_err::read_to_string(root().join(path)).unwrap()
}

/// Fails with one line for each finding.
fn none(findings: Vec<String>, rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
