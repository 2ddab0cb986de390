//! A real llama.cpp server with the demo's model: the wheel `xllamacpp` from PyPI, installed once into the target folder.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::OnceCell,
};

use super::{real, root};

/// The wheel, as pip wants it.
const PACKAGE: &str = "xllamacpp==2026.10.11549";

/// The server. It ends when this is dropped.
pub(crate) struct LlamaCpp {
    address: String,
    _child: Child,
}

impl LlamaCpp {
    /// Starts it with the demo's model, and waits until it answers.
    pub(crate) async fn start() -> Self {
        let mut child = Command::new("python3")
            .arg(root().join("tests/reference/llama_cpp.py"))
            .arg(real::model().await)
            .env("PYTHONPATH", module().await)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        // The address is printed when the model is loaded.
        let line = BufReader::new(stdout).lines().next_line().await.unwrap();
        Self {
            address: line.expect("llama.cpp ended before it listened"),
            _child: child,
        }
    }

    /// Base URL of its API.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.address)
    }
}

/// The folder with the module, fetched with pip the first time.
async fn module() -> &'static Path {
    static MODULE: OnceCell<PathBuf> = OnceCell::const_new();
    MODULE
        .get_or_init(|| async {
            let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let folder = parent.join(PACKAGE);
            if folder.is_dir() {
                return folder;
            }
            let partial = tempfile::tempdir_in(parent).unwrap();
            let inside = partial.path().join("module");
            let pip = "-m pip install --quiet --no-deps --only-binary=:all: --target";
            let output = Command::new("python3")
                .args(pip.split(' '))
                .args([&inside, Path::new(PACKAGE)])
                .output()
                .await
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the tests need {PACKAGE}: {said}");
            // Another run may have been faster.
            if let Err(error) = fs_err::rename(&inside, &folder) {
                assert!(folder.is_dir(), "{error}");
            }
            folder
        })
        .await
}
