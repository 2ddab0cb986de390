//! ActivationService: activations of prompts, now.

mod encoded;
mod request;
mod stream;

pub use encoded::{Cost, Encoded, EncodedPrompt, MAX_DENSITY, SaeActivations};
pub use request::{DecodeRequest, EncodeRequest, Prompt, Scale, SpecialTokens};
pub use stream::{EncodeStream, EncodedBatch, StreamSummary};

use crate::{Client, Dense, Error, Result, client::stub, packed, retry::Repeat};

impl Client {
    /// Encodes prompts with one or several SAEs of one model, in one pass.
    ///
    /// # Errors
    ///
    /// `INVALID_REQUEST` with all violations, `EMPTY_BATCH`, `BATCH_TOO_LARGE`, `PROMPT_TOO_LONG`, `UNKNOWN_SAE`, and
    /// what befalls the device.
    pub async fn encode(&self, request: EncodeRequest) -> Result<Encoded> {
        let reply = self.call(Repeat::Always, request.into_proto(), |request| async {
            stub!(self, activation_service_client::ActivationServiceClient)
                .encode(request)
                .await
        });
        Encoded::try_from(reply.await?)
    }

    /// Turns latents back into dense vectors at the SAE's hook point: one row for each row of the request.
    pub async fn decode(&self, request: DecodeRequest) -> Result<Dense> {
        let reply = self.call(Repeat::Always, request.into_proto(), |request| async {
            stub!(self, activation_service_client::ActivationServiceClient)
                .decode(request)
                .await
        });
        let reply = reply.await?;
        let dense = Dense {
            rows: reply.rows as usize,
            width: reply.width as usize,
            values: if reply.packed_values.is_empty() {
                reply.values
            } else {
                packed::f32s(&reply.packed_values)?
            },
        };
        if dense.rows.checked_mul(dense.width) == Some(dense.values.len()) {
            Ok(dense)
        } else {
            Err(Error::malformed("the values are not rows × width"))
        }
    }
}
