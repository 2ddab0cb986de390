//! Places in a model whose activations can be read: one canonical spelling, three accepted ones.
//!
//! The canonical spelling is TransformerLens' (`blocks.9.hook_resid_post`). Hugging Face module names, where the value is
//! the module's output, or with `.input` behind it its input (`model.layers.9`, `h.3.attn.c_proj.input`), and OpenAI's
//! activation locations with a layer (`resid_delta_mlp.5`, `5.mlp_post_act`) are accepted as aliases.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What is read, within a block or before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// Token embeddings, before positions are added.
    Embed,
    /// The residual stream that enters a block.
    ResidPre,
    /// The attention heads' outputs before the output projection, `[n_heads · d_head]`.
    AttnZ,
    /// What attention adds to the residual stream.
    AttnOut,
    /// The residual stream between attention and MLP.
    ResidMid,
    /// The MLP's hidden layer after its activation function and gate, `[d_mlp]`.
    MlpPost,
    /// What the MLP adds to the residual stream.
    MlpOut,
    /// The residual stream that leaves a block.
    ResidPost,
}

impl Site {
    /// Every site, in the order in which a forward pass comes upon them.
    pub const ALL: [Site; 8] = [
        Site::Embed,
        Site::ResidPre,
        Site::AttnZ,
        Site::AttnOut,
        Site::ResidMid,
        Site::MlpPost,
        Site::MlpOut,
        Site::ResidPost,
    ];

    /// TransformerLens' name within a block; of `Embed`, the whole name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Site::Embed => "hook_embed",
            Site::ResidPre => "hook_resid_pre",
            Site::AttnZ => "attn.hook_z",
            Site::AttnOut => "hook_attn_out",
            Site::ResidMid => "hook_resid_mid",
            Site::MlpPost => "mlp.hook_post",
            Site::MlpOut => "hook_mlp_out",
            Site::ResidPost => "hook_resid_post",
        }
    }

    /// Whether its vectors live in the residual stream's space, so that the unembedding applies to them.
    pub const fn is_residual_space(self) -> bool {
        match self {
            Site::AttnZ | Site::MlpPost => false,
            Site::Embed
            | Site::ResidPre
            | Site::AttnOut
            | Site::ResidMid
            | Site::MlpOut
            | Site::ResidPost => true,
        }
    }

    /// The site within a block that Hugging Face spells this way, the block's own name left out.
    fn from_hugging_face(module: &str) -> Option<Site> {
        match module {
            "" => Some(Site::ResidPost),
            "input" => Some(Site::ResidPre),
            "post_attention_layernorm.input" | "ln_2.input" => Some(Site::ResidMid),
            "self_attn" | "attn" | "attention" | "self_attn.o_proj" | "attn.c_proj"
            | "attention.dense" => Some(Site::AttnOut),
            "self_attn.o_proj.input" | "attn.c_proj.input" | "attention.dense.input" => {
                Some(Site::AttnZ)
            }
            "mlp" | "mlp.down_proj" | "mlp.c_proj" | "mlp.dense_4h_to_h" => Some(Site::MlpOut),
            "mlp.down_proj.input" | "mlp.c_proj.input" | "mlp.dense_4h_to_h.input" => {
                Some(Site::MlpPost)
            }
            _ => None,
        }
    }

    /// The site that OpenAI's transformer-debugger and sparse_autoencoder call this.
    fn from_openai(location: &str) -> Option<Site> {
        match location {
            "resid_post_mlp" => Some(Site::ResidPost),
            "resid_post_attn" => Some(Site::ResidMid),
            "resid_delta_attn" => Some(Site::AttnOut),
            "resid_delta_mlp" => Some(Site::MlpOut),
            "mlp_post_act" => Some(Site::MlpPost),
            "attn_weighted_sum_of_values" => Some(Site::AttnZ),
            _ => None,
        }
    }
}

/// A hook point that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookPointError {
    /// Not a spelling that is known.
    #[error(
        "`{0}` is not a hook point; write it the TransformerLens way, such as `blocks.9.hook_resid_post`, \
         or as a Hugging Face module such as `model.layers.9`"
    )]
    Unknown(String),
    /// The layer is not in the model.
    #[error("`{hook_point}` lies outside the model, which has {n_layers} layers")]
    OutOfRange {
        /// The hook point.
        hook_point: HookPoint,
        /// Number of blocks of the model.
        n_layers: usize,
    },
}

/// A place in a model. Ordered as a forward pass comes upon them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HookPoint {
    /// The block; 0 for [`Site::Embed`].
    pub layer: usize,
    /// What is read in it.
    pub site: Site,
}

impl HookPoint {
    /// `site` of block `layer`.
    pub const fn new(layer: usize, site: Site) -> Self {
        match site {
            Site::Embed => Self { layer: 0, site },
            _ => Self { layer, site },
        }
    }

    /// Every hook point of a model with `n_layers` blocks.
    pub fn all(n_layers: usize) -> Vec<HookPoint> {
        let blocks = (0..n_layers).flat_map(|layer| {
            Site::ALL
                .into_iter()
                .skip(1)
                .map(move |site| Self::new(layer, site))
        });
        std::iter::once(Self::new(0, Site::Embed))
            .chain(blocks)
            .collect()
    }

