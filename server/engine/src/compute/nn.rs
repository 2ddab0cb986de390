//! The seam's real side: models and SAEs of the nn crate.

use std::{path::Path, sync::Arc};

use latentd_domain::{DeviceKind, Dtype, HookPoint, ModelInfo, SaeInfo, Scale, SparseActivations};
use latentd_files::Interrupt;
use latentd_nn::{
    ComputeError, Device, Extension, LoadError, Model, PackedTokens, Past, SentenceEncoder, Taps,
    Tensor,
    past::Answers,
    sae::{LatentLists, LatentReport, Sae, SaeOptions, Wanted},
    tokenizer::Tokenizer,
    weights::ModelFiles,
};

use super::{Compute, Content, Resident, ResidentEncoder, ResidentModel, ResidentSae};

/// One device of the nn crate.
pub(crate) struct NnCompute {
    device: Device,
}

impl NnCompute {
    /// The device with this index, 0 on a CPU, with as many threads on the host, or one for each core.
    pub(crate) fn new(index: usize, threads: Option<usize>) -> Result<Self, ComputeError> {
        let device =
            threads.map_or_else(|| Device::new(index), |n| Device::with_threads(index, n))?;
        Ok(Self { device })
    }
}

impl Compute for NnCompute {
    fn name(&self) -> String {
        self.device.name()
    }

    fn kind(&self) -> DeviceKind {
        self.device.kind()
    }

    fn threads(&self) -> usize {
        self.device.threads()
    }

    fn on_device(&self, work: &mut (dyn FnMut() + Send)) {
        self.device.install(work);
    }

    fn identify(&self, path: &Path, interrupt: &Interrupt) -> Result<Content, LoadError> {
        if SentenceEncoder::is_at(path) {
            let digests = SentenceEncoder::identify(path, interrupt)?;
            return Ok(Content {
                weights: digests.weights,
                tokenizer: digests.tokenizer,
            });
        }
        let files = ModelFiles::open_until(path, interrupt)?;
        let tokenizer = files.tokenizer.digest().to_owned();
        Ok(Content {
            weights: files.checkpoint.digest()?,
            tokenizer,
        })
    }

    fn load_model(
        &self,
        path: &Path,
        dtype: Dtype,
        interrupt: &Interrupt,
    ) -> Result<Resident, LoadError> {
        if SentenceEncoder::is_at(path) {
            let encoder = SentenceEncoder::load_until(path, &self.device, interrupt)?;
            return Ok(Resident::Sentences(Arc::new(encoder)));
        }
        let model = Arc::new(Model::load_until(path, dtype, &self.device, interrupt)?);
        Ok(Resident::Language(Arc::new(NnModel {
            model,
            device: self.device.clone(),
        })))
    }
}

impl ResidentEncoder for SentenceEncoder {
    fn info(&self) -> &ModelInfo {
        self.info()
    }

    fn tokenizer(&self) -> &Arc<Tokenizer> {
        self.tokenizer()
    }

    fn tokenize(&self, text: &str) -> Result<Vec<u32>, ComputeError> {
        self.tokenize(text)
    }

    fn embed(&self, tokens: &PackedTokens) -> Result<Vec<f32>, ComputeError> {
        self.embed(tokens)
    }
}

struct NnModel {
    model: Arc<Model>,
    device: Device,
}

impl ResidentModel for NnModel {
    fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    fn tokenizer(&self) -> &Arc<Tokenizer> {
        self.model.tokenizer()
    }

    fn load_sae(
        self: Arc<Self>,
        path: &Path,
        options: &SaeOptions,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn ResidentSae>, LoadError> {
        let sae = Sae::load_until(path, options, (&self.model, &self.device), interrupt)?;
        Ok(Box::new(NnSae {
            sae,
            model: Arc::clone(&self.model),
        }))
    }

    fn forward(
        &self,
        tokens: &PackedTokens,
        hook_points: &[HookPoint],
    ) -> Result<Vec<Tensor<2>>, ComputeError> {
        let captured = self
            .model
            .run(tokens, &Taps::new(hook_points.iter().copied()))?;
        let one = |&hook_point| {
            // A clone of a tensor counts references; no value is copied.
            captured
                .get(hook_point)
                .cloned()
                .ok_or_else(|| ComputeError::Failed {
                    detail: format!("the pass did not come upon {hook_point}"),
                })
        };
        hook_points.iter().map(one).collect()
    }

    fn traced_bytes(&self) -> u64 {
        self.model.traced_bytes()
    }

    fn past(&self, capacity: usize) -> Past {
        self.model.past(capacity)
    }

    fn extend(&self, extensions: &mut [Extension<'_>]) -> Result<Vec<Answers>, ComputeError> {
        self.model.extend(extensions)
    }
}

/// An SAE with the model that it reads: its self-test and its logits need both.
struct NnSae {
    sae: Sae,
    model: Arc<Model>,
}

impl ResidentSae for NnSae {
    fn info(&self) -> &SaeInfo {
        self.sae.info()
    }

    fn self_test(&mut self) -> Result<(), LoadError> {
        self.sae.self_test(&self.model)
    }

    fn encode(
        &self,
        input: &Tensor<2>,
        mask: &[bool],
        wanted: Wanted<'_>,
    ) -> Result<SparseActivations, ComputeError> {
        self.sae.encode_within(input, mask, wanted)
    }

    fn decode(&self, rows: &SparseActivations, scale: Scale) -> Result<Vec<f32>, ComputeError> {
        self.sae.decode(rows, scale)
    }

    fn latent(&self, latent: u32, lists: LatentLists) -> Result<LatentReport, ComputeError> {
        self.sae.latent(&self.model, latent, lists)
    }
}
