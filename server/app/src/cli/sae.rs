//! `latentd sae`: SAEs resident on the device, and what can be read from their weights.

use std::{fmt::Write as _, path::PathBuf, time::SystemTime};

use clap::Subcommand;
use latentd_client::{Latent, LoadSaeRequest, MAX_DENSITY, Sae, SelfTest};

use super::{
    Session, absolute,
    failure::Usage,
    format::{ago, bytes, count, percent, short},
    output::Output,
    table::{Table, pairs},
    tokens::quoted,
};

/// Latents that are always on which are named.
const ALWAYS_ON_SHOWN: usize = 5;

#[derive(Debug, Subcommand)]
pub(super) enum SaeCommand {
    /// List loaded SAEs
    List {
        /// Only of this model
        #[arg(long)]
        model: Option<String>,
    },
    /// Describe one, with its self-test
    Get {
        /// MODEL/SAE
        name: String,
    },
    /// Load an SAE beside its model
    Load {
        /// MODEL/SAE: a loaded model, and the id of the new SAE
        name: String,
        /// SAELens folder on the server's disk
        path: PathBuf,
        /// Factor of the normalisation expected_average_only_in, if the file does not have it
        #[arg(long)]
        norm_scaling_factor: Option<f32>,
        /// Hook point to use instead of the one in the file
        #[arg(long)]
        hook_point: Option<String>,
    },
    /// Remove an SAE from the device
    Unload {
        /// MODEL/SAE
        name: String,
    },
    /// Describe a latent: norms, logits, nearest latents
    Latent {
        /// MODEL/SAE/LATENT
        name: String,
        /// Number of tokens at each end, and of neighbours
        #[arg(long, default_value_t = 10)]
        count: u32,
    },
}

/// Carries out one of the commands.
pub(super) async fn run(command: SaeCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        SaeCommand::List { model } => {
            let saes = client.saes(model.as_deref()).to_vec().await?;
            out.list(&saes, |saes| list(saes, out))?;
        }
        SaeCommand::Get { name } => {
            let sae = client.sae(&name).await?;
            out.show(&sae, |sae| describe(sae, out))?;
        }
        SaeCommand::Load {
            name,
            path,
            norm_scaling_factor,
            hook_point,
        } => {
            let (model, id) = split(&name)?;
            let mut request = LoadSaeRequest::new(model, id, absolute(&path)?);
            if let Some(factor) = norm_scaling_factor {
                request = request.norm_scaling_factor(factor);
            }
            if let Some(hook_point) = hook_point {
                request = request.hook_point(hook_point);
            }
            let sae = client.load_sae(request).await?;
            out.show(&sae, |sae| describe(sae, out))?;
        }
        SaeCommand::Unload { name } => {
            let freed = client.unload_sae(&name).await?;
            let reply = serde_json::json!({ "freed_bytes": freed });
            out.show(&reply, |_| {
                format!("unloaded {name}: {} freed", bytes(freed))
            })?;
        }
        SaeCommand::Latent { name, count } => {
            let latent = client.latent(&name, count).await?;
            out.show(&latent, |latent| describe_latent(latent, out))?;
        }
    }
    Ok(())
}

/// The model and the id of `MODEL/SAE` or `models/MODEL/saes/SAE`.
fn split(name: &str) -> Result<(&str, &str), Usage> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [model, sae] | ["models", model, "saes", sae] => Ok((model, sae)),
        _ => Err(Usage(format!("`{name}` is not of the form MODEL/SAE"))),
    }
}

fn list(saes: &[Sae], out: &Output) -> String {
    if saes.is_empty() {
        return out
            .style
            .dim("no SAE is loaded; `latentd sae load MODEL/SAE PATH` loads one");
    }
    let mut table = Table::new([
        "SAE",
        "?architecture",
        "hook point",
        ">d_sae",
        ">L0",
        ">FVU",
        "?>resident",
    ]);
    for sae in saes {
        let measured =
            |value: fn(&SelfTest) -> String| sae.self_test.as_ref().map_or("-".to_owned(), value);
        table.row([
            short(&sae.name),
            sae.architecture.clone(),
            sae.hook_point.clone(),
            sae.d_sae.to_string(),
            measured(|test| format!("{:.1}", test.l0)),
            measured(|test| format!("{:.3}", test.fvu)),
            bytes(sae.resident_bytes),
        ]);
    }
    table.render(out.style, out.width)
}

