//! Whether a model's head is its embedding, where `config.json` and the weights say different things.
//!
//! As transformers 5 does it (`PreTrainedModel.tie_weights`): a head that the configuration ties, and that has other numbers
//! in the file, is not tied; an embedding that is not in the file is the head's.

use super::{Checkpoint, ModelConfig};

/// The head's weights, in every family.
const HEAD: &str = "lm_head.weight";

/// Settles it before the tensors of the model are looked for.
pub(super) fn settle(config: &mut ModelConfig, checkpoint: &mut Checkpoint) {
    let embedding = config.embedding();
    let tied = match config {
        ModelConfig::Llama(config) => &mut config.tie_embeddings,
        ModelConfig::Gpt2(config) => &mut config.tie_embeddings,
    };
    if !*tied || !checkpoint.contains(HEAD) {
        return;
    }
    if !checkpoint.contains(embedding) {
        checkpoint.alias(HEAD, embedding);
    } else if checkpoint.equal(embedding, HEAD) == Some(false) {
        *tied = false;
        tracing::warn!(
            path = %checkpoint.path().display(),
            "the configuration ties the head to the embedding, and the file holds other weights for it, which are used"
        );
    }
}
