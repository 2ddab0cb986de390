//! The configuration: a TOML file, over it the environment, over it flags, checked as a whole before anything starts.
//!
//! The only place that reads the environment. What a setting is called, what it accepts, its default and its description are
//! one line of data in [`schema`]; unknown keys are errors, and all errors are reported at once.

mod check;
mod keys;
mod layers;
mod print;
mod schema;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use latentd_domain::{Dtype, HookPoint, ModelId};
use serde::Deserialize;

pub use keys::Keys;
pub use print::print_default;

/// Everything that the server is told from outside.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address that gRPC is served on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Allows addresses that other machines can reach, although nobody is authenticated.
    pub insecure: bool,
    /// Folder of the embedded database, of caches and of what the demo fetches.
    pub data_dir: PathBuf,
    /// Postgres.
    pub database: Database,
    /// What models compute on.
    pub device: Device,
    /// The queue before the device.
    pub engine: Engine,
    /// Files that requests may name.
    pub paths: Paths,
    /// Largest sizes that a request may have.
    pub limits: Limits,
    /// Corpora that are uploaded.
    pub corpora: Corpora,
    /// Long work.
    pub jobs: Jobs,
    /// Language models that jobs may ask.
    pub providers: Providers,
    /// Auto-interpretation.
    pub interp: Interp,
    /// How the server stops.
    pub shutdown: Shutdown,
    /// What is logged, and how.
    pub log: Log,
    /// Models to load at the start, with their SAEs.
    #[serde(default, rename = "model")]
    pub models: Vec<Model>,
    /// The file that it was read from, if any. It may hold the address of the database, password included.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Remarks that do not forbid a start, to be logged by whoever starts the server.
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// Keys that providers may have: [`Providers::keys`] with the values of variables.
    #[serde(skip)]
    pub keys: Keys,
}

/// Postgres: one that is given, or a private one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://…`; without it the server starts a private Postgres in its data folder.
    pub url: Option<String>,
    /// Folder of the programs of the private Postgres; without it they are searched for.
    pub binaries: Option<PathBuf>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_ref().map(|_| "(withheld)");
        f.debug_struct("Database")
            .field("url", &url)
            .field("binaries", &self.binaries)
            .finish()
    }
}

/// Language models that jobs may ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    /// Which keys may be sent where: `env:NAME=host,host` or `file:/path=host`, with spaces between them.
    pub keys: String,
}

/// What models compute on.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Which GPU; the CPU has only index 0.
    pub index: usize,
    /// Number format of models that are loaded without one.
    pub dtype: Dtype,
    /// Threads that the CPU computes with; 0 for one on each core.
    pub threads: usize,
}

/// The queue before the device.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Tokens that one pass computes at most.
    pub batch_tokens: usize,
    /// Requests that may wait.
    pub max_queued: usize,
    /// Bytes that keys and values of texts that are gone on with take at most.
    pub past_bytes: u64,
}

/// Files that requests may name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Folders, separated by colons, in which models, SAEs and corpora may lie; empty for no limit.
    pub roots: Option<String>,
}

impl Paths {
    /// Whether a request may name this path, links resolved. One that leads nowhere is for its reader to refuse.
    pub fn may_be_named(&self, path: &Path) -> bool {
        let Some(roots) = &self.roots else {
            return true;
        };
        let Ok(place) = fs_err::canonicalize(path) else {
            return true;
        };
        let roots = roots.split(':').filter(|root| !root.is_empty());
        let mut roots = roots.filter_map(|root| fs_err::canonicalize(root).ok());
        roots.any(|root| place.starts_with(root))
    }
}

/// Largest sizes that a request may have; GetServerInfo reports them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Prompts in one Encode, texts in one Tokenize.
    pub max_prompts: usize,
    /// Tokens in one Encode.
    pub max_tokens: usize,
    /// SAEs in one Encode or BuildCache.
    pub max_saes: usize,
    /// `top_k` of an Encode.
    pub max_top_k: u32,
    /// Latents in one StreamExamples.
    pub max_latents: usize,
    /// Examples for each latent.
    pub max_examples: usize,
    /// Tokens in the window of an example.
    pub max_window: usize,
    /// Entries on one page.
    pub max_page_size: usize,
    /// Bytes of one message, in either direction.
    pub max_message_bytes: usize,
    /// Bytes of one corpus that is uploaded.
    pub max_corpus_bytes: u64,
    /// Bytes that all messages and streams together may hold.
    pub buffer_bytes: u64,
    /// Seconds that a message may take.
    pub message_seconds: u64,
    /// Connections at once.
    pub max_connections: usize,
    /// Seconds until a connection has to have begun HTTP/2.
    pub handshake_seconds: u64,
}

