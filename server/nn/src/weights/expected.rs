//! Which tensors each family needs, with their shapes, in Hugging Face's names: checked before anything is read, so that
//! one message lists all that is missing.

use super::config::{Gpt2Config, LlamaConfig};

type Tensors = Vec<(String, Vec<usize>)>;

impl LlamaConfig {
    /// Names and shapes of all tensors; matrices are `[out, in]`.
    pub fn tensors(&self) -> Tensors {
        let (d_model, d_mlp) = (self.d_model, self.d_mlp);
        let (queries, keys) = (self.n_heads * self.d_head, self.n_kv_heads * self.d_head);
        let mut tensors = vec![
            (
                "model.embed_tokens.weight".to_owned(),
                vec![self.vocab, d_model],
            ),
            ("model.norm.weight".to_owned(), vec![d_model]),
        ];
        if !self.tie_embeddings {
            tensors.push(("lm_head.weight".to_owned(), vec![self.vocab, d_model]));
        }
        let projections = [
            ("self_attn.q_proj", queries, d_model, self.attention_bias),
            ("self_attn.k_proj", keys, d_model, self.attention_bias),
            ("self_attn.v_proj", keys, d_model, self.attention_bias),
            ("self_attn.o_proj", d_model, queries, self.attention_bias),
            ("mlp.gate_proj", d_mlp, d_model, self.mlp_bias),
            ("mlp.up_proj", d_mlp, d_model, self.mlp_bias),
            ("mlp.down_proj", d_model, d_mlp, self.mlp_bias),
        ];
        for layer in 0..self.n_layers {
            let block = format!("model.layers.{layer}");
            tensors.push((format!("{block}.input_layernorm.weight"), vec![d_model]));
            tensors.push((
                format!("{block}.post_attention_layernorm.weight"),
                vec![d_model],
            ));
            for (name, rows, columns, bias) in projections {
                tensors.push((format!("{block}.{name}.weight"), vec![rows, columns]));
                if bias {
                    tensors.push((format!("{block}.{name}.bias"), vec![rows]));
                }
            }
        }
        tensors
    }
}

impl Gpt2Config {
    /// Names and shapes of all tensors; matrices of the blocks are `[in, out]`, transformers' `Conv1D`.
    pub fn tensors(&self) -> Tensors {
        let (d_model, d_mlp) = (self.d_model, self.d_mlp);
        let mut tensors = vec![
            (
                "transformer.wte.weight".to_owned(),
                vec![self.vocab, d_model],
            ),
            (
                "transformer.wpe.weight".to_owned(),
                vec![self.context_length, d_model],
            ),
            ("transformer.ln_f.weight".to_owned(), vec![d_model]),
            ("transformer.ln_f.bias".to_owned(), vec![d_model]),
        ];
        if !self.tie_embeddings {
            tensors.push(("lm_head.weight".to_owned(), vec![self.vocab, d_model]));
        }
        let projections = [
            ("attn.c_attn", d_model, 3 * d_model),
            ("attn.c_proj", d_model, d_model),
            ("mlp.c_fc", d_model, d_mlp),
            ("mlp.c_proj", d_mlp, d_model),
        ];
        for layer in 0..self.n_layers {
            let block = format!("transformer.h.{layer}");
            for norm in ["ln_1", "ln_2"] {
                tensors.push((format!("{block}.{norm}.weight"), vec![d_model]));
                tensors.push((format!("{block}.{norm}.bias"), vec![d_model]));
            }
            for (name, rows, columns) in projections {
                tensors.push((format!("{block}.{name}.weight"), vec![rows, columns]));
                tensors.push((format!("{block}.{name}.bias"), vec![columns]));
            }
        }
        tensors
    }
}
