//! The command line: `serve` and `demo` run a server in this process, the other commands speak gRPC to a running one.
//!
//! A command is a file. It gets what was asked and a [`Session`], and returns an error or nothing; only `output` writes to the
//! terminal. Exit codes: 0 done, 1 failed, 2 not understood, 3 a job succeeded in part, 130 stopped by Ctrl-C.

mod cache;
mod corpus;
mod decode;
mod demo;
mod density;
mod encode;
mod errors;
mod examples;
mod explain;
mod explanations;
mod failure;
mod format;
mod info;
mod interp;
mod job;
mod latents;
mod model;
mod output;
mod progress;
mod provider;
mod psql;
mod sae;
mod score;
mod serve;
mod shell;
mod style;
mod table;
mod tokens;

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use latentd_client::Client;

use crate::{bench, config::Environment};
use failure::Usage;
use output::{Colour, Output};

/// A server for sparse-autoencoder work on language models, and its client.
#[derive(Debug, Parser)]
#[command(
    name = "latentd",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
struct Global {
    /// Address of the server, as HOST, HOST:PORT or a URL
    #[arg(
        long,
        global = true,
        env = "LATENTD_ADDRESS",
        default_value = "127.0.0.1:50051"
    )]
    address: String,
    /// Print results as JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    /// Colours: by default on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Colour,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::ServeArgs>),
    /// Try everything with a small model; downloads what it needs
    Demo(demo::DemoArgs),
    /// Describe the running server: version, device, limits, health
    Info,
    /// Load, list and unload models
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Load, list and unload SAEs, and look at their latents
    #[command(subcommand)]
    Sae(sae::SaeCommand),
    /// Encode prompts into latents
    ///
    /// Each token is coloured by the strongest latent that fires on it; latents that fire on more than half of the prompt do not
    /// count. The table lists the strongest latents of the prompt, with the text around the token on which each is strongest.
    Encode(encode::EncodeArgs),
    /// Turn latents back into vectors
    Decode(decode::DecodeArgs),
    /// Build, list and delete caches, and look at statistics of their latents
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// List and delete uploaded corpora
    #[command(subcommand)]
    Corpus(corpus::CorpusCommand),
    /// Show the text that makes latents fire
    Examples(examples::ExamplesArgs),
    /// Explain latents with a language model and score the explanations, as a job
    ///
    /// The answers of the provider are stored, so a job that is repeated or resumed does not pay for the same answer again.
    /// Ctrl-C only stops watching; the job continues. With --json the events of the job are printed, then its summary.
    Explain(Box<explain::ExplainArgs>),
    /// Score explanations that exist, as a job
    ///
    /// Scorers use other examples than those that the explainer was shown. Ctrl-C only stops watching; the job continues. With
    /// --json the events of the job are printed, then its summary.
    Score(Box<score::ScoreArgs>),
    /// List, search, write, delete and export explanations, and look at their scores
    #[command(subcommand)]
    Explanations(explanations::ExplanationsCommand),
    /// Manage providers: the language models that explain and score
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// List, watch, pause, resume and cancel jobs
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Explain an error by its reason, or list all reasons
    Errors(errors::ErrorsArgs),
    /// Print a script that makes your shell complete these commands
    ///
    /// bash: latentd completions bash > ~/.local/share/bash-completion/completions/latentd
    ///
    /// zsh: latentd completions zsh > ~/.zfunc/_latentd (a folder of your fpath)
    ///
    /// fish: latentd completions fish > ~/.config/fish/completions/latentd.fish
    #[command(verbatim_doc_comment)]
    Completions(shell::CompletionsArgs),
    /// Write manual pages into a folder
    Man(shell::ManArgs),
    /// Look at the database of this machine's server with psql
    ///
    /// Every table and column has a comment (\dt+ and \d+ NAME). The views latent_score, job_cost, job_item and provider_call have
    /// states as words.
    Psql(psql::PsqlArgs),
    /// Measure how fast the server is
    Bench(bench::BenchArgs),
}

/// What every command needs.
struct Session {
    out: Output,
    address: String,
}

impl Session {
    async fn client(&self) -> latentd_client::Result<Client> {
        Client::connect(&self.address).await
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    ExitCode::from(main_of(std::env::args_os()))
}

/// Runs a command line, the program's name first, and returns the exit code.
pub fn main_of(line: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(line) {
        Ok(cli) => cli,
        // Help and version are such errors too, and have the code 0.
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let environment = Environment::of_process();
    let out = Output::of_process(cli.global.json, cli.global.color, &environment);
    let session = Session {
        out,
        address: cli.global.address,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&session.out, &error.into()),
    };
    let done = runtime.block_on(Box::pin(run(cli.command, &session, &environment)));
    // What still runs, such as a read from a terminal, does not hold the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => 0,
        Err(error) => failure::report(&session.out, &error),
    }
}

async fn run(command: Command, session: &Session, environment: &Environment) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(&args, session, environment).await,
        Command::Demo(args) => demo::run(args, session, environment).await,
        Command::Info => info::run(session).await,
        Command::Model(command) => model::run(command, session).await,
        Command::Sae(command) => sae::run(command, session).await,
        Command::Encode(args) => encode::run(args, session).await,
        Command::Decode(args) => decode::run(args, session).await,
        Command::Cache(command) => cache::run(command, session).await,
        Command::Corpus(command) => corpus::run(command, session).await,
        Command::Examples(args) => examples::run(args, session).await,
        Command::Explain(args) => explain::run(*args, session).await,
        Command::Score(args) => score::run(*args, session).await,
        Command::Explanations(command) => explanations::run(command, session).await,
        Command::Provider(command) => provider::run(command, session).await,
        Command::Job(command) => job::run(command, session).await,
        Command::Errors(args) => errors::run(args, session),
        Command::Completions(args) => Ok(shell::completions(&args, session)?),
        Command::Man(args) => Ok(shell::man(&args, session)?),
        Command::Psql(args) => psql::run(args, session, environment),
        Command::Bench(args) => bench::bench(args, &session.address, session.out.json).await,
    }
}

/// A path of this machine as the server's, which has another current folder.
fn absolute(path: &std::path::Path) -> anyhow::Result<String> {
    let path = std::path::absolute(path)?;
    let text = path
        .to_str()
        .ok_or_else(|| Usage(format!("{} is not UTF-8", path.display())))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_go_anywhere() {
        let cli = Cli::try_parse_from(["latentd", "cache", "list", "--json", "--address", "h:1"])
            .unwrap();
        assert!(cli.global.json);
        assert_eq!(cli.global.address, "h:1");
    }
}
