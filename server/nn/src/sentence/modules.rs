//! The modules of a folder of sentence-transformers: what is done with the vectors of a text's tokens.
//!
//! `modules.json` names them in their order, each with its folder. What it names must be there: a pooling that is read as
//! another one gives embeddings that look like any others.

use std::path::Path;

use serde::Deserialize;

use super::settings::{malformed, optional, read, unsupported};
use crate::error::LoadError;

/// The file that names the modules.
const FILE: &str = "modules.json";

/// Files that sentence-transformers writes beside [`FILE`], and never without it.
const COMPANIONS: [&str; 3] = [
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "1_Pooling",
];

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean, special tokens included.
    Mean,
    /// The vector of the first token.
    First,
}

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct RawModule {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The configuration of a `Pooling`: the mode by name, or one flag a mode in files of older versions.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the file's")]
struct RawPooling {
    pooling_mode: Option<OneOrMany>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What comes after the model: pooling, and whether embeddings are normalised. A folder without modules is a bare model, and
/// is used as sentence-transformers uses one: the mean of the tokens, not normalised.
pub(super) fn of(folder: &Path) -> Result<(Pooling, bool), LoadError> {
    let Some(modules) = optional::<Vec<RawModule>>(&folder.join(FILE))? else {
        return match COMPANIONS.iter().find(|name| folder.join(name).exists()) {
            None => Ok((Pooling::Mean, false)),
            Some(name) => Err(malformed(
                &folder.join(FILE),
                format!("it is absent, and `{name}` belongs to it"),
            )),
        };
    };
    let mut kinds = Vec::with_capacity(modules.len());
    for module in &modules {
        kinds.push(kind(folder, module)?);
    }
    match (kinds.as_slice(), modules.as_slice()) {
        (["Transformer", "Pooling", rest @ ..], [_, pooling, ..])
            if rest.iter().all(|&kind| kind == "Normalize") =>
        {
            Ok((mode(folder, pooling)?, !rest.is_empty()))
        }
        _ => Err(unsupported(
            folder,
            format!(
                "the modules {} in this order are not supported; supported are: Transformer, Pooling, Normalize",
                kinds.join(", ")
            ),
        )),
    }
}

/// The class of a module, without the package that it lies in.
fn kind<'a>(folder: &Path, module: &'a RawModule) -> Result<&'a str, LoadError> {
    let class = module.kind.strip_prefix("sentence_transformers.");
    let class = class.and_then(|class| class.rsplit('.').next());
    match class {
        // The folder of the model itself is the one that is loaded.
        Some("Transformer") if !module.path.is_empty() => Err(unsupported(
            folder,
            format!(
                "the model lies in the folder `{}`, which is not supported: move its files up",
                module.path
            ),
        )),
        Some(class @ ("Transformer" | "Pooling" | "Normalize")) => Ok(class),
        _ => Err(unsupported(
            folder,
            format!(
                "the module `{}` is not supported; supported are: Transformer, Pooling, Normalize",
                module.kind
            ),
        )),
    }
}

fn mode(folder: &Path, module: &RawModule) -> Result<Pooling, LoadError> {
    // The path is a name in the folder; one that leads out of it finds no file that fits.
    let path = folder.join(&module.path).join("config.json");
    let raw: RawPooling = serde_json::from_slice(&read(&path)?)
        .map_err(|error| malformed(&path, error.to_string()))?;
    let flags = [
        ("cls", raw.pooling_mode_cls_token),
        ("max", raw.pooling_mode_max_tokens),
        ("mean", raw.pooling_mode_mean_tokens),
        (
            "mean_sqrt_len_tokens",
            raw.pooling_mode_mean_sqrt_len_tokens,
        ),
        ("weightedmean", raw.pooling_mode_weightedmean_tokens),
        ("lasttoken", raw.pooling_mode_lasttoken),
    ];
    let modes = match raw.pooling_mode {
        Some(OneOrMany::One(mode)) => vec![mode],
        Some(OneOrMany::Many(modes)) => modes,
        None => flags
            .iter()
            .filter(|(_, set)| *set)
            .map(|(mode, _)| (*mode).to_owned())
            .collect(),
    };
    let names: Vec<&str> = modes.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] | ["mean"] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::First),
        _ => Err(unsupported(
            folder,
            format!(
                "pooling by {} is not supported; supported are: mean, cls",
                names.join(" and ")
            ),
        )),
    }
}
