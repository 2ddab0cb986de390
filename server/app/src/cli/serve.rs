//! `latentd serve`: the server, until it is told to stop.

use std::path::PathBuf;

use clap::Args;

use super::Session;
use crate::{
    config::{Config, Environment, Flags, print_default},
    observability, server,
};

/// Flags of `serve`. Those with a setting's name go before the environment and the file.
#[derive(Args, Debug, Default)]
#[command(
    after_help = "Every setting of the configuration can be given as an environment variable too: LATENTD_ and its name, such as \
                  LATENTD_LIMITS_MAX_TOKENS for max_tokens in [limits]. --print-default-config lists all settings."
)]
pub(super) struct ServeArgs {
    /// TOML file with settings [env: LATENTD_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print every setting with its default and meaning, as TOML, and exit
    #[arg(long)]
    print_default_config: bool,
    /// Address to listen on; port 0 takes a free one [env: LATENTD_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Allow an address that other machines can reach, although clients are not authenticated [env: LATENTD_INSECURE]
    #[arg(long)]
    insecure: bool,
    /// Folder for the private database, the caches and what the demo downloads [env: LATENTD_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Postgres to use instead of starting one [env: LATENTD_DATABASE_URL, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Folder with the Postgres programs to start, if no URL is given [env: LATENTD_DATABASE_BINARIES]
    #[arg(long, value_name = "FOLDER")]
    database_binaries: Option<PathBuf>,
    /// Number of the GPU to use, in a build with CUDA [env: LATENTD_DEVICE_INDEX]
    #[arg(long, alias = "device", value_name = "INDEX")]
    device_index: Option<String>,
    /// Number format of models: f32, or on a GPU bf16 [env: LATENTD_DEVICE_DTYPE]
    #[arg(long, value_name = "DTYPE")]
    device_dtype: Option<String>,
    /// Threads that compute on the CPU; 0 takes one for each core [env: LATENTD_DEVICE_THREADS]
    #[arg(long, value_name = "COUNT")]
    device_threads: Option<String>,
    /// Most tokens that one forward pass computes [env: LATENTD_ENGINE_BATCH_TOKENS]
    #[arg(long, value_name = "COUNT")]
    engine_batch_tokens: Option<String>,
    /// Most requests that may wait for the device [env: LATENTD_ENGINE_MAX_QUEUED]
    #[arg(long, value_name = "COUNT")]
    engine_max_queued: Option<String>,
    /// Seconds that running calls have to finish when the server stops [env: LATENTD_SHUTDOWN_DRAIN_SECONDS]
    #[arg(long, value_name = "SECONDS")]
    shutdown_drain_seconds: Option<String>,
    /// Log lines: human, json, or auto [env: LATENTD_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Log level, or levels for single modules, such as info,latentd=debug [env: LATENTD_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl ServeArgs {
    /// As the configuration takes them. What a value must look like is the configuration's to say, all mistakes at once.
    fn flags(&self) -> Flags {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        Flags {
            config: self.config.clone(),
            ..Flags::default()
        }
        .with("listen", self.listen.as_ref())
        .with("insecure", self.insecure.then_some(true))
        .with("data_dir", path(&self.data_dir))
        .with("database.url", self.database_url.as_ref())
        .with("database.binaries", path(&self.database_binaries))
        .with("device.index", self.device_index.as_ref())
        .with("device.dtype", self.device_dtype.as_ref())
        .with("device.threads", self.device_threads.as_ref())
        .with("engine.batch_tokens", self.engine_batch_tokens.as_ref())
        .with("engine.max_queued", self.engine_max_queued.as_ref())
        .with(
            "shutdown.drain_seconds",
            self.shutdown_drain_seconds.as_ref(),
        )
        .with("log.format", self.log_format.as_ref())
        .with("log.level", self.log_level.as_ref())
    }
}

/// Serves until SIGTERM or Ctrl-C.
pub(super) async fn run(
    args: &ServeArgs,
    session: &Session,
    environment: &Environment,
) -> anyhow::Result<()> {
    if args.print_default_config {
        return Ok(session.out.text(&print_default())?);
    }
    let config = Config::load(&args.flags(), environment)?;
    observability::init(&config.log);
    latentd_files::keep_private();
    if let Some(file) = &config.file {
        latentd_files::deny(file);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(server::run(config).await?)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{super::Cli, super::Command, *};

    fn flags(arguments: &[&str]) -> Flags {
        let cli = Cli::try_parse_from(["latentd", "serve"].iter().chain(arguments)).unwrap();
        let Command::Serve(args) = cli.command else {
            panic!("not serve")
        };
        args.flags()
    }

    #[test]
    fn every_flag_is_a_setting() {
        let all = [
            "--listen=127.0.0.1:7",
            "--insecure",
            "--data-dir=/d",
            "--database-url=postgres://h/d",
            "--database-binaries=/b",
            "--device-index=0",
            "--device-dtype=f32",
            "--device-threads=2",
            "--engine-batch-tokens=64",
            "--engine-max-queued=8",
            "--shutdown-drain-seconds=1",
            "--log-format=json",
            "--log-level=warn",
        ];
        let flags = flags(&all);
        assert_eq!(flags.settings.len(), all.len());
        let config = Config::load(&flags, &Environment::default()).unwrap();
        assert_eq!(config.listen.port(), 7);
        assert_eq!(config.engine.max_queued, 8);
    }

    #[test]
    fn help_names_the_variables() {
        let mut command = Cli::command();
        let serve = command.find_subcommand_mut("serve").unwrap();
        let help = serve.render_long_help().to_string();
        for flag in [
            "config",
            "listen",
            "insecure",
            "data-dir",
            "database-url",
            "database-binaries",
            "device-index",
            "device-dtype",
            "device-threads",
            "engine-batch-tokens",
            "engine-max-queued",
            "shutdown-drain-seconds",
            "log-format",
            "log-level",
        ] {
            let variable = format!("LATENTD_{}", flag.replace('-', "_").to_uppercase());
            assert!(help.contains(&format!("--{flag}")), "no --{flag} in {help}");
            assert!(help.contains(&variable), "no {variable} in {help}");
        }
    }

    #[test]
    fn all_mistakes_are_told_under_the_names_of_the_flags() {
        let flags = flags(&["--listen=nowhere", "--device-threads=many", "--data-dir=/d"]);
        let error = Config::load(&flags, &Environment::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--listen") && error.contains("--device-threads"),
            "{error}"
        );
    }
}
