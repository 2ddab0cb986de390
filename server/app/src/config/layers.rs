//! Lays file, environment and flags over each other, collecting everything that is wrong on the way.

use std::path::Path;

use toml::{Table, Value};

use super::{
    Config, Environment, Error, Flags, Keys, Problem,
    schema::{MODEL, SAE, SETTINGS, Setting},
};

/// Longest configuration file that is read.
const MAX_FILE: u64 = 16 << 20;

/// The configuration as it grows, and what is wrong with it.
struct Builder {
    table: Table,
    problems: Vec<Problem>,
}

pub(super) fn load(flags: &Flags, environment: &Environment) -> Result<Config, Error> {
    let mut builder = Builder {
        table: Table::new(),
        problems: Vec::new(),
    };
    builder.defaults(environment);
    let file = flags
        .config
        .clone()
        .or_else(|| environment.get("LATENTD_CONFIG").map(Into::into));
    if let Some(path) = &file {
        builder.file(path);
    }
    let warnings = builder.environment(environment);
    builder.flags(flags);
    let config = builder.finish(warnings)?;
    Ok(Config {
        keys: Keys::new(&config.providers.keys, environment),
        file,
        ..config
    })
}

impl Builder {
    fn problem(&mut self, origin: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem {
            origin: origin.into(),
            message: message.into(),
        });
    }

    fn set(&mut self, setting: &Setting, value: Value) {
        let (section, name) = setting.split();
        let table = match section {
            None => &mut self.table,
            Some(section) => {
                let entry = self
                    .table
                    .entry(section)
                    .or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(table) = entry else { return };
                table
            }
        };
        table.insert(name.to_owned(), value);
    }

    fn checked(&mut self, setting: &Setting, value: Value, origin: impl Into<String>) {
        match setting.kind.check(&value) {
            Ok(()) => self.set(setting, value),
            Err(message) => self.problem(origin, message),
        }
    }

    fn defaults(&mut self, environment: &Environment) {
        for section in SETTINGS.iter().filter_map(|setting| setting.split().0) {
            self.table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
        }
        for setting in SETTINGS {
            let default = setting.default.and_then(|text| text.parse::<Value>().ok());
            if let Some(value) = default {
                self.set(setting, value);
            }
        }
        if let Some(path) = environment.default_data_dir() {
            self.table.insert(
                "data_dir".to_owned(),
                Value::String(path.display().to_string()),
            );
        }
    }

    fn file(&mut self, path: &Path) {
        let origin = path.display().to_string();
        let text = match latentd_files::read_text(path, MAX_FILE) {
            Ok(text) => text,
            Err(error) => return self.problem(origin, error.to_string()),
        };
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => return self.problem(origin, error.to_string().trim_end()),
        };
        for (key, value) in table {
            let is_section = SETTINGS
                .iter()
                .any(|setting| setting.split().0 == Some(&key));
            match value {
                Value::Table(section) if is_section => {
                    for (name, value) in section {
                        self.file_entry(&origin, &format!("{key}.{name}"), value);
                    }
                }
                Value::Array(models) if key == "model" => self.models(&origin, models),
                value => self.file_entry(&origin, &key, value),
            }
        }
    }

    fn file_entry(&mut self, origin: &str, key: &str, value: Value) {
        let origin = format!("{origin}: {key}");
        match SETTINGS.iter().find(|setting| setting.key == key) {
            Some(setting) => self.checked(setting, value, origin),
            None => self.problem(origin, "no such setting"),
        }
    }

    fn models(&mut self, origin: &str, models: Vec<Value>) {
        for (index, model) in models.iter().enumerate() {
            let at = format!("{origin}: model[{index}]");
            let Some(model) = self.entry(&at, model, MODEL, Some("sae")) else {
                continue;
            };
            let saes = match model.get("sae") {
                None => &[][..],
                Some(Value::Array(saes)) => saes.as_slice(),
                Some(_) => {
                    self.problem(format!("{at}.sae"), "expects [[model.sae]] entries");
                    continue;
                }
            };
            for (index, sae) in saes.iter().enumerate() {
                self.entry(&format!("{at}.sae[{index}]"), sae, SAE, None);
            }
            self.duplicates(&format!("{at}.sae"), saes);
        }
        self.duplicates(&format!("{origin}: model"), &models);
        self.table.insert("model".to_owned(), Value::Array(models));
    }

    /// Checks the keys of one entry of an array of tables; `nested` names a key that is checked elsewhere.
    fn entry<'a>(
        &mut self,
        at: &str,
        value: &'a Value,
        keys: &[Setting],
        nested: Option<&str>,
    ) -> Option<&'a Table> {
        let Value::Table(table) = value else {
            self.problem(at, "expects a table");
            return None;
        };
        for (key, value) in table.iter().filter(|(key, _)| Some(key.as_str()) != nested) {
            let problem = match keys.iter().find(|setting| setting.key == key) {
                Some(setting) => setting.kind.check(value).err(),
                None => Some("no such setting".to_owned()),
            };
            if let Some(message) = problem {
                self.problem(format!("{at}.{key}"), message);
            }
        }
        for setting in keys.iter().filter(|setting| setting.default.is_some()) {
            if !table.contains_key(setting.key) {
                self.problem(format!("{at}.{}", setting.key), "is missing");
            }
        }
        Some(table)
    }

    fn duplicates(&mut self, at: &str, entries: &[Value]) {
        let ids: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.get("id").and_then(Value::as_str))
            .collect();
        for (index, id) in ids.iter().enumerate() {
            if ids.iter().take(index).any(|earlier| earlier == id) {
                self.problem(
                    format!("{at}[{index}].id"),
                    format!("`{id}` is there twice"),
                );
            }
        }
    }

    /// Returns what is odd but harmless: variables that look like settings and are none.
    fn environment(&mut self, environment: &Environment) -> Vec<String> {
        for setting in SETTINGS {
            let variable = setting.variable();
            let plain = (setting.key == "database.url").then_some("DATABASE_URL");
            for name in plain.into_iter().chain([variable.as_str()]) {
                if let Some(text) = environment.get(name) {
                    self.checked(setting, setting.kind.value_of(text), name);
                }
            }
        }
        let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
        let others = ["LATENTD_CONFIG", "LATENTD_ADDRESS"];
        environment
            .0
            .keys()
            .filter(|name| name.starts_with("LATENTD_"))
            .filter(|name| !known.contains(name) && !others.contains(&name.as_str()))
            .map(|name| format!("the environment variable {name} is not a setting"))
            .collect()
    }

    fn flags(&mut self, flags: &Flags) {
        for (&key, text) in &flags.settings {
            let origin = format!("--{}", key.replace(['.', '_'], "-"));
            match SETTINGS.iter().find(|setting| setting.key == key) {
                Some(setting) => self.checked(setting, setting.kind.value_of(text), origin),
                None => self.problem(origin, "no such setting"),
            }
        }
    }

    fn finish(mut self, warnings: Vec<String>) -> Result<Config, Error> {
        if !self.table.contains_key("data_dir") {
            self.problem(
                "data_dir",
                "is not set, and neither XDG_DATA_HOME nor HOME is",
            );
        }
        if !self.problems.is_empty() {
            return Err(Error {
                problems: self.problems,
            });
        }
        let config: Config = match Value::Table(self.table).try_into() {
            Ok(config) => config,
            Err(error) => {
                let message = error.to_string();
                let problem = Problem {
                    origin: "configuration".to_owned(),
                    message,
                };
                return Err(Error {
                    problems: vec![problem],
                });
            }
        };
        if !config.listen.ip().is_loopback() && !config.insecure {
            let message = format!(
                "{} can be reached from other machines, and nobody is authenticated: listen on 127.0.0.1, or say \
                 --insecure (insecure = true) to allow it",
                config.listen
            );
            return Err(Error {
                problems: vec![Problem {
                    origin: "listen".to_owned(),
                    message,
                }],
            });
        }
        let mut warnings = warnings;
        if config.insecure {
            warnings.push(format!(
                "`insecure` is set: nobody is authenticated and nothing is encrypted, so whoever can reach {} can run models, \
                 read what this server may read (see `paths.roots`), and spend what its keys pay for",
                config.listen
            ));
        }
        Ok(Config { warnings, ..config })
    }
}
