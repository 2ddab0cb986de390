//! How the server reaches the device: a cheap clone that hides queue and threads.

use std::{path::PathBuf, sync::Arc, time::Instant};

use latentd_domain::{Dtype, ModelId, SaeName, Scale, SparseActivations};
use latentd_files::Interrupt;
use latentd_nn::sae::{Direction, LatentLists, LatentReport, SaeOptions};
use tokio::sync::{oneshot, watch};

use crate::{
    Dense, DeviceInfo, EmbedOutput, EmbedWork, EncodeOutput, EncodeWork, Error, GenerateOutput,
    GenerateWork, Health, Lane, ScoreTokensOutput, ScoreTokensWork,
    catalog::{Catalog, ModelEntry, SaeEntry},
    embed,
    engine::Shared,
    generate,
    loader::Order,
    residency::Removed,
    resolve,
    work::{Latent, Request, Work},
};

/// A way to the engine. Dropping the future of a call takes its work out of the queue.
///
/// A call within a `tracing` span is computed within that span.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes a model resident, from a Hugging Face folder or a GGUF file; `dtype` defaults to the engine's.
    ///
    /// Asking again for the same, or for equal content elsewhere, changes nothing and returns what is resident.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] if the id has other content, and whatever reading the files can bring.
    pub async fn load_model(
        &self,
        id: ModelId,
        path: PathBuf,
        dtype: Option<Dtype>,
    ) -> Result<Arc<ModelEntry>, Error> {
        let (reply, loaded) = oneshot::channel();
        let dtype = dtype.unwrap_or(self.shared.info.dtype);
        let (interrupt, _guard) = Interrupt::guarded(None);
        self.shared
            .loader
            .push(Order::model(id, path, dtype, interrupt, reply))?;
        self.answer(loaded).await
    }

    /// Takes a model away and returns the bytes that it gives back once the last work that uses it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`]; [`Error::ResourceInUse`] if SAEs of it are resident, unless `force` takes them away too.
    #[expect(
        clippy::unused_async,
        reason = "every call on a handle has the same shape"
    )]
    pub async fn unload_model(&self, id: &ModelId, force: bool) -> Result<u64, Error> {
        let removed = self.shared.residency.remove_model(id, force)?;
        Ok(self.release(removed))
    }

    /// Makes an SAE of a resident model resident, once it has passed its self-test on the device.
    ///
    /// Asking again for the same, or for equal content elsewhere, changes nothing and returns what is resident.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownModel`], [`Error::AlreadyExists`] if the name has other content or options, and whatever reading
    /// the files and the self-test can bring.
    pub async fn load_sae(
        &self,
        name: SaeName,
        path: PathBuf,
        options: SaeOptions,
    ) -> Result<Arc<SaeEntry>, Error> {
        let (reply, loaded) = oneshot::channel();
        let (interrupt, _guard) = Interrupt::guarded(None);
        self.shared
            .loader
            .push(Order::sae(name, path, options, interrupt, reply))?;
        self.answer(loaded).await
    }

    /// Takes an SAE away and returns the bytes that it gives back once the last work that uses it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSae`].
    #[expect(
        clippy::unused_async,
        reason = "every call on a handle has the same shape"
    )]
    pub async fn unload_sae(&self, name: &SaeName) -> Result<u64, Error> {
        let removed = self.shared.residency.remove_sae(name)?;
        Ok(self.release(removed))
    }

    /// Encodes; concurrent calls share forward passes, which changes no result.
    ///
    /// # Errors
    ///
    /// What the request has wrong, [`Error::QueueFull`], [`Error::DeadlineExceeded`], [`Error::OutOfDeviceMemory`] if one
    /// sequence alone is too much, and [`Error::ShuttingDown`] or [`Error::EngineUnavailable`] if there is no device thread
    /// any more.
    pub async fn encode(&self, work: EncodeWork) -> Result<EncodeOutput, Error> {
        let (lane, deadline) = (work.lane, work.deadline);
        let (reply, encoded) = oneshot::channel();
        let encode = resolve::encode(&self.catalog(), work, reply)?;
        self.shared
            .queue
            .push(Work::new(Request::Encode(encode)).on(lane, deadline))?;
        self.answer(encoded).await
    }

    /// Whether there is room in the queue and time before the deadline, for callers that have texts to tokenize before.
    ///
    /// # Errors
    ///
    /// What [`Handle::encode`] would say of a small work.
    pub fn room_for(&self, deadline: Option<Instant>) -> Result<(), Error> {
        self.shared.queue.room_for(1, deadline)
    }

    /// Goes on from a prompt. Concurrent calls share steps, and what prompts begin with alike is computed once.
    ///
    /// # Errors
    ///
    /// As [`Handle::encode`]; [`Error::WrongModelKind`] for a sentence encoder. A deadline ends it in mid-answer.
    pub async fn generate(&self, work: GenerateWork) -> Result<GenerateOutput, Error> {
        generate::generate(&self.shared, work).await
    }

    /// Scores given tokens: the log-probability of each, given all before it.
    ///
    /// # Errors
    ///
    /// As [`Handle::generate`]; [`Error::NothingToScore`].
    pub async fn score_tokens(&self, work: ScoreTokensWork) -> Result<ScoreTokensOutput, Error> {
        generate::score_tokens(&self.shared, work).await
    }

    /// Reconstructs rows of the SAE's input from sparse activations.
    ///
    /// # Errors
    ///
    /// As [`Handle::encode`].
    pub async fn decode(
        &self,
        sae: SaeName,
        activations: SparseActivations,
        scale: Scale,
    ) -> Result<Dense, Error> {
        let (reply, decoded) = oneshot::channel();
        let decode = resolve::decode(&self.catalog(), &sae, activations, (scale, reply))?;
        self.shared.queue.push(Work::new(Request::Decode(decode)))?;
        self.answer(decoded).await
    }

    /// Describes one latent, with `count` entries in each list.
    ///
    /// # Errors
    ///
    /// As [`Handle::encode`].
    pub async fn latent(
        &self,
        sae: SaeName,
        latent: u32,
        count: usize,
    ) -> Result<LatentReport, Error> {
        let lists = LatentLists {
            logits: count,
            encoder: 0,
            decoder: count,
        };
        self.report(&sae, latent, (lists, Lane::Interactive)).await
    }

    /// The `count` latents with the directions nearest to that of `latent`, with their cosines, nearest first. For jobs: it
    /// waits on the bulk lane.
    ///
    /// # Errors
    ///
    /// As [`Handle::encode`].
    pub async fn neighbours(
        &self,
        sae: &SaeName,
        latent: u32,
        direction: Direction,
        count: usize,
    ) -> Result<Vec<(u32, f32)>, Error> {
        let mut lists = LatentLists::default();
        match direction {
            Direction::Encoder => lists.encoder = count,
            Direction::Decoder => lists.decoder = count,
        }
        let report = self.report(sae, latent, (lists, Lane::Bulk)).await?;
        Ok(match direction {
            Direction::Encoder => report.encoder_neighbours,
            Direction::Decoder => report.neighbours,
        })
    }

    async fn report(
        &self,
        sae: &SaeName,
        latent: u32,
        (lists, lane): (LatentLists, Lane),
    ) -> Result<LatentReport, Error> {
        let (reply, report) = oneshot::channel();
        let sae = Arc::clone(resolve::latent(&self.catalog(), sae, latent)?);
        let request = Request::Latent(Latent {
            sae,
            index: latent,
            lists,
            reply,
        });
        self.shared.queue.push(Work::new(request).on(lane, None))?;
        self.answer(report).await
    }

    /// The embeddings of texts by a sentence encoder, which cuts those that are too long for it.
    ///
    /// Tokens are made on a thread of their own. More texts than fit one batch are several works, one after another, so that
    /// others have their turn between them.
    ///
    /// # Errors
    ///
    /// As [`Handle::encode`]; [`Error::WrongModelKind`] if the model is no sentence encoder.
    pub async fn embed(&self, work: EmbedWork) -> Result<EmbedOutput, Error> {
        embed::embed(&self.shared, work).await
    }

    /// What is resident now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.residency.snapshot()
    }

    /// The engine's health, and every change of it.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    /// The device and the engine's limits.
    pub fn device(&self) -> DeviceInfo {
        self.shared.info.clone()
    }

    /// Number of works that wait for the device.
    pub fn queued(&self) -> usize {
        self.shared.queue.len()
    }

    async fn answer<T>(&self, reply: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
        reply.await.unwrap_or_else(|_| Err(self.shared.gone()))
    }

    /// Lets the loader's thread drop what was removed: freeing gigabytes takes longer than a caller should.
    fn release(&self, removed: Removed) -> u64 {
        let bytes = removed.bytes();
        // A loader that is gone or busy hands the order back by dropping it here.
        drop(self.shared.loader.push(Order::Release(removed)));
        bytes
    }
}
