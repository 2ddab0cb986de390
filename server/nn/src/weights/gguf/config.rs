//! A model's configuration from GGUF metadata and the tensors that are there.

use super::{header::Header, keys, rope};
use crate::weights::{
    Gpt2Config, LlamaConfig, ModelConfig,
    config::{Gpt2Dims, LlamaDims, Refusal, unknown_family},
};

/// The configuration that the header of `file` describes. `rope_factors` reads [`rope::FACTORS`].
pub(super) fn read(
    header: &Header,
    file: &[u8],
    rope_factors: impl FnOnce(&str) -> Option<Vec<f32>>,
) -> Result<ModelConfig, Refusal> {
    let metadata = &header.metadata;
    let split = metadata
        .unsigned("split.count")
        .map_err(Refusal::Malformed)?;
    if split.is_some_and(|count| count > 1) {
        let detail = "it is one part of a split file, which is not supported: merge it with `gguf-split --merge`";
        return Err(Refusal::Unsupported(detail.to_owned()));
    }
    let kind = metadata
        .string("general.type")
        .map_err(Refusal::Malformed)?;
    if let Some(kind) = kind.filter(|&kind| kind != "model") {
        return Err(Refusal::Unsupported(format!(
            "`general.type` is `{kind}`: the file holds no whole model"
        )));
    }
    let family = metadata
        .string("general.architecture")
        .map_err(Refusal::Malformed)?
        .ok_or_else(|| Refusal::Malformed("`general.architecture` is missing".to_owned()))?;
    if !ModelConfig::FAMILIES.contains(&family) {
        return Err(unknown_family("general.architecture", family));
    }
    keys::check(metadata, family)?;
    let described = Described {
        header,
        file,
        family,
    };
    match family {
        "llama" => described.llama(rope_factors).map(ModelConfig::Llama),
        "gpt2" => described.gpt2().map(ModelConfig::Gpt2),
        other => Err(unknown_family("general.architecture", other)),
    }
}

/// What a file says of a model of one family.
struct Described<'a> {
    header: &'a Header,
    file: &'a [u8],
    family: &'a str,
}

impl Described<'_> {
    fn llama(
        &self,
        rope_factors: impl FnOnce(&str) -> Option<Vec<f32>>,
    ) -> Result<LlamaConfig, Refusal> {
        let tensors = &self.header.tensors;
        let config = LlamaConfig::from_dims(&LlamaDims {
            vocab: self.vocab(),
            d_model: Some(self.needed("embedding_length")?),
            d_mlp: Some(self.of_all_layers("feed_forward_length")?),
            n_layers: Some(self.needed("block_count")?),
            n_heads: Some(self.of_all_layers("attention.head_count")?),
            n_kv_heads: self.of_layers("attention.head_count_kv")?,
            d_head: self.number("attention.key_length")?,
            context_length: Some(self.needed("context_length")?),
            rms_norm_eps: self.epsilon("attention.layer_norm_rms_epsilon")?,
        })?;
        self.must_be("attention.value_length", config.d_head)?;
        Ok(LlamaConfig {
            rope: rope::read(self.header, config.d_head, rope_factors)?,
            tie_embeddings: !tensors.contains_key("output.weight"),
            attention_bias: tensors.contains_key("blk.0.attn_q.bias"),
            mlp_bias: tensors.contains_key("blk.0.ffn_gate.bias"),
            ..config
        })
    }

    fn gpt2(&self) -> Result<Gpt2Config, Refusal> {
        let config = Gpt2Config::from_dims(&Gpt2Dims {
            vocab: self.vocab(),
            d_model: Some(self.needed("embedding_length")?),
            d_mlp: Some(self.of_all_layers("feed_forward_length")?),
            n_layers: Some(self.needed("block_count")?),
            n_heads: Some(self.of_all_layers("attention.head_count")?),
            context_length: Some(self.needed("context_length")?),
            layer_norm_eps: self.epsilon("attention.layer_norm_epsilon")?,
        })?;
        if let Some(heads) = self.of_layers("attention.head_count_kv")? {
            self.equal("attention.head_count_kv", heads, config.n_heads)?;
        }
        self.must_be("attention.key_length", config.d_head())?;
        self.must_be("attention.value_length", config.d_head())?;
        Ok(Gpt2Config {
            tie_embeddings: !self.header.tensors.contains_key("output.weight"),
            ..config
        })
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let number = self.header.metadata.unsigned(&self.key(name));
        number.map_err(Refusal::Malformed)
    }

    fn needed(&self, name: &str) -> Result<u64, Refusal> {
        self.number(name)?.ok_or_else(|| self.missing(name))
    }

    fn of_all_layers(&self, name: &str) -> Result<u64, Refusal> {
        self.of_layers(name)?.ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Refusal {
        Refusal::Malformed(format!("`{}` is missing", self.key(name)))
    }

    /// A number that is the same in every layer, written once or once for each.
    fn of_layers(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let key = self.key(name);
        let layers = self.number("block_count")?.unwrap_or_default();
        let numbers = self.header.metadata.of_layers(self.file, &key, layers);
        let Some(numbers) = numbers.map_err(Refusal::Malformed)? else {
            return Ok(None);
        };
        match numbers.split_first() {
            Some((&first, rest)) if rest.iter().all(|&number| number == first) => Ok(Some(first)),
            _ => Err(Refusal::Unsupported(format!(
                "`{key}` is an array whose numbers differ from layer to layer, which is not supported"
            ))),
        }
    }

    fn epsilon(&self, name: &str) -> Result<f64, Refusal> {
        let key = self.key(name);
        let epsilon = self
            .header
            .metadata
            .float(&key)
            .map_err(Refusal::Malformed)?;
        epsilon.ok_or_else(|| self.missing(name))
    }

    /// Refuses another value of a key than the one that the family computes.
    fn must_be(&self, name: &str, value: usize) -> Result<(), Refusal> {
        match self.number(name)? {
            None => Ok(()),
            Some(found) => self.equal(name, found, value),
        }
    }

    fn equal(&self, name: &str, found: u64, value: usize) -> Result<(), Refusal> {
        if found == value as u64 {
            return Ok(());
        }
        let key = self.key(name);
        Err(Refusal::Unsupported(format!(
            "`{key}` is {found} where only {value} is supported"
        )))
    }

    /// The embedding has the last word: `vocab_size` may be absent, or count padding that is not there.
    fn vocab(&self) -> Option<u64> {
        let embedding = self.header.tensors.get("token_embd.weight")?;
        embedding.shape.first().map(|&n| n as u64)
    }
}