    /// Itself, if a model with `n_layers` blocks has it.
    pub fn within(self, n_layers: usize) -> Result<Self, HookPointError> {
        if self.layer < n_layers || self.site == Site::Embed {
            Ok(self)
        } else {
            Err(HookPointError::OutOfRange {
                hook_point: self,
                n_layers,
            })
        }
    }

    fn parse_transformer_lens(name: &str) -> Option<Self> {
        if name == Site::Embed.as_str() {
            return Some(Self::new(0, Site::Embed));
        }
        let (layer, site) = name.strip_prefix("blocks.")?.split_once('.')?;
        let site = Site::ALL
            .into_iter()
            .skip(1)
            .find(|candidate| candidate.as_str() == site)?;
        Some(Self::new(layer.parse().ok()?, site))
    }

    fn parse_hugging_face(name: &str) -> Option<Self> {
        let name = ["model.", "transformer.", "gpt_neox."]
            .into_iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        if ["embed_tokens", "wte", "embed_in"].contains(&name) {
            return Some(Self::new(0, Site::Embed));
        }
        let rest = name
            .strip_prefix("layers.")
            .or_else(|| name.strip_prefix("h."))?;
        let (layer, module) = rest.split_once('.').unwrap_or((rest, ""));
        Some(Self::new(
            layer.parse().ok()?,
            Site::from_hugging_face(module)?,
        ))
    }

    fn parse_openai(name: &str) -> Option<Self> {
        if name == "resid_post_embedding" {
            return Some(Self::new(0, Site::ResidPre));
        }
        let (head, tail) = name.split_once(['.', '/', ':'])?;
        let tail = tail.strip_prefix("autoencoders/").unwrap_or(tail);
        let tail = tail.strip_suffix(".pt").unwrap_or(tail);
        let (location, layer) = if head.bytes().all(|b| b.is_ascii_digit()) {
            (tail, head)
        } else {
            (head, tail)
        };
        Some(Self::new(layer.parse().ok()?, Site::from_openai(location)?))
    }
}

impl FromStr for HookPoint {
    type Err = HookPointError;

    fn from_str(name: &str) -> Result<Self, HookPointError> {
        Self::parse_transformer_lens(name)
            .or_else(|| Self::parse_hugging_face(name))
            .or_else(|| Self::parse_openai(name))
            .ok_or_else(|| HookPointError::Unknown(name.to_owned()))
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.site {
            Site::Embed => f.write_str(Site::Embed.as_str()),
            site => write!(f, "blocks.{}.{}", self.layer, site.as_str()),
        }
    }
}

impl TryFrom<String> for HookPoint {
    type Error = HookPointError;

    fn try_from(name: String) -> Result<Self, HookPointError> {
        name.parse()
    }
}

impl From<HookPoint> for String {
    fn from(hook_point: HookPoint) -> String {
        hook_point.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn aliases_mean_the_canonical_point() {
        for (alias, canonical) in [
            ("layers.9", "blocks.9.hook_resid_post"),
            ("model.layers.9", "blocks.9.hook_resid_post"),
            ("transformer.h.3.attn", "blocks.3.hook_attn_out"),
            ("h.3.attn.c_proj.input", "blocks.3.attn.hook_z"),
            ("model.layers.5.mlp", "blocks.5.hook_mlp_out"),
            ("layers.5.mlp.down_proj.input", "blocks.5.mlp.hook_post"),
            ("model.embed_tokens", "hook_embed"),
            ("resid_delta_mlp.5", "blocks.5.hook_mlp_out"),
            ("5.mlp_post_act", "blocks.5.mlp.hook_post"),
            (
                "resid_post_attn/autoencoders/7.pt",
                "blocks.7.hook_resid_mid",
            ),
            ("resid_post_embedding", "blocks.0.hook_resid_pre"),
        ] {
            assert_eq!(
                alias.parse::<HookPoint>().unwrap().to_string(),
                canonical,
                "{alias}"
            );
        }
    }

    #[test]
    fn unknown_points_are_refused() {
        for bad in [
            "",
            "blocks",
            "blocks.x.hook_resid_post",
            "blocks.1.hook_q",
            "layers.",
            "h.1.foo",
            "9",
        ] {
            assert!(bad.parse::<HookPoint>().is_err(), "{bad}");
        }
        assert!(HookPoint::new(12, Site::ResidPost).within(12).is_err());
    }

    #[test]
    fn order_is_that_of_the_pass() {
        let all = HookPoint::all(3);
        assert!(all.is_sorted());
        assert_eq!(all.len(), 1 + 3 * 7);
    }

    proptest! {
        #[test]
        fn canonical_names_round_trip(layer in 0usize..1000, site in 0usize..8) {
            let point = HookPoint::new(layer, Site::ALL[site]);
            prop_assert_eq!(point.to_string().parse::<HookPoint>().unwrap(), point);
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = text.parse::<HookPoint>();
        }
    }
}
