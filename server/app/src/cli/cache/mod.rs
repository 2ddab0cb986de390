//! `latentd cache`: activations of a corpus: build, list, delete, statistics.

mod build;
mod stats;
mod upload;
mod window;

use std::time::SystemTime;

use clap::Subcommand;
use latentd_client::{Cache, CacheState};

use super::{
    Session,
    format::{ago, bytes, count, short},
    output::Output,
    style::Style,
    table::{Table, pairs},
};

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Encode a corpus and store the activations
    Build(Box<build::BuildArgs>),
    /// List caches
    List,
    /// Describe one
    Get {
        /// CACHE, or caches/CACHE
        name: String,
    },
    /// Take this cache where a command names one of its SAEs and no cache
    Pin {
        /// CACHE, or caches/CACHE
        name: String,
    },
    /// Take `cache pin` back
    Unpin {
        /// CACHE, or caches/CACHE
        name: String,
    },
    /// Delete a cache and its files
    Delete {
        /// CACHE, or caches/CACHE
        name: String,
    },
    /// Statistics of latents over a cache
    Stats(stats::StatsArgs),
    /// Show the text of windows, by the ids that the examples of a score have
    Window(window::WindowArgs),
}

/// Carries out one of the commands.
pub(super) async fn run(command: CacheCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        CacheCommand::Build(args) => build::run(*args, &client, out).await?,
        CacheCommand::List => {
            let caches = client.caches().to_vec().await?;
            out.list(&caches, |caches| list(caches, out, SystemTime::now()))?;
        }
        CacheCommand::Get { name } => {
            let cache = client.cache(&name).await?;
            out.show(&cache, |cache| describe(cache, out, SystemTime::now()))?;
        }
        CacheCommand::Pin { name } => {
            let cache = client.pin_cache(&name, true).await?;
            out.show(&cache, |cache| {
                let saes: Vec<&str> = cache.saes.iter().map(|sae| sae.sae.as_str()).collect();
                format!(
                    "{} is taken for {} from now on",
                    cache.name,
                    saes.join(", ")
                )
            })?;
        }
        CacheCommand::Unpin { name } => {
            let cache = client.pin_cache(&name, false).await?;
            out.show(&cache, |cache| {
                format!("{} is no longer pinned", cache.name)
            })?;
        }
        CacheCommand::Delete { name } => {
            let freed = client.delete_cache(&name).await?;
            let reply = serde_json::json!({ "freed_bytes": freed });
            out.show(&reply, |_| {
                format!("deleted {name}: {} freed", bytes(freed))
            })?;
        }
        CacheCommand::Stats(args) => stats::run(args, &client, out).await?,
        CacheCommand::Window(args) => window::run(args, &client, out).await?,
    }
    Ok(())
}

fn state(cache: &Cache, style: Style) -> String {
    match cache.state {
        CacheState::Unknown => "unknown".to_owned(),
        CacheState::Building => "building".to_owned(),
        CacheState::Ready => style.good("ready"),
        CacheState::Failed => style.bad("failed"),
    }
}

fn list(caches: &[Cache], out: &Output, now: SystemTime) -> String {
    if caches.is_empty() {
        return out.style.dim("no caches; `latentd cache build` builds one");
    }
    let mut table = Table::new([
        "cache",
        "state",
        ">tokens",
        "?>documents",
        "?>size",
        "?created",
        "SAEs",
    ]);
    for cache in caches {
        let saes: Vec<String> = cache.saes.iter().map(|sae| short(&sae.sae)).collect();
        let pinned = if cache.pinned { " (pinned)" } else { "" };
        table.row([
            format!("{}{pinned}", short(&cache.name)),
            state(cache, out.style),
            count(cache.tokens),
            count(cache.documents),
            bytes(cache.size_bytes),
            ago(cache.created, now),
            saes.join(", "),
        ]);
    }
    table.render(out.style, out.width)
}

fn describe(cache: &Cache, out: &Output, now: SystemTime) -> String {
    let mut rows = vec![
        ("cache", out.style.bold(&short(&cache.name))),
        ("state", state(cache, out.style)),
        ("model", short(&cache.model)),
        (
            "text",
            format!(
                "{} tokens of {} documents in {} rows of at most {}",
                count(cache.tokens),
                count(cache.documents),
                count(cache.rows),
                cache.context_length
            ),
        ),
        ("seed", cache.seed.to_string()),
        ("size", bytes(cache.size_bytes)),
        ("digest", cache.manifest_digest.clone()),
        ("job", short(&cache.job)),
        ("created", ago(cache.created, now)),
        ("data folder", cache.data_folder.clone()),
    ];
    if cache.pinned {
        let what = "taken where a command names one of its SAEs and no cache";
        rows.push(("pinned", what.to_owned()));
    }
    rows.extend(cache.saes.iter().map(|sae| {
        let text = format!(
            "{} at {}: {} activations, {} of {} latents fire",
            short(&sae.sae),
            sae.hook_point,
            count(sae.activations),
            count(sae.firing_latents.into()),
            count(sae.d_sae.into())
        );
        let beyond = sae.above_range + sae.below_range;
        let text = if beyond == 0 {
            text
        } else {
            format!(
                "{text}, {} activations beyond the range of f16",
                count(beyond)
            )
        };
        ("SAE", text)
    }));
    pairs(rows, out)
}
