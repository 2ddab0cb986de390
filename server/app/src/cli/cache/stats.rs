//! `latentd cache stats`: how often and how strongly latents fire.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use latentd_client::{Client, LatentStats, LatentStatsRequest};

use super::super::{
    density::{DensityArgs, hidden},
    failure::Usage,
    format::{count, percent, short, sparkline},
    latents::{Chosen, Selection, choose},
    output::Output,
    table::{Table, pairs},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct StatsArgs {
    /// CACHE, or caches/CACHE [default: the one that holds the SAE; of several the one of `cache pin`]
    cache: Option<String>,
    /// MODEL/SAE; not needed if the cache holds only one
    #[arg(long, required_unless_present = "cache")]
    sae: Option<String>,
    /// Only these latents: 17,99 or 100..120
    #[arg(long)]
    latents: Option<Selection>,
    #[command(flatten)]
    density: DensityArgs,
    /// Order of the latents shown
    #[arg(long, value_enum, default_value_t)]
    sort: SortArg,
    /// Most latents to show
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

/// Lists and sums up.
pub(super) async fn run(args: StatsArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let limit = args.density.limit(!out.json && args.latents.is_none());
    let cache = match (args.cache, &args.sae) {
        (None, Some(sae)) => client.cache_of(sae).await?.name,
        (cache, _) => cache.unwrap_or_default(),
    };
    let mut request = LatentStatsRequest::new(&cache);
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
    let summary = summary(&stats, out);
    let all = stats.len();
    stats.retain(|stats| stats.density <= limit);
    let hidden = hidden(all - stats.len(), limit, out);
    match args.sort {
        SortArg::Latent => {}
        SortArg::Density => {
            stats.sort_by(|a, b| b.count.cmp(&a.count).then(a.latent.cmp(&b.latent)));
        }
        SortArg::Max => {
            let max = |latent: &LatentStats| latent.max.unwrap_or(f32::NEG_INFINITY);
            stats.sort_by(|a, b| max(b).total_cmp(&max(a)).then(a.latent.cmp(&b.latent)));
        }
    }
    if !out.json {
        stats.truncate(args.limit);
    }
    out.list(&stats, |stats| {
        let mut text = format!("{}\n{summary}\n{}", short(&cache), table(stats, out));
        if let Some(hidden) = hidden {
            let _ = writeln!(text, "\n{hidden}");
        }
        text
    })?;
    Ok(())
}

/// How many latents fire at all, and how often those do.
fn summary(stats: &[LatentStats], out: &Output) -> String {
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
        out,
    )
}

/// A number, or a dash where it is not defined.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn table(stats: &[LatentStats], out: &Output) -> String {
    let mut table = Table::new([
        ">latent",
        ">tokens",
        ">density",
        "?>mean",
        ">max",
        "activations, weak to strong",
    ]);
    for latent in stats {
        table.row([
            out.style.bold(&latent.latent.to_string()),
            count(latent.count),
            percent(latent.density),
            number(latent.mean),
            number(latent.max.map(f64::from)),
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
            max: (count > 0).then_some(1.0),
            mean: (count > 0).then_some(1.0),
            mean_square: (count > 0).then_some(1.0),
            histogram: vec![],
        };
        let stats = [latent(0), latent(1), latent(2), latent(10)];
        assert_eq!(
            summary(&stats, &Output::plain(80)),
            "latents  4\nsilent   1\ndensity  median 0.200 %, 10 % below 0.100 %, 10 % above 1.000 %\n"
        );
        assert!(summary(&[], &Output::plain(80)).contains("median -"));
    }
}
