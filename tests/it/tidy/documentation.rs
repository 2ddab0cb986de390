//! Pages that must keep up with the code: error pages, the sample configuration, the code map.

use std::collections::BTreeSet;

use latentd_domain::Reason;

use super::{none, read, root};

fn pages() -> BTreeSet<String> {
    let entries = fs_err::read_dir(root().join("proto/errors")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect()
}

#[test]
fn every_reason_has_a_page_and_every_page_a_reason() {
    let reasons: BTreeSet<String> = Reason::ALL
        .iter()
        .map(|reason| reason.as_str().to_owned())
        .collect();
    let pages = pages();
    let missing = reasons
        .difference(&pages)
        .map(|name| format!("no page for {name}"));
    let stray = pages
        .difference(&reasons)
        .map(|name| format!("no reason for {name}.md"));
    none(
        missing.chain(stray).collect(),
        "proto/errors and domain::Reason name the same reasons",
    );
}

#[test]
fn every_page_begins_with_its_reason() {
    let bad = pages().into_iter().filter(|name| {
        !read(format!("proto/errors/{name}.md").as_ref()).starts_with(&format!("# {name}\n"))
    });
    none(bad.collect(), "a page begins with its reason");
}

#[test]
fn the_architecture_page_names_every_crate_and_folder_of_the_server() {
    let text = read("server/ARCHITECTURE.md".as_ref());
    let mut missing = Vec::new();
    for entry in fs_err::read_dir(root().join("server")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("Cargo.toml").exists() {
            let name = entry.file_name().into_string().unwrap();
            if !text.contains(&format!("`{name}/`")) {
                missing.push(name);
            }
        }
    }
    none(missing, "server/ARCHITECTURE.md maps every crate");
}

#[test]
fn links_in_the_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for path in super::files("md") {
        let text = read(&path);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            let local = !target.is_empty() && !target.contains("://");
            if local && !root().join(&path).with_file_name("").join(target).exists() {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    none(broken, "links lead to files that exist");
}
