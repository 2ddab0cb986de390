//! `latentd encode`: prompts into latents, tokens coloured by activation, the strongest latents in a table.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Read as _},
};

use clap::{Args, ValueEnum};
use latentd_client::{
    Cost, EncodeRequest, Encoded, SaeActivations, Scale, SparseRows, SpecialTokens, TopLatent,
};

use super::{
    Session,
    density::{DensityArgs, hidden},
    failure::Usage,
    format::{duration, plural},
    latents::{Chosen, Selection, choose},
    output::Output,
    style::Style,
    table::Table,
    tokens::{quoted, seen, warm},
};

/// Tokens shown before and after a peak.
const CONTEXT: usize = 6;

#[derive(Args, Debug)]
pub(super) struct EncodeArgs {
    /// Prompts; without any, each line of standard input is one
    prompts: Vec<String>,
    /// MODEL/SAE; repeat it for several SAEs of one model, which run in one pass
    #[arg(long, required = true, value_name = "MODEL/SAE")]
    sae: Vec<String>,
    /// Only the strongest latents of each token
    #[arg(long, value_name = "K", conflicts_with = "latents")]
    top_k: Option<u32>,
    /// Only these latents: 17,99 or 100..120
    #[arg(long)]
    latents: Option<Selection>,
    /// Unit of activations
    #[arg(long, value_enum, default_value_t)]
    scale: ScaleArg,
    /// Encode special tokens like any other
    #[arg(long)]
    keep_special: bool,
    /// Whether prompts begin with the beginning-of-sequence token [default: as the SAE was trained]
    #[arg(long, value_name = "BOOL")]
    bos: Option<bool>,
    #[command(flatten)]
    density: DensityArgs,
    /// Number of latents to show for each prompt
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    show: usize,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ScaleArg {
    /// As the SAE computes them
    #[default]
    Raw,
    /// Multiplied by the norm of the latent's decoder row, as Neuronpedia does
    DecoderNorm,
}

/// What is shown of a prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// Latents in the table.
    pub(super) show: usize,
    /// Latents that fire on a larger share of tokens are hidden.
    pub(super) max_density: f64,
}

/// Encodes and shows.
pub(super) async fn run(args: EncodeArgs, session: &Session) -> anyhow::Result<()> {
    let view = View {
        show: args.show,
        max_density: args.density.limit(args.latents.is_none()),
    };
    let request = request(args)?;
    let encoded = session.client().await?.encode(request).await?;
    if session.out.json {
        session.out.json(&encoded)?;
    } else {
        session.out.text(&describe(&encoded, view, &session.out))?;
    }
    Ok(())
}

fn request(args: EncodeArgs) -> anyhow::Result<EncodeRequest> {
    let prompts = if args.prompts.is_empty() {
        read_prompts()?
    } else {
        args.prompts
    };
    let mut saes = args.sae.into_iter();
    let first = saes.next().unwrap_or_default();
    let mut request = EncodeRequest::new(prompts, first).scale(match args.scale {
        ScaleArg::Raw => Scale::Raw,
        ScaleArg::DecoderNorm => Scale::DecoderNorm,
    });
    for sae in saes {
        request = request.and_sae(sae);
    }
    if let Some(k) = args.top_k {
        request = request.top_k(k);
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
    if args.keep_special {
        request = request.special_tokens(SpecialTokens::Keep);
    }
    if let Some(prepend) = args.bos {
        request = request.prepend_bos(prepend);
    }
    Ok(request)
}

fn read_prompts() -> anyhow::Result<Vec<String>> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        return Err(Usage(
            "no prompt: give some as arguments, or lines on the standard input".to_owned(),
        )
        .into());
    }
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    Ok(text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect())
}

/// Each prompt under each SAE: its tokens, then its strongest latents.
pub(super) fn describe(encoded: &Encoded, view: View, out: &Output) -> String {
    let mut text = String::new();
    for prompt in 0..encoded.prompts.len() {
        for sae in &encoded.saes {
            if encoded.saes.len() > 1 {
                text.push_str(
                    &out.style
                        .dim(&format!("{} at {}\n", sae.sae, sae.hook_point)),
                );
            }
            text.push_str(&describe_prompt((encoded, prompt), sae, view, out));
            text.push('\n');
        }
    }
    text.push_str(&out.style.dim(&cost(&encoded.cost)));
    text.push('\n');
    text
}

fn describe_prompt(
    (encoded, prompt): (&Encoded, usize),
    sae: &SaeActivations,
    view: View,
    out: &Output,
) -> String {
    let tokens = encoded.tokens(prompt);
    let rows = sae.rows.slice(encoded.rows_of(prompt));
    let dense = |latent: u32| sae.is_denser(latent, view.max_density);
    let strongest = strengths(&rows, &dense);
    let max = strongest.iter().copied().fold(0.0, f32::max);
    let mut text = warm(tokens, &strongest, max, None, out.style);
    text.push_str("\n\n");
    let mut top = rows.top(usize::MAX);
    let all = top.len();
    top.retain(|top| !dense(top.latent));
    let hidden = hidden(all - top.len(), view.max_density, out);
    top.truncate(view.show);
    if all == 0 {
        text.push_str(&out.style.dim("no latent fires\n"));
        return text;
    }
    let mut table = Table::new([">latent", ">peak", "?>tokens", "token", "context"]);
    for latent in &top {
        let along: Vec<f32> = (0..rows.rows())
            .map(|row| {
                rows.row(row)
                    .find(|(index, _)| *index == latent.latent)
                    .map_or(0.0, |(_, a)| a)
            })
            .collect();
        table.row([
            out.style.bold(&latent.latent.to_string()),
            format!("{:.2}", latent.activation),
            latent.count.to_string(),
            quoted(seen(tokens, latent.row)),
            context(tokens, &along, latent, out.style),
        ]);
    }
    text.push_str(&table.render(out.style, out.width));
    if let Some(hidden) = hidden {
        text.push_str(&hidden);
        text.push('\n');
    }
    text
}

