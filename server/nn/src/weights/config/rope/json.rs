//! The keys of rotary positions in `config.json`, older ones and newer ones, resolved as transformers 5 does it
//! (`RotaryEmbeddingConfigMixin` of its `modeling_rope_utils.py`):
//!
//! - One dictionary counts: `rope_scaling` if it is there and not empty, else `rope_parameters`.
//! - `rope_theta` of that dictionary goes before the one beside it; `rope_type` before its older name `type`.
//! - `original_max_position_embeddings` beside the dictionary goes before the one in it.
//! - Keys that a type has no use for are not used.
//!
//! Types that transformers computes and this crate does not, and what transformers itself fails on, are refused.

use serde_json::{Map, Value};

use super::{
    super::{MAX_CONTEXT, Refusal, count, keys::is_off, positive},
    RopeConfig, RopeScaling, Yarn,
};

/// What a `config.json` of a model with `context_length` positions says of its rope.
pub(in super::super) fn read(
    config: &Map<String, Value>,
    context_length: usize,
) -> Result<RopeConfig, Refusal> {
    let empty = Map::new();
    let rope = Rope {
        beside: config,
        inside: dictionary(config)?.unwrap_or(&empty),
        context_length,
    };
    rope.refuse_partial()?;
    Ok(RopeConfig {
        theta: rope.theta()?,
        scaling: rope.scaling()?,
    })
}

/// The dictionary that counts. Whatever Python holds for false is passed over.
fn dictionary(config: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, Refusal> {
    let given = ["rope_scaling", "rope_parameters"]
        .into_iter()
        .filter_map(|name| Some((name, config.get(name)?)))
        .find(|(_, value)| !is_off(value));
    let dictionary = match given {
        None => return Ok(None),
        Some((_, Value::Object(dictionary))) => dictionary,
        Some((name, _)) => return Err(Refusal::Malformed(format!("`{name}` is not an object"))),
    };
    match dictionary.iter().find(|(_, value)| value.is_object()) {
        None => Ok(Some(dictionary)),
        Some((layers, _)) => Err(Refusal::Unsupported(format!(
            "rope parameters of their own for the layers `{layers}` are not supported"
        ))),
    }
}

/// The keys of one configuration.
struct Rope<'a> {
    /// All keys of the file.
    beside: &'a Map<String, Value>,
    /// Those of the dictionary that counts.
    inside: &'a Map<String, Value>,
    context_length: usize,
}

impl Rope<'_> {
    fn theta(&self) -> Result<f64, Refusal> {
        let name = "rope_theta";
        match self.inside.get(name).or_else(|| self.beside.get(name)) {
            None => Ok(RopeConfig::DEFAULT_THETA),
            Some(value) => number(name, value),
        }
    }

    fn scaling(&self) -> Result<RopeScaling, Refusal> {
        match self.kind()? {
            "default" => Ok(RopeScaling::None),
            // The base grows with a sequence beyond the model's context, which is refused before it is computed.
            "dynamic" => self.needed("factor").map(|_| RopeScaling::None),
            "linear" => {
                let factor = self.needed("factor")?;
                Ok(RopeScaling::Linear { factor })
            }
            "llama3" => self.llama3(),
            "yarn" => self.yarn().map(RopeScaling::Yarn),
            other => Err(Refusal::Unsupported(format!(
                "rope type `{other}` is not supported; supported are: default, dynamic, linear, llama3, yarn"
            ))),
        }
    }

    fn kind(&self) -> Result<&str, Refusal> {
        match self
            .inside
            .get("rope_type")
            .or_else(|| self.inside.get("type"))
        {
            None => Ok("default"),
            Some(Value::String(kind)) => Ok(kind),
            Some(other) => Err(Refusal::Malformed(format!(
                "the rope type is {other}, which is not a name"
            ))),
        }
    }

    fn llama3(&self) -> Result<RopeScaling, Refusal> {
        let low_freq_factor = self.needed("low_freq_factor")?;
        let high_freq_factor = self.needed("high_freq_factor")?;
        if high_freq_factor <= low_freq_factor {
            let detail = "`high_freq_factor` must be above `low_freq_factor`";
            return Err(Refusal::Malformed(detail.to_owned()));
        }
        Ok(RopeScaling::Llama3 {
            factor: self.needed("factor")?,
            low_freq_factor,
            high_freq_factor,
            original_context_length: self.original_context_length()?,
        })
    }

    fn yarn(&self) -> Result<Yarn, Refusal> {
        if self.theta()? <= 1.0 {
            let detail = "yarn needs a `rope_theta` above 1";
            return Err(Refusal::Malformed(detail.to_owned()));
        }
        let original_context_length = self.original_context_length()?;
        let factor = match self.inside.get("factor") {
            Some(Value::Null) => self.context_length as f64 / original_context_length as f64,
            _ => self.needed("factor")?,
        };
        let mscale = match (self.truthy("mscale")?, self.truthy("mscale_all_dim")?) {
            (Some(mscale), Some(all)) => Some([mscale, all]),
            _ => None,
        };
        let attention_factor = match self.inside.get("attention_factor") {
            None | Some(Value::Null) => Yarn::default_attention_factor(factor, mscale),
            Some(value) => number("attention_factor", value)?,
        };
        let truncate = match self.inside.get("truncate") {
            None => true,
            Some(value) => !is_off(value),
        };
        Ok(Yarn {
            factor,
            attention_factor,
            beta_fast: self.truthy("beta_fast")?.unwrap_or(32.0),
            beta_slow: self.truthy("beta_slow")?.unwrap_or(1.0),
            truncate,
            original_context_length,
        })
    }

    fn original_context_length(&self) -> Result<usize, Refusal> {
        let name = "original_max_position_embeddings";
        let given = self.beside.get(name).or_else(|| self.inside.get(name));
        let tokens = match given {
            None => Some(self.context_length as u64),
            Some(value) => value.as_u64(),
        };
        count(name, tokens, MAX_CONTEXT)
    }

    /// A number that the type cannot do without.
    fn needed(&self, name: &str) -> Result<f64, Refusal> {
        match self.inside.get(name) {
            Some(value) => number(name, value),
            None => Err(Refusal::Malformed(format!(
                "the rope scaling lacks `{name}`"
            ))),
        }
    }

    /// A number that counts as absent where it is 0.
    fn truthy(&self, name: &str) -> Result<Option<f64>, Refusal> {
        match self.inside.get(name) {
            Some(value) if !is_off(value) => number(name, value).map(Some),
            _ => Ok(None),
        }
    }

    fn refuse_partial(&self) -> Result<(), Refusal> {
        let name = "partial_rotary_factor";
        let given = self.inside.get(name).or_else(|| self.beside.get(name));
        match given {
            None | Some(Value::Null) => Ok(()),
            Some(value) if value.as_f64() == Some(1.0) => Ok(()),
            Some(value) => Err(Refusal::Unsupported(format!(
                "a `{name}` of {value} is not supported: heads are rotated whole"
            ))),
        }
    }
}

fn number(name: &str, value: &Value) -> Result<f64, Refusal> {
    match value.as_f64() {
        Some(value) => positive(name, value),
        None => Err(Refusal::Malformed(format!(
            "`{name}` is {value}, which is not a number"
        ))),
    }
}