fn describe(sae: &Sae, out: &Output) -> String {
    let style = out.style;
    let mut hook_point = sae.hook_point.clone();
    if sae.declared_hook_point != sae.hook_point {
        let _ = write!(hook_point, " (declared as {})", sae.declared_hook_point);
    }
    let k = sae.k.map_or(String::new(), |k| format!(", k {k}"));
    let bos = if sae.prepend_bos { "with" } else { "without" };
    let mut rows = vec![
        ("SAE", style.bold(&short(&sae.name))),
        ("architecture", format!("{}{k}", sae.architecture)),
        ("hook point", hook_point),
        (
            "shape",
            format!("{} → {}", sae.d_in, count(sae.d_sae.into())),
        ),
        ("input", sae.normalize_activations.clone()),
        (
            "trained on",
            format!(
                "{}, {bos} BOS",
                if sae.trained_on_model.is_empty() {
                    "-"
                } else {
                    &sae.trained_on_model
                }
            ),
        ),
        (
            "path",
            format!("{} ({}, {})", sae.path, sae.format, sae.stored_dtype),
        ),
        ("resident", bytes(sae.resident_bytes)),
        ("digest", sae.digest.clone()),
        ("loaded", ago(sae.loaded, SystemTime::now())),
    ];
    if let Some(test) = &sae.self_test {
        let declared = test
            .declared_l0
            .map_or(String::new(), |l0| format!(", declared {l0:.1}"));
        rows.push((
            "self-test",
            format!(
                "{} tokens: L0 {:.1}{declared}, FVU {:.3}",
                test.tokens, test.l0, test.fvu
            ),
        ));
        rows.extend(always_on(test).map(|text| ("always on", text)));
        rows.extend(
            test.warnings
                .iter()
                .map(|warning| ("warning", style.bad(warning))),
        );
    }
    pairs(rows, out)
}

/// Latents that fire on so many tokens that they tell little: `1386 (100.000 % of tokens)`.
fn always_on(test: &SelfTest) -> Option<String> {
    let mut dense: Vec<(u32, f64)> = test.dense_latents.iter().map(|(&l, &d)| (l, d)).collect();
    dense.retain(|&(_, density)| density > MAX_DENSITY);
    dense.sort_by(|a, b| b.1.total_cmp(&a.1));
    let shown: Vec<String> = dense
        .iter()
        .take(ALWAYS_ON_SHOWN)
        .map(|&(latent, density)| format!("{latent} ({})", percent(density)))
        .collect();
    let more = match dense.len().saturating_sub(ALWAYS_ON_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!dense.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
}

fn describe_latent(latent: &Latent, out: &Output) -> String {
    let (style, width) = (out.style, out.width);
    let mut rows = vec![
        ("latent", style.bold(&latent.name)),
        ("encoder norm", format!("{:.4}", latent.encoder_norm)),
        ("decoder norm", format!("{:.4}", latent.decoder_norm)),
        (
            "cosine of the two",
            latent
                .encoder_decoder_cosine
                .map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.4}")),
        ),
        ("encoder bias", format!("{:.4}", latent.encoder_bias)),
    ];
    if let Some(threshold) = latent.threshold {
        rows.push(("threshold", format!("{threshold:.4}")));
    }
    let mut text = pairs(rows, out);
    let lines = latent
        .top_logits
        .len()
        .max(latent.bottom_logits.len())
        .max(latent.neighbours.len());
    let mut table = Table::new([
        ">logit",
        "promotes",
        ">logit",
        "suppresses",
        ">cosine",
        "neighbour",
    ]);
    for line in 0..lines {
        let logit = |logits: &[latentd_client::TokenLogit]| match logits.get(line) {
            Some(entry) => [format!("{:+.3}", entry.logit), quoted(&entry.token)],
            None => [String::new(), String::new()],
        };
        let neighbour = match latent.neighbours.get(line) {
            Some(entry) => [format!("{:.3}", entry.cosine), entry.latent.to_string()],
            None => [String::new(), String::new()],
        };
        let cells = [
            logit(&latent.top_logits),
            logit(&latent.bottom_logits),
            neighbour,
        ];
        table.row(cells.into_iter().flatten());
    }
    text.push('\n');
    text.push_str(&table.render(style, width));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_saes_have_two_parts() {
        assert_eq!(split("m/s").unwrap(), ("m", "s"));
        assert_eq!(split("models/m/saes/s").unwrap(), ("m", "s"));
        assert!(split("m").is_err() && split("a/b/c").is_err());
    }
}