/// The strongest activation on each token, of latents that are not dense and fire on no more than half of the tokens; of all if
/// there are none.
///
/// Latents that are always on are often the strongest by far, and would paint the prompt in one colour.
fn strengths(rows: &SparseRows, dense: &dyn Fn(u32) -> bool) -> Vec<f32> {
    let firing: HashMap<u32, usize> = rows
        .top(usize::MAX)
        .into_iter()
        .map(|top| (top.latent, top.count))
        .collect();
    let particular = |latent: u32| {
        let count = firing.get(&latent);
        !dense(latent) && count.is_some_and(|count| count * 2 <= rows.rows())
    };
    let strongest = |keep: &dyn Fn(u32) -> bool| -> Vec<f32> {
        let row = |row| {
            rows.row(row)
                .filter(|(latent, _)| keep(*latent))
                .map(|(_, a)| a)
                .fold(0.0, f32::max)
        };
        (0..rows.rows()).map(row).collect()
    };
    let particulars = strongest(&particular);
    if particulars.iter().any(|&strength| strength > 0.0) {
        particulars
    } else {
        strongest(&|_| true)
    }
}

/// The tokens around a latent's peak, coloured by that latent.
fn context(tokens: &[String], along: &[f32], latent: &TopLatent, style: Style) -> String {
    let start = latent.row.saturating_sub(CONTEXT);
    let end = (latent.row + CONTEXT / 2 + 1).min(tokens.len());
    let window = tokens.get(start..end).unwrap_or_default();
    let along = along.get(start..end).unwrap_or_default();
    let text = warm(
        window,
        along,
        latent.activation,
        Some(latent.row - start),
        style,
    );
    let (before, after) = (
        if start > 0 { "…" } else { "" },
        if end < tokens.len() { "…" } else { "" },
    );
    format!("{before}{text}{after}")
}

fn cost(cost: &Cost) -> String {
    let shared = match cost.batch_requests {
        0 | 1 => String::new(),
        calls => format!(
            ", in a pass of {} tokens of {calls} calls",
            cost.batch_tokens
        ),
    };
    format!(
        "{}, {} waiting, {} computing{shared}",
        plural(cost.tokens.into(), "token"),
        duration(cost.queue),
        duration(cost.compute)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use latentd_client::EncodedPrompt;

    use super::*;

    fn encoded() -> Encoded {
        let mut rows = SparseRows::new();
        rows.push_row([]);
        rows.push_row([(7, 1.0), (9, 4.0)]);
        rows.push_row([(7, 2.0)]);
        let tokens = ["<s>", "Hello", "\n"].map(String::from).to_vec();
        Encoded {
            prompts: vec![EncodedPrompt {
                ids: vec![0, 1, 2],
                tokens,
                ..EncodedPrompt::default()
            }],
            saes: vec![SaeActivations {
                sae: "models/m/saes/s".into(),
                hook_point: "blocks.9.hook_resid_post".into(),
                digest: String::new(),
                d_sae: 16,
                rows,
                scale: Scale::Raw,
                dense_latents: BTreeMap::new(),
            }],
            model_digest: String::new(),
            cost: Cost {
                tokens: 3,
                ..Cost::default()
            },
        }
    }

    fn output(colour: bool) -> Output {
        let style = Style::new(colour);
        Output {
            json: false,
            style,
            remarks: style,
            width: 80,
            interactive: false,
        }
    }

    fn view(show: usize) -> View {
        View {
            show,
            max_density: 0.1,
        }
    }

    #[test]
    fn latents_that_are_always_on_are_hidden() {
        let mut encoded = encoded();
        encoded.saes[0].dense_latents = BTreeMap::from([(9, 1.0)]);
        let text = describe(&encoded, view(5), &output(false));
        assert!(!text.contains("\n     9 "), "{text}");
        assert!(
            text.contains("1 latent that fires on more than 10 % of tokens is hidden"),
            "{text}"
        );
        let all = View {
            max_density: 1.0,
            ..view(5)
        };
        let text = describe(&encoded, all, &output(false));
        assert!(
            text.contains("     9 ") && !text.contains("hidden"),
            "{text}"
        );
    }

    #[test]
    fn plain_output_names_the_strongest_latents() {
        assert_eq!(
            describe(&encoded(), view(5), &output(false)),
            "<s>Hello↵\n\n\
             latent  peak  tokens  token    context\n     \
             9  4.00       1  ‘Hello’  <s>«Hello»↵\n     \
             7  2.00       2  ‘↵’      <s>Hello«↵»\n\n\
             3 tokens, 0 s waiting, 0 s computing\n"
        );
    }

    #[test]
    fn colours_show_the_strength_of_tokens() {
        let text = describe(&encoded(), view(1), &output(true));
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("<s>\x1b["), "{first:?}");
        // Latent 7 fires on two of three tokens: the last one is as if nothing fired there.
        assert!(
            first.contains("48;5;203mHello") && first.ends_with('↵'),
            "{first:?}"
        );
    }
}
