//! `latentd examples`: the text that makes latents fire, peaks marked, with the latents' statistics.

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use futures::TryStreamExt as _;
use latentd_client::{
    Centring, Client, Example, ExampleMode, ExamplesRequest, LatentExamples, LatentStats,
    LatentStatsRequest, MAX_DENSITY,
};

use super::{
    Session,
    density::{DensityArgs, hidden},
    failure::Usage,
    format::{percent, plural, sparkline},
    latents::{Chosen, Selection, choose},
    output::Output,
    tokens::around,
};

/// Latents whose statistics are asked for beside their examples.
const MAX_STATS: usize = 1000;

#[derive(Args, Debug)]
pub(super) struct ExamplesArgs {
    /// Latents: 17 99, 100..120, or 0.. for all
    #[arg(required = true)]
    latents: Vec<Selection>,
    /// MODEL/SAE; not needed if the cache holds only one
    #[arg(long, required_unless_present = "cache")]
    sae: Option<String>,
    /// CACHE, or caches/CACHE [default: the one that holds the SAE; of several the one of `cache pin`]
    #[arg(long)]
    cache: Option<String>,
    #[command(flatten)]
    density: DensityArgs,
    /// How examples are chosen
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// Number of examples of each latent
    #[arg(long, default_value_t = 10)]
    count: u32,
    /// Number of quantiles (mode quantile) or intervals (mode bins)
    #[arg(long, default_value_t = 10)]
    groups: u32,
    /// Tokens of an example
    #[arg(long, default_value_t = 32)]
    window: u32,
    /// Where the window lies around its peak
    #[arg(long, value_enum, default_value_t)]
    centring: CentringArg,
    /// Seed of random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ModeArg {
    /// The highest peaks, strongest first
    #[default]
    Top,
    /// From slices with equally many examples, 0 the strongest (delphi's quantiles)
    Quantile,
    /// From intervals of equal width, 0 the strongest (SAEDashboard's intervals)
    Bins,
    /// Where the latent fires, at random
    Random,
    /// Where it does not fire, at random
    NonActivating,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum CentringArg {
    /// The peak is three quarters into the window
    #[default]
    Peak,
    /// Rows are cut into windows from their start; the peak may be anywhere in one
    Grid,
    /// The peak is in the middle
    Middle,
}

impl From<CentringArg> for Centring {
    fn from(centring: CentringArg) -> Self {
        match centring {
            CentringArg::Peak => Self::Peak,
            CentringArg::Grid => Self::Grid,
            CentringArg::Middle => Self::Middle,
        }
    }
}

/// Streams and shows.
pub(super) async fn run(args: ExamplesArgs, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let sae = args.sae.clone().unwrap_or_default();
    let cache = args.cache.clone().unwrap_or_default();
    let chosen = choose(&args.latents).map_err(Usage)?;
    // Latents that are named one by one are shown whatever they are.
    let named = matches!(chosen, Chosen::List(_));
    let (request, listed) = match chosen {
        Chosen::Range(start, end) => {
            let listed = (start..end).take(MAX_STATS + 1).collect();
            (ExamplesRequest::range(&sae, start..end), listed)
        }
        Chosen::List(latents) => (ExamplesRequest::new(&sae, latents.clone()), latents),
    };
    let request = options(request.cache(&cache), &args);
    let limit = args.density.limit(!session.out.json && !named);
    if session.out.json {
        let mut examples = client.examples(request).await?;
        while let Some(latent) = examples.try_next().await? {
            if latent.density <= limit {
                session.out.json(&latent)?;
            }
        }
        return Ok(());
    }
    // No list at all is a range up to the last latent.
    let stats = if listed.is_empty() || listed.len() > MAX_STATS {
        HashMap::new()
    } else {
        statistics(
            &client,
            LatentStatsRequest::new(cache)
                .sae(sae)
                .latents(unique(listed)),
        )
        .await?
    };
    show(&client, request, (&stats, limit), &session.out).await
}

fn options(request: ExamplesRequest, args: &ExamplesArgs) -> ExamplesRequest {
    request
        .count(args.count)
        .groups(args.groups)
        .window(args.window)
        .seed(args.seed)
        .mode(match args.mode {
            ModeArg::Top => ExampleMode::Top,
            ModeArg::Quantile => ExampleMode::Quantile,
            ModeArg::Bins => ExampleMode::Bins,
            ModeArg::Random => ExampleMode::Random,
            ModeArg::NonActivating => ExampleMode::NonActivating,
        })
        .centring(args.centring.into())
}

fn unique(mut latents: Vec<u32>) -> Vec<u32> {
    latents.sort_unstable();
    latents.dedup();
    latents
}

/// Statistics by latent.
pub(super) async fn statistics(
    client: &Client,
    request: LatentStatsRequest,
) -> latentd_client::Result<HashMap<u32, LatentStats>> {
    let stats = client.latent_stats(request).to_vec().await?;
    Ok(stats
        .into_iter()
        .map(|stats| (stats.latent, stats))
        .collect())
}

/// Streams examples and prints each latent as it comes, but those that fire on more than a share of the tokens.
pub(super) async fn show(
    client: &Client,
    request: ExamplesRequest,
    (stats, limit): (&HashMap<u32, LatentStats>, f64),
    out: &Output,
) -> anyhow::Result<()> {
    let mut examples = client.examples(request).await?;
    let mut dense = 0;
    out.line(out.style.dim(&legend(!stats.is_empty(), out)))?;
    while let Some(latent) = examples.try_next().await? {
        if latent.density > limit {
            dense += 1;
            continue;
        }
        out.text(&describe(&latent, stats.get(&latent.latent), out))?;
    }
    if let Some(hidden) = hidden(dense, limit, out) {
        out.line(hidden)?;
    }
    if let Some(summary) = examples.summary() {
        let silent = match summary.silent_latents {
            0 => String::new(),
            silent => format!(", {silent} never fire"),
        };
        let line = format!(
            "{} of {}{silent}, from {}",
            plural(summary.examples, "example"),
            plural(summary.latents.into(), "latent"),
            summary.cache
        );
        out.line(out.style.dim(&line))?;
    }
    Ok(())
}

/// What the signs mean.
fn legend(sparklines: bool, out: &Output) -> String {
    let peak = if out.style.is_on() {
        "underlined"
    } else {
        "«token»"
    };
    let mut text = format!(
        "{peak}: where the latent is strongest, with the activation in front\n\
         #4: the text is from document 4 of the corpus\n"
    );
    if sparklines {
        text.push_str(
            "▃█▅▂: on how many tokens the latent fires weakly (left) to strongly (right)\n",
        );
    }
    text
}

fn describe(latent: &LatentExamples, stats: Option<&LatentStats>, out: &Output) -> String {
    let style = out.style;
    let mut text = style.bold(&format!("latent {}", latent.latent));
    let facts = match stats {
        _ if latent.firing_tokens == 0 => "  never fires".to_owned(),
        None => format!(
            "  fires on {}, max {:.2}",
            tokens_of(latent),
            latent.max_activation.unwrap_or_default()
        ),
        Some(stats) => format!(
            "  fires on {}, mean {:.2}, max {:.2}  {}",
            tokens_of(latent),
            stats.mean.unwrap_or_default(),
            stats.max.unwrap_or_default(),
            sparkline(&stats.histogram)
        ),
    };
    text.push_str(&style.dim(&facts));
    if latent.density > MAX_DENSITY {
        text.push_str("  (almost always on)");
    }
    text.push('\n');
    for example in &latent.examples {
        text.push_str(&line(
            example,
            latent.max_activation.unwrap_or_default(),
            out,
        ));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// `1 200 tokens (0.600 %)`
fn tokens_of(latent: &LatentExamples) -> String {
    format!(
        "{} ({})",
        plural(latent.firing_tokens, "token"),
        percent(latent.density)
    )
}

fn line(example: &Example, max: f32, out: &Output) -> String {
    let group = match (example.quantile, example.bin) {
        (Some(group), Some((low, high))) => format!("  {group} [{low:.2}, {high:.2}]"),
        (Some(group), None) => format!("  {group}"),
        (None, _) => String::new(),
    };
    let place = format!("  {:>4}{group}", format!("#{}", example.document));
    let peak = format!("{:>8.2}", example.peak);
    let used = peak.len() + console::measure_text_width(&place) + 2;
    let window = around(
        &example.tokens,
        &example.activations,
        max,
        example.peak_index,
        (out.style, out.width.saturating_sub(used)),
    );
    format!("{peak}{}  {window}", out.style.dim(&place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output::plain(80)
    }

    fn latent() -> LatentExamples {
        LatentExamples {
            latent: 7,
            firing_tokens: 1200,
            density: 0.006,
            max_activation: Some(3.5),
            examples: vec![Example {
                document: 4,
                row: 9,
                start: 0,
                ids: vec![1, 2],
                tokens: vec![" in".into(), " Paris".into()],
                activations: vec![0.5, 3.5],
                peak: 3.5,
                peak_index: Some(1),
                quantile: Some(0),
                bin: Some((3.0, 3.5)),
            }],
        }
    }

    #[test]
    fn examples_mark_their_peak() {
        assert_eq!(
            describe(&latent(), None, &output()),
            "latent 7  fires on 1 200 tokens (0.600 %), max 3.50\n    3.50    #4  0 [3.00, 3.50]   in« Paris»\n\n"
        );
    }

    #[test]
    fn statistics_are_shown_where_known() {
        let stats = LatentStats {
            latent: 7,
            count: 1200,
            density: 0.006,
            max: Some(3.5),
            mean: Some(1.25),
            mean_square: Some(2.0),
            histogram: vec![0, 1, 2, 0],
        };
        let text = describe(&latent(), Some(&stats), &output());
        assert!(
            text.starts_with(
                "latent 7  fires on 1 200 tokens (0.600 %), mean 1.25, max 3.50  ▄█\n"
            ),
            "{text}"
        );
        let silent = LatentExamples {
            firing_tokens: 0,
            examples: vec![],
            ..latent()
        };
        assert_eq!(
            describe(&silent, Some(&stats), &output()),
            "latent 7  never fires\n\n"
        );
    }

    #[test]
    fn latents_that_are_always_on_are_marked() {
        let dense = LatentExamples {
            density: 0.9,
            ..latent()
        };
        let text = describe(&dense, None, &output());
        assert!(
            text.contains("(90.000 %), max 3.50  (almost always on)"),
            "{text}"
        );
    }
}
