//! `latentd model`: models resident on the device, and their tokens.

use std::{path::PathBuf, time::SystemTime};

use clap::Subcommand;
use latentd_client::{Model, TokenSequence};

use super::{
    Session, absolute,
    format::{ago, bytes, count, short},
    output::Output,
    style::Style,
    table::{Table, pairs},
    tokens::quoted,
};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// List loaded models
    List,
    /// Describe one
    Get {
        /// MODEL, or models/MODEL
        name: String,
    },
    /// Load a model onto the device
    Load {
        /// Id of the model in requests
        id: String,
        /// Hugging Face folder or GGUF file on the server's disk
        path: PathBuf,
        /// Number format on the device: f32, or on a GPU bf16
        #[arg(long, default_value = "")]
        dtype: String,
    },
    /// Remove a model from the device
    Unload {
        /// MODEL, or models/MODEL
        name: String,
        /// Also unload its SAEs
        #[arg(long)]
        force: bool,
    },
    /// Show the tokens of texts
    Tokenize {
        /// MODEL, or models/MODEL
        name: String,
        /// Texts
        #[arg(required = true)]
        texts: Vec<String>,
        /// Leave out the beginning-of-sequence token
        #[arg(long)]
        no_bos: bool,
    },
}

/// Carries out one of the commands.
pub(super) async fn run(command: ModelCommand, session: &Session) -> anyhow::Result<()> {
    let client = session.client().await?;
    let out = &session.out;
    match command {
        ModelCommand::List => {
            let models = client.models().to_vec().await?;
            out.list(&models, |models| list(models, out))?;
        }
        ModelCommand::Get { name } => {
            let model = client.model(&name).await?;
            out.show(&model, |model| describe(model, out))?;
        }
        ModelCommand::Load { id, path, dtype } => {
            let model = client.load_model_as(&id, &absolute(&path)?, &dtype).await?;
            out.show(&model, |model| describe(model, out))?;
        }
        ModelCommand::Unload { name, force } => {
            let freed = client.unload_model(&name, force).await?;
            let reply = serde_json::json!({ "freed_bytes": freed });
            out.show(&reply, |_| {
                format!("unloaded {name}: {} freed", bytes(freed))
            })?;
        }
        ModelCommand::Tokenize {
            name,
            texts,
            no_bos,
        } => {
            let prepend = no_bos.then_some(false);
            let sequences = client.tokenize(&name, texts, prepend).await?;
            out.list(&sequences, |sequences| {
                sequences
                    .iter()
                    .map(|sequence| tokens(sequence, out.style))
                    .collect::<Vec<_>>()
                    .join("\n")
            })?;
        }
    }
    Ok(())
}

fn list(models: &[Model], out: &Output) -> String {
    if models.is_empty() {
        return out
            .style
            .dim("no model is loaded; `latentd model load ID PATH` loads one");
    }
    let mut table = Table::new([
        "model",
        "family",
        "?>layers",
        "?>d_model",
        ">parameters",
        ">resident",
        "?path",
    ]);
    for model in models {
        table.row([
            short(&model.name),
            model.family.clone(),
            model.n_layers.to_string(),
            model.d_model.to_string(),
            count(model.parameters),
            bytes(model.resident_bytes),
            model.path.clone(),
        ]);
    }
    table.render(out.style, out.width)
}

fn describe(model: &Model, out: &Output) -> String {
    let hooks = match (model.hook_points.first(), model.hook_points.last()) {
        (Some(first), Some(last)) => format!("{}, from {first} to {last}", model.hook_points.len()),
        _ => "none".to_owned(),
    };
    let mut rows = vec![
        ("model", out.style.bold(&short(&model.name))),
        ("family", format!("{} ({})", model.family, model.format)),
        ("path", model.path.clone()),
        (
            "shape",
            format!(
                "{} layers, d_model {}, {} heads ({} key-value) of {}, d_mlp {}",
                model.n_layers,
                model.d_model,
                model.n_heads,
                model.n_kv_heads,
                model.d_head,
                model.d_mlp
            ),
        ),
        ("vocabulary", count(model.vocab.into())),
        (
            "context",
            format!("{} tokens", count(model.context_length.into())),
        ),
        ("parameters", count(model.parameters)),
        (
            "resident",
            format!("{} as {}", bytes(model.resident_bytes), model.dtype),
        ),
        ("hook points", hooks),
        ("digest", model.digest.clone()),
        ("loaded", ago(model.loaded, SystemTime::now())),
    ];
    if !model.unused_tensors.is_empty() {
        rows.push(("unused tensors", model.unused_tensors.join(", ")));
    }
    pairs(rows, out)
}

fn tokens(sequence: &TokenSequence, style: Style) -> String {
    let mut table = Table::new([">id", ">bytes", "token"]);
    let texts = sequence.tokens.iter().zip(&sequence.bytes);
    for ((id, (token, bytes)), special) in sequence.ids.iter().zip(texts).zip(&sequence.special) {
        let token = quoted(token);
        let range = format!("{}..{}", bytes.start, bytes.end);
        table.row([
            id.to_string(),
            range,
            if *special { style.dim(&token) } else { token },
        ]);
    }
    table.render(style, usize::MAX)
}
