//! What callers ask of the device, and how it travels: a request with its lane, deadline, span and way back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use latentd_domain::{ModelId, SaeName, Scale, Selection, SparseActivations};
use latentd_nn::sae::{LatentLists, LatentReport};
use tokio::sync::oneshot;
use tracing::Span;

use crate::{
    Cost, Error,
    catalog::{ModelEntry, SaeEntry},
    compute::ResidentSae,
    embed::Embed,
    generate::Continue,
    planner::{Candidate, PassKey},
};

/// Who goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Somebody waits for the answer; shares passes with others.
    #[default]
    Interactive,
    /// Part of a job; never merged with other work, but for steps of sequences that go on.
    Bulk,
}

/// One text to encode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, whether its row is encoded; the others are part of the context, and nothing fires on them.
    pub mask: Vec<bool>,
}

/// A request to encode.
#[derive(Clone, Debug)]
pub struct EncodeWork {
    /// The model that runs.
    pub model: ModelId,
    /// The texts.
    pub sequences: Vec<Sequence>,
    /// SAEs of the model; each encodes every text.
    pub saes: Vec<SaeName>,
    /// Which latents of each token to return.
    pub selection: Selection,
    /// Unit of the activations.
    pub scale: Scale,
    /// Most activations of all SAEs together; a work that has more fails before it has them.
    pub max_entries: usize,
    /// Who goes first.
    pub lane: Lane,
    /// When the answer is of no more use. Work that has begun is finished.
    pub deadline: Option<Instant>,
}

/// The answer to an [`EncodeWork`].
#[derive(Clone, Debug, PartialEq)]
pub struct EncodeOutput {
    /// For each SAE, in the order asked for, the rows of all sequences, one after another.
    pub activations: Vec<SparseActivations>,
    /// What it cost.
    pub cost: Cost,
}

/// Dense rows on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Number of rows.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// `rows · width` values, row after row.
    pub values: Vec<f32>,
}

/// The way back to a caller. A caller that has left has closed it.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the device is asked to do. Entries are held until it is answered, whatever is unloaded meanwhile.
pub(crate) enum Request {
    Encode(Encode),
    Decode(Decode),
    Latent(Latent),
    SelfTest(SelfTest),
    Embed(Embed),
    Continue(Continue),
}

/// An [`EncodeWork`] with its names resolved.
pub(crate) struct Encode {
    pub(crate) model: Arc<ModelEntry>,
    pub(crate) saes: Vec<Arc<SaeEntry>>,
    pub(crate) sequences: Vec<Sequence>,
    pub(crate) selection: Selection,
    pub(crate) scale: Scale,
    /// [`EncodeWork::max_entries`].
    pub(crate) max_entries: usize,
    pub(crate) reply: Reply<EncodeOutput>,
}

/// Reconstruct rows.
pub(crate) struct Decode {
    pub(crate) sae: Arc<SaeEntry>,
    pub(crate) activations: SparseActivations,
    pub(crate) scale: Scale,
    pub(crate) reply: Reply<Dense>,
}

/// Describe a latent.
pub(crate) struct Latent {
    pub(crate) sae: Arc<SaeEntry>,
    pub(crate) index: u32,
    pub(crate) lists: LatentLists,
    pub(crate) reply: Reply<LatentReport>,
}

/// Test an SAE that is not in the catalog yet.
pub(crate) struct SelfTest {
    pub(crate) sae: Box<dyn ResidentSae>,
    pub(crate) reply: Reply<Box<dyn ResidentSae>>,
}

impl Encode {
    /// Tokens of all sequences.
    pub(crate) fn tokens(&self) -> usize {
        self.sequences
            .iter()
            .map(|sequence| sequence.ids.len())
            .sum()
    }
}

/// A request on its way to the device.
pub(crate) struct Work {
    pub(crate) lane: Lane,
    pub(crate) deadline: Option<Instant>,
    pub(crate) queued_at: Instant,
    pub(crate) span: Span,
    tokens: usize,
    pass: Option<PassKey>,
    pub(crate) request: Request,
}

impl Work {
    /// A request of somebody who waits for the answer, within the current span.
    pub(crate) fn new(request: Request) -> Self {
        let (tokens, pass) = match &request {
            Request::Encode(encode) => {
                let depth = encode
                    .saes
                    .iter()
                    .map(|sae| sae.info.hook_point.layer)
                    .max();
                let pass = PassKey {
                    model: encode.model.serial,
                    depth: depth.unwrap_or_default(),
                };
                (encode.tokens(), Some(pass))
            }
            Request::Decode(decode) => (decode.activations.rows(), None),
            Request::Embed(embed) => (embed.tokens(), None),
            Request::Continue(request) => (request.tokens(), None),
            Request::Latent(_) | Request::SelfTest(_) => (1, None),
        };
        Self {
            lane: Lane::Interactive,
            deadline: None,
            queued_at: Instant::now(),
            span: Span::current(),
            tokens,
            pass,
            request,
        }
    }

    /// The same work with the lane and the deadline that its caller chose.
    pub(crate) fn on(mut self, lane: Lane, deadline: Option<Instant>) -> Self {
        (self.lane, self.deadline) = (lane, deadline);
        self
    }

    /// What the planner needs to know.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            lane: self.lane,
            pass: self.pass,
            tokens: self.tokens,
            deadline: self.deadline,
            abandoned: self.request.is_abandoned(),
            keeps: match &self.request {
                Request::Continue(request) => Some(request.bytes()),
                Request::Encode(_)
                | Request::Decode(_)
                | Request::Latent(_)
                | Request::SelfTest(_)
                | Request::Embed(_) => None,
            },
        }
    }

    /// Tokens that it computes.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// How long it has waited.
    pub(crate) fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.queued_at)
    }
}

impl Request {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Encode(encode) => encode.reply.is_closed(),
            Self::Decode(decode) => decode.reply.is_closed(),
            Self::Latent(latent) => latent.reply.is_closed(),
            Self::SelfTest(test) => test.reply.is_closed(),
            Self::Embed(embed) => embed.reply.is_closed(),
            Self::Continue(request) => request.reply.is_closed(),
        }
    }

    /// Answers with an error. A caller that has left is no one's concern.
    pub(crate) fn refuse(self, error: Error) {
        match self {
            Self::Encode(encode) => drop(encode.reply.send(Err(error))),
            Self::Decode(decode) => drop(decode.reply.send(Err(error))),
            Self::Latent(latent) => drop(latent.reply.send(Err(error))),
            Self::SelfTest(test) => drop(test.reply.send(Err(error))),
            Self::Embed(embed) => drop(embed.reply.send(Err(error))),
            Self::Continue(request) => drop(request.reply.send(Err(error))),
        }
    }
}
