//! Dependencies point one way: `app → engine → nn → domain, files`, `app → cache, autointerp, store → domain, files`.

use std::process::Command;

use serde_json::Value;

use super::{none, root};

/// The direct dependencies of a workspace crate, without those of its tests.
fn dependencies(metadata: &Value, name: &str) -> Vec<String> {
    let package = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["name"] == name);
    let package = package.unwrap_or_else(|| panic!("no crate {name}"));
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|d| d["kind"].is_null())
        .map(|d| d["name"].as_str().unwrap().to_owned())
        .collect()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let allowed: [(&str, &[&str]); 9] = [
        ("latentd-domain", &[]),
        ("latentd-files", &[]),
        ("latentd-nn", &["latentd-domain", "latentd-files"]),
        (
            "latentd-engine",
            &["latentd-domain", "latentd-files", "latentd-nn"],
        ),
        ("latentd-cache", &["latentd-domain", "latentd-files"]),
        ("latentd-autointerp", &["latentd-domain", "latentd-files"]),
        ("latentd-store", &["latentd-domain", "latentd-files"]),
        ("latentd-client", &["latentd-proto"]),
        ("latentd-proto", &[]),
    ];
    let mut wrong = Vec::new();
    for (name, may) in allowed {
        let ours = dependencies(&metadata, name)
            .into_iter()
            .filter(|d| d.starts_with("latentd"));
        wrong.extend(
            ours.filter(|d| !may.contains(&d.as_str()))
                .map(|d| format!("{name} → {d}")),
        );
    }
    none(wrong, "a crate depends on one above it");
}

#[test]
fn libraries_stay_where_they_belong() {
    let metadata = metadata();
    let homes: [(&str, &[&str]); 6] = [
        ("burn", &["latentd-nn", "latentd-engine"]),
        ("sqlx", &["latentd-store"]),
        (
            "tonic",
            &[
                "latentd",
                "latentd-client",
                "latentd-proto",
                "latentd-tests",
            ],
        ),
        ("parquet", &["latentd-cache"]),
        ("reqwest", &["latentd-autointerp"]),
        ("tokenizers", &["latentd-nn"]),
    ];
    let crates = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap());
    let crates: Vec<&str> = crates.collect();
    let mut wrong = Vec::new();
    for (library, may) in homes {
        let users = crates
            .iter()
            .filter(|name| dependencies(&metadata, name).iter().any(|d| d == library));
        wrong.extend(
            users
                .filter(|name| !may.contains(name))
                .map(|name| format!("{name} → {library}")),
        );
    }
    none(wrong, "a library is used outside the crate that owns it");
}

#[test]
fn only_one_file_names_a_backend() {
    let named = super::files("rs").into_iter().filter(|path| {
        let text = super::read(path);
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        path.starts_with("server")
            && !path.ends_with("nn/src/device.rs")
            && code
                .into_iter()
                .any(|line| line.contains("burn_flex::") || line.contains("burn_cuda::"))
    });
    none(
        named.map(|p| p.display().to_string()).collect(),
        "only nn/src/device.rs names a backend",
    );
}
