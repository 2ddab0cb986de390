//! The default configuration as commented TOML; `deploy/config.example.toml` is this text.

use std::fmt::Write;

use super::schema::{MODEL, SAE, SETTINGS, Setting};

const WIDTH: usize = 100;

const HEAD: &str = "# Configuration of latentd. Every setting is shown with its default value; settings without one are
# commented out. An environment variable overrides this file, and a flag of `latentd serve` overrides
# both: log.level is also LATENTD_LOG_LEVEL and --log-level.
# `latentd serve --print-default-config` prints this text.
";

/// Every setting with its default and what it does.
pub fn print_default() -> String {
    let mut out = HEAD.to_owned();
    let mut section = None;
    for setting in SETTINGS {
        let (its_section, name) = setting.split();
        if its_section != section {
            section = its_section;
            let _ = write!(out, "\n[{}]\n", section.unwrap_or_default());
        } else if section.is_none() {
            out.push('\n');
        }
        entry(&mut out, setting, name, "");
    }
    out.push_str("\n# Models to load when the server starts, each with its SAEs. Repeat the sections for more of them.\n# [[model]]\n");
    for setting in MODEL {
        entry(&mut out, setting, setting.key, "# ");
    }
    out.push_str("# [[model.sae]]\n");
    for setting in SAE {
        entry(&mut out, setting, setting.key, "# ");
    }
    out
}

fn entry(out: &mut String, setting: &Setting, name: &str, prefix: &str) {
    let (doc, example) = setting
        .doc
        .split_once(" e.g. ")
        .unwrap_or((setting.doc, "\"\""));
    for line in wrapped(doc) {
        let _ = writeln!(out, "# {line}");
    }
    let _ = match setting.default {
        Some(value) => writeln!(out, "{prefix}{name} = {value}"),
        None => writeln!(out, "# {name} = {example}"),
    };
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= WIDTH - 2 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment, Flags};
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../deploy/config.example.toml");

    #[test]
    fn the_example_file_is_the_printed_default() {
        assert_eq!(
            print_default(),
            EXAMPLE,
            "write it anew: latentd serve --print-default-config > deploy/config.example.toml"
        );
    }

    fn load(text: &str) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs_err::write(&path, text).unwrap();
        let flags = Flags {
            config: Some(path),
            ..Flags::default()
        };
        let config = Config::load(&flags, &Environment::from_iter([("HOME", "/h")])).unwrap();
        assert!(config.file.is_some());
        Config {
            file: None,
            ..config
        }
    }

    #[test]
    fn the_example_means_the_defaults() {
        let defaults =
            Config::load(&Flags::default(), &Environment::from_iter([("HOME", "/h")])).unwrap();
        assert_eq!(
            format!("{:?}", load(&print_default())),
            format!("{defaults:?}")
        );
    }

    #[test]
    fn what_is_commented_out_is_valid_too() {
        let is_setting = |line: &str| {
            let rest = line.strip_prefix("# ").unwrap_or(line);
            rest.starts_with("[[")
                || rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' '))
        };
        let text: String = print_default()
            .lines()
            .filter(|line| is_setting(line) || line.starts_with('['))
            .flat_map(|line| [line.trim_start_matches("# "), "\n"])
            .collect();
        let config = load(&text);
        assert_eq!(config.models[0].saes[0].norm_scaling_factor, Some(0.25));
        assert!(config.database.url.is_some());
    }
}
