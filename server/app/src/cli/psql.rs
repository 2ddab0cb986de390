//! `latentd psql`: the database of this machine's server in psql, or what another tool needs to reach it.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use anyhow::Context as _;
use clap::Args;
use latentd_store::embedded::{self, Login};

use super::Session;
use crate::config::{Config, Environment, Flags};

/// Where the database is, and what psql is told.
#[derive(Args, Debug)]
pub(super) struct PsqlArgs {
    /// Folder of the server, if it is not the default one
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// TOML file with the settings of the server [env: LATENTD_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print variables for the shell instead, for other tools: eval "$(latentd psql --print)"
    #[arg(long)]
    print: bool,
    /// Passed on to psql, such as -c 'select * from job_cost'
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Becomes psql.
pub(super) fn run(
    args: PsqlArgs,
    session: &Session,
    environment: &Environment,
) -> anyhow::Result<()> {
    let data_dir = args.data_dir.as_ref().map(|path| path.display());
    let flags = Flags {
        config: args.config.clone(),
        ..Flags::default()
    }
    .with("data_dir", data_dir);
    let config = Config::load(&flags, environment)?;
    if let Some(url) = &config.database.url {
        if args.print {
            return Ok(session
                .out
                .line(format!("export DATABASE_URL={}", quoted(url)))?);
        }
        return become_psql(Command::new("psql").arg(url).args(&args.args));
    }
    let login = embedded::login(&config.data_dir).with_context(
        || "the database cannot be reached; it runs while `latentd serve` or `latentd demo` does",
    )?;
    let variables = variables(&login);
    if args.print {
        for (name, value) in variables {
            session
                .out
                .line(format!("export {name}={}", quoted(&value)))?;
        }
        return Ok(());
    }
    let options = embedded::Options {
        binaries: config.database.binaries.clone(),
        ..embedded::Options::new(&config.data_dir)
    };
    // The one that came with the server's Postgres, where there is one.
    let beside = embedded::find_binaries(&options).map(|found| found.folder().join("psql"));
    let program = beside
        .ok()
        .filter(|psql| psql.is_file())
        .unwrap_or_else(|| "psql".into());
    become_psql(Command::new(program).envs(variables).args(&args.args))
}

/// What psql and every other tool that is built on libpq reads.
fn variables(login: &Login) -> [(&'static str, String); 5] {
    [
        ("PGHOST", login.socket_dir.display().to_string()),
        ("PGPORT", login.port.to_string()),
        ("PGUSER", login.user.to_owned()),
        ("PGDATABASE", login.database.to_owned()),
        ("PGPASSWORD", login.password.clone()),
    ]
}

fn become_psql(command: &mut Command) -> anyhow::Result<()> {
    let error = command.exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        anyhow::bail!(
            "psql is not installed: `apt install postgresql-client` or `brew install libpq` gets it; \
             `latentd psql --print` says how other tools reach the database"
        );
    }
    Err(error).context("psql does not start")
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_shell_stays_one_word() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