/// Corpora that are uploaded.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpora {
    /// Bytes of all of them together.
    pub max_bytes: u64,
    /// Hours that one is kept after it was last used.
    pub keep_hours: u64,
}

impl Corpora {
    /// Time that a corpus is kept after it was last used.
    pub fn keep(self) -> Duration {
        Duration::from_secs(self.keep_hours.saturating_mul(3600))
    }
}

/// Long work.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Jobs at work at the same time; the others wait.
    pub max_running: usize,
    /// Tokens that a job sends to the device at once; 0 chooses by the device.
    pub batch_tokens: usize,
    /// Bytes of memory for the activations of one shard of a build.
    pub shard_bytes: u64,
}

/// Auto-interpretation: jobs that explain latents and score explanations.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interp {
    /// Work items that this server works on at once.
    pub max_items: usize,
    /// Seconds that a call may take with all its repetitions, before its work item goes back into the queue.
    pub retry_seconds: u64,
}

impl Interp {
    /// Time that a call may take with all its repetitions.
    pub fn retry(self) -> Duration {
        Duration::from_secs(self.retry_seconds)
    }
}

/// How the server stops.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Seconds that calls in progress are given.
    pub drain_seconds: u64,
}

impl Shutdown {
    /// Time that calls in progress are given.
    pub fn drain(self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A level, or directives for each target: `info,latentd=debug`.
    pub level: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, else JSON.
    Auto,
    /// For people.
    Human,
    /// One JSON object on each line.
    Json,
}

/// A model to load at the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Id that requests name it by.
    pub id: ModelId,
    /// Hugging Face folder or GGUF file.
    pub path: PathBuf,
    /// Number format on the device; the device's default if not given.
    pub dtype: Option<Dtype>,
    /// SAEs to load beside it.
    #[serde(default, rename = "sae")]
    pub saes: Vec<Sae>,
}

/// An SAE to load at the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sae {
    /// Id within its model.
    pub id: String,
    /// SAELens folder.
    pub path: PathBuf,
    /// Factor of `expected_average_only_in`, where the file does not carry it.
    pub norm_scaling_factor: Option<f32>,
    /// Hook point in place of the one in the file.
    pub hook_point: Option<HookPoint>,
}

/// What the command line says about the server; each field has the name of its setting.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the TOML file.
    pub config: Option<PathBuf>,
    /// Values by key of the schema (`listen`, `log.level`), as the flags' text.
    pub settings: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Sets `key` if the flag was given.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.settings.insert(key, value.to_string());
        }
        self
    }
}

/// The process's environment, taken once.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; those that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(unicode).collect())
    }

    /// The value of a variable; empty counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Where the data folder is unless it is configured: `$XDG_DATA_HOME/latentd`, else `~/.local/share/latentd`.
    pub fn default_data_dir(&self) -> Option<PathBuf> {
        let xdg = self
            .get("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = || {
            self.get("HOME")
                .map(|home| Path::new(home).join(".local/share"))
        };
        xdg.or_else(home).map(|share| share.join("latentd"))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a file and key, a variable, or a flag.
    pub origin: String,
    /// What is wrong, in words.
    pub message: String,
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} error(s):", self.problems.len())?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {}: {}", problem.origin, problem.message))
    }
}

