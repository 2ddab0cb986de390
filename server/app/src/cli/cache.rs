//! `latentd cache`: activations of a corpus: build, list, delete, statistics.

use std::{path::PathBuf, time::SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use latentd_client::{
    ActivationDtype, BuildCacheRequest, Cache, CacheState, Client, Corpus, CorpusFormat,
    LatentStats, LatentStatsRequest, SpecialTokens,
};

use super::{
    Session, absolute,
    failure::Usage,
    format::{ago, bytes, count, percent, sparkline},
    latents::{Chosen, Selection, choose},
    output::Output,
    progress,
    style::Style,
    table::{Table, pairs},
};

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Encode a corpus and store what fires
    Build(Box<BuildArgs>),
    /// List caches
    List,
    /// Describe one
    Get {
        /// CACHE, or caches/CACHE
        name: String,
    },
    /// Delete a cache and its files
    Delete {
        /// CACHE, or caches/CACHE
        name: String,
    },
    /// Statistics of latents over a cache
    Stats(StatsArgs),
}

#[derive(Args, Debug)]
pub(super) struct BuildArgs {
    /// Files or folders of text on the server's disk
    #[arg(required = true)]
    corpus: Vec<PathBuf>,
    /// MODEL/SAE; several of one model run in one pass
    #[arg(long, required = true, value_name = "MODEL/SAE")]
    sae: Vec<String>,
    /// Id to give the cache [default: chosen by the server]
    #[arg(long)]
    id: Option<String>,
    /// How the files are read
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Field or column that holds the text, of JSONL and Parquet [default: text]
    #[arg(long)]
    text_field: Option<String>,
    /// Longest row, in tokens, beginning-of-sequence included [default: as the SAE was trained]
    #[arg(long)]
    context_length: Option<u32>,
    /// Tokens to encode at most [default: the whole corpus]
    #[arg(long)]
    max_tokens: Option<u64>,
    /// Shuffle the documents, unless 0
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Put the beginning-of-sequence token in front of each row, or do not [default: as the SAE was trained]
    #[arg(long, value_name = "BOOL")]
    bos: Option<bool>,
    /// Encode special tokens like any other
    #[arg(long)]
    keep_special: bool,
    /// Number format of stored activations
    #[arg(long, value_enum, default_value_t)]
    dtype: DtypeArg,
    /// Makes a repeated request the same request
    #[arg(long)]
    request_id: Option<String>,
    /// Start the job and return
    #[arg(long)]
    detach: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormatArg {
    /// By the ending of each file
    #[default]
    Auto,
    /// Each text file is a document
    Text,
    /// Each line is a document
    Lines,
    /// Each line is a JSON object and a document
    Jsonl,
    /// Each row is a document
    Parquet,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DtypeArg {
    #[default]
    F16,
    F32,
}

#[derive(Args, Debug)]
pub(super) struct StatsArgs {
    /// CACHE, or caches/CACHE [default: the newest one that holds the SAE]
    cache: Option<String>,
    /// MODEL/SAE; not needed if the cache holds one alone
    #[arg(long, required_unless_present = "cache")]
    sae: Option<String>,
    /// Only these latents: 17,99 or 100..120
    #[arg(long)]
    latents: Option<Selection>,
    /// Order of the latents shown
    #[arg(long, value_enum, default_value_t)]
    sort: SortArg,
    /// Latents to show at most
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SortArg {
    /// By index
    #[default]
    Latent,
    /// The most frequent first
    Density,
    /// The strongest first
    Max,
}

/// Carries out one of the commands.
pub(super) async fn run(command: CacheCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        CacheCommand::Build(args) => build(*args, &client, out).await?,
        CacheCommand::List => {
            let caches = client.caches().to_vec().await?;
            out.show(&caches, |caches| list(caches, out, SystemTime::now()))?;
        }
        CacheCommand::Get { name } => {
            let cache = client.cache(&name).await?;
            out.show(&cache, |cache| {
                describe(cache, out.style, SystemTime::now())
            })?;
        }
        CacheCommand::Delete { name } => {
            let freed = client.delete_cache(&name).await?;
            let reply = serde_json::json!({ "freed_bytes": freed });
            out.show(&reply, |_| {
                format!("deleted {name}: {} given back", bytes(freed))
            })?;
        }
        CacheCommand::Stats(args) => stats(args, &client, out).await?,
    }
    Ok(())
}

async fn build(args: BuildArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let detach = args.detach;
    let job = client.build_cache(request(args)?).await?;
    if detach {
        out.show(&job, |job| {
            format!(
                "{} builds {}\n`latentd job watch {}` follows it",
                job.name, job.result, job.name
            )
        })?;
        return Ok(());
    }
    let job = progress::follow(client, &job.name, out).await?;
    if !out.json {
        let cache = client.cache(&job.result).await?;
        out.text(&describe(&cache, out.style, SystemTime::now()))?;
    }
    Ok(())
}

fn request(args: BuildArgs) -> anyhow::Result<BuildCacheRequest> {
    let paths: anyhow::Result<Vec<String>> =
        args.corpus.iter().map(|path| absolute(path)).collect();
    let mut corpus = Corpus::new(paths?).format(match args.format {
        FormatArg::Auto => CorpusFormat::Auto,
        FormatArg::Text => CorpusFormat::Text,
        FormatArg::Lines => CorpusFormat::Lines,
        FormatArg::Jsonl => CorpusFormat::Jsonl,
        FormatArg::Parquet => CorpusFormat::Parquet,
    });
    if let Some(field) = args.text_field {
        corpus = corpus.text_field(field);
    }
    let mut saes = args.sae.into_iter();
    let mut request = BuildCacheRequest::new(saes.next().unwrap_or_default(), corpus)
        .seed(args.seed)
        .context_length(args.context_length.unwrap_or_default())
        .max_tokens(args.max_tokens.unwrap_or_default())
        .cache_id(args.id.unwrap_or_default())
        .request_id(args.request_id.unwrap_or_default())
        .activation_dtype(match args.dtype {
            DtypeArg::F16 => ActivationDtype::F16,
            DtypeArg::F32 => ActivationDtype::F32,
        });
    for sae in saes {
        request = request.and_sae(sae);
    }
    if let Some(prepend) = args.bos {
        request = request.prepend_bos(prepend);
    }
    if args.keep_special {
        request = request.special_tokens(SpecialTokens::Keep);
    }
    Ok(request)
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
        ">documents",
        ">size",
        "created",
        "SAEs",
    ]);
    for cache in caches {
        let saes: Vec<&str> = cache.saes.iter().map(|sae| sae.sae.as_str()).collect();
        table.row([
            cache.name.clone(),
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

fn describe(cache: &Cache, style: Style, now: SystemTime) -> String {
    let mut rows = vec![
        ("cache", style.bold(&cache.name)),
        ("state", state(cache, style)),
        ("model", cache.model.clone()),
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
        ("job", cache.job.clone()),
        ("created", ago(cache.created, now)),
    ];
    rows.extend(cache.saes.iter().map(|sae| {
        let text = format!(
            "{} at {}: {} activations, {} of {} latents fire",
            sae.sae,
            sae.hook_point,
            count(sae.activations),
            count(sae.firing_latents.into()),
            count(sae.d_sae.into())
        );
        ("SAE", text)
    }));
    pairs(rows, style)
}

async fn stats(args: StatsArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let mut request = LatentStatsRequest::new(args.cache.unwrap_or_default());
    if let Some(sae) = args.sae {
        request = request.sae(sae);
    }
    if let Some(selection) = args.latents {
        request = request.latents(match choose(&[selection]).map_err(Usage)? {
            Chosen::List(latents) => latents,
            Chosen::Range(_, 0) => {
                return Err(Usage("a range of latents needs an end here".to_owned()).into());
            }
            Chosen::Range(start, end) => (start..end).collect(),
        });
    }
    let mut stats = client.latent_stats(request).to_vec().await?;
    let summary = summary(&stats, out.style);
    match args.sort {
        SortArg::Latent => {}
        SortArg::Density => {
            stats.sort_by(|a, b| b.count.cmp(&a.count).then(a.latent.cmp(&b.latent)));
        }
        SortArg::Max => stats.sort_by(|a, b| b.max.total_cmp(&a.max).then(a.latent.cmp(&b.latent))),
    }
    if !out.json {
        stats.truncate(args.limit);
    }
    out.show(&stats, |stats| format!("{summary}\n{}", table(stats, out)))?;
    Ok(())
}

/// How many latents fire at all, and how often those do.
fn summary(stats: &[LatentStats], style: Style) -> String {
    let mut densities: Vec<f64> = stats
        .iter()
        .filter(|latent| latent.count > 0)
        .map(|latent| latent.density)
        .collect();
    densities.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (densities.len().saturating_sub(1) as f64 * share).round() as usize;
        densities
            .get(index)
            .map_or("-".to_owned(), |&density| percent(density))
    };
    pairs(
        [
            ("latents", count(stats.len() as u64)),
            ("silent", count((stats.len() - densities.len()) as u64)),
            (
                "density",
                format!(
                    "median {}, 10 % below {}, 10 % above {}",
                    at(0.5),
                    at(0.1),
                    at(0.9)
                ),
            ),
        ],
        style,
    )
}

fn table(stats: &[LatentStats], out: &Output) -> String {
    let mut table = Table::new([
        ">latent",
        ">tokens",
        ">density",
        ">mean",
        ">max",
        "activations, weak to strong",
    ]);
    for latent in stats {
        table.row([
            out.style.bold(&latent.latent.to_string()),
            count(latent.count),
            percent(latent.density),
            format!("{:.3}", latent.mean),
            format!("{:.3}", latent.max),
            sparkline(&latent.histogram),
        ]);
    }
    table.render(out.style, out.width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_the_silent() {
        let latent = |count: u64| LatentStats {
            latent: 0,
            count,
            density: count as f64 / 1000.0,
            max: 1.0,
            mean: 1.0,
            mean_square: 1.0,
            histogram: vec![],
        };
        let stats = [latent(0), latent(1), latent(2), latent(10)];
        assert_eq!(
            summary(&stats, Style::new(false)),
            "latents  4\nsilent   1\ndensity  median 0.200 %, 10 % below 0.100 %, 10 % above 1.000 %\n"
        );
        assert!(summary(&[], Style::new(false)).contains("median -"));
    }
}