impl Config {
    /// Reads the file that `flags` or the environment name, puts the environment and the flags over it, and checks it all.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Config, Error> {
        layers::load(flags, environment)
    }

    /// The defaults, with another data folder: what a program that embeds the server begins with.
    pub fn with_data_dir(data_dir: &Path) -> Result<Config, Error> {
        let flags = Flags::default().with("data_dir", Some(data_dir.display()));
        Self::load(&flags, &Environment::default())
    }

    /// Folder of the private Postgres.
    pub fn postgres_dir(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }

    /// Folder of the caches, one folder for each.
    pub fn caches_dir(&self) -> PathBuf {
        self.data_dir.join("caches")
    }

    /// Folder of the corpora that were uploaded, one file for each.
    pub fn corpora_dir(&self) -> PathBuf {
        self.data_dir.join("corpora")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let home = [("HOME", "/home/ada")];
        home.iter().chain(pairs).copied().collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, Flags) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs_err::write(&path, text).unwrap();
        (
            dir,
            Flags {
                config: Some(path),
                ..Flags::default()
            },
        )
    }

    #[test]
    fn defaults_listen_on_loopback_only() {
        let config = Config::load(&Flags::default(), &environment(&[])).unwrap();
        assert_eq!(config.listen, "127.0.0.1:50051".parse().unwrap());
        assert_eq!(config.data_dir, Path::new("/home/ada/.local/share/latentd"));
        assert!(config.models.is_empty() && config.database.url.is_none());
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let (_dir, flags) =
            file("listen = '127.0.0.1:1'\ninsecure = true\n[log]\nlevel = 'warn'\nformat = 'json'");
        let flags = flags.with("listen", Some("127.0.0.1:3"));
        let config = Config::load(
            &flags,
            &environment(&[
                ("LATENTD_LISTEN", "127.0.0.1:2"),
                ("LATENTD_LOG_LEVEL", "debug"),
            ]),
        )
        .unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.log.format, LogFormat::Json);
        assert!(config.insecure);
    }

    #[test]
    fn all_errors_come_at_once() {
        let (_dir, flags) = file(
            "listne = '127.0.0.1:1'\n[limits]\nmax_prompts = 'many'\nmax_tokens = 0\n[[model]]\nid = 'A B'\ncolour = 1\n\
             [[model.sae]]\nid = 'l9'\npath = 'sae'\nhook_point = 'nowhere'",
        );
        let error = Config::load(
            &flags,
            &environment(&[
                ("LATENTD_INSECURE", "perhaps"),
                ("LATENTD_DEVICE_DTYPE", "f8"),
            ]),
        )
        .unwrap_err();
        let origins: Vec<&str> = error
            .problems
            .iter()
            .map(|problem| problem.origin.rsplit(": ").next().unwrap())
            .collect();
        for expected in [
            "listne",
            "limits.max_prompts",
            "limits.max_tokens",
            "model[0].id",
            "model[0].colour",
            "model[0].path",
            "model[0].sae[0].hook_point",
            "LATENTD_INSECURE",
            "LATENTD_DEVICE_DTYPE",
        ] {
            assert!(origins.contains(&expected), "{expected} is not in {error}");
        }
        assert_eq!(origins.len(), 9, "{error}");
    }

    #[test]
    fn a_public_address_needs_insecure() {
        let flags = Flags::default().with("listen", Some("0.0.0.0:50051"));
        let error = Config::load(&flags, &environment(&[])).unwrap_err();
        assert!(error.to_string().contains("insecure"), "{error}");
        let flags = flags.with("insecure", Some(true));
        let config = Config::load(&flags, &environment(&[])).unwrap();
        assert!(config.warnings[0].contains("nobody is authenticated"));
    }

    #[test]
    fn models_and_their_saes_are_read() {
        let (_dir, flags) = file(
            "[[model]]\nid = 'm'\npath = '/m'\n[[model.sae]]\nid = 'l9'\npath = '/s'\nnorm_scaling_factor = 2\n\
             hook_point = 'layers.9'\n[[model]]\nid = 'n'\npath = '/n'\ndtype = 'bf16'",
        );
        let config = Config::load(&flags, &environment(&[])).unwrap();
        assert_eq!(config.models.len(), 2);
        let sae = &config.models[0].saes[0];
        assert_eq!(sae.norm_scaling_factor, Some(2.0));
        assert_eq!(
            sae.hook_point.unwrap().to_string(),
            "blocks.9.hook_resid_post"
        );
        assert_eq!(config.models[1].dtype, Some(Dtype::Bf16));
    }

    #[test]
    fn a_password_is_not_shown() {
        let flags = Flags::default();
        let env = environment(&[("DATABASE_URL", "postgres://u:secret@h/db")]);
        let config = Config::load(&flags, &env).unwrap();
        assert!(config.database.url.is_some());
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn a_device_is_no_configuration() {
        let flags = Flags {
            config: Some("/dev/zero".into()),
            ..Flags::default()
        };
        let error = Config::load(&flags, &environment(&[])).unwrap_err();
        assert!(
            error.to_string().contains("/dev/zero: it is a device"),
            "{error}"
        );
    }

    #[test]
    fn broken_toml_names_the_line() {
        let (_dir, flags) = file("listen = ");
        let error = Config::load(&flags, &environment(&[])).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
