//! A device that computes a cheap function of the tokens, and that blocks, fails, panics or runs out of memory on command.
//!
//! What it computes at a token depends on every token of the sequence before it and on nothing else, as in a language
//! model: rows that are mixed up, or sequences that run into each other, come out as wrong numbers.

use std::{
    mem,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
};

use latentd_domain::{
    DeviceKind, Dtype, HookPoint, ModelInfo, ModelKind, Normalisation, SaeArchitecture, SaeInfo,
    Scale, Selection, SelfTest, Site, SparseActivations,
};
use latentd_files::Interrupt;
use latentd_nn::{
    ComputeError, Device, Extension, LoadError, PackedTokens, Past, Tensor,
    logits::{Answer, Choice, Question},
    past::Answers,
    sae::{LatentLists, LatentReport, SaeOptions, Wanted},
    tokenizer::Tokenizer,
};

use super::embedding::FakeEncoder;
use crate::compute::{Compute, Content, Resident, ResidentModel, ResidentSae};

/// A token on which the forward pass panics.
pub(super) const PANICS: u32 = 900;
/// A token on which the forward pass fails.
pub(super) const FAILS: u32 = 901;
/// Number of token ids.
pub(super) const VOCAB: usize = 1000;
/// Longest sequence.
pub(super) const CONTEXT: usize = 64;
/// Latents of every SAE.
pub(super) const D_SAE: u32 = 32;

/// A forward pass that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pass {
    pub(super) ids: Vec<u32>,
    pub(super) sequences: usize,
    pub(super) hook_points: Vec<HookPoint>,
    pub(super) thread: String,
}

/// What the device is to do, and what it was asked.
#[derive(Default)]
pub(super) struct Script {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Default)]
struct State {
    gate_closed: bool,
    arrived: usize,
    memory: Option<usize>,
    dies: bool,
    is_gpu: bool,
    passes: Vec<Pass>,
    loads: usize,
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Forward passes block from now on.
    pub(super) fn close_gate(&self) {
        self.state().gate_closed = true;
    }

    /// Forward passes go on.
    pub(super) fn open_gate(&self) {
        self.state().gate_closed = false;
        self.opened.notify_all();
    }

    /// Number of passes that stood at a closed gate.
    pub(super) fn arrived(&self) -> usize {
        self.state().arrived
    }

    /// Passes of more tokens than this run out of memory.
    pub(super) fn limit_memory(&self, tokens: usize) {
        self.state().memory = Some(tokens);
    }

    /// The device thread panics at its next batch, outside of what is contained.
    pub(super) fn die(&self) {
        self.state().dies = true;
    }

    /// The device says that it is a GPU.
    pub(super) fn be_a_gpu(&self) {
        self.state().is_gpu = true;
    }

    /// The passes since the last time.
    pub(super) fn take_passes(&self) -> Vec<Pass> {
        mem::take(&mut self.state().passes)
    }

    /// Number of models and SAEs that were read.
    pub(super) fn loads(&self) -> usize {
        self.state().loads
    }

    pub(super) fn pass(&self, pass: Pass) -> Result<(), ComputeError> {
        let mut state = self.state();
        let tokens = pass.ids.len();
        state.passes.push(pass);
        if state.gate_closed {
            state.arrived += 1;
        }
        while state.gate_closed {
            state = self.opened.wait(state).unwrap();
        }
        match state.memory {
            Some(memory) if tokens > memory => Err(ComputeError::OutOfDeviceMemory {
                detail: format!("{tokens} tokens"),
            }),
            _ => Ok(()),
        }
    }
}

/// The device.
pub(super) struct Fake {
    script: Arc<Script>,
}

impl Fake {
    pub(super) fn new(script: &Arc<Script>) -> Self {
        Self {
            script: Arc::clone(script),
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

impl Compute for Fake {
    fn name(&self) -> String {
        "fake".to_owned()
    }

    fn kind(&self) -> DeviceKind {
        if self.script.state().is_gpu {
            DeviceKind::Gpu
        } else {
            DeviceKind::Cpu
        }
    }

    fn threads(&self) -> usize {
        1
    }

    fn on_device(&self, work: &mut (dyn FnMut() + Send)) {
        assert!(!self.script.state().dies, "the device dies");
        work();
    }

    fn identify(&self, path: &Path, _: &Interrupt) -> Result<Content, LoadError> {
        Ok(Content {
            weights: name(path),
            tokenizer: String::new(),
        })
    }

    /// The content of a model is its file name.
    fn load_model(
        &self,
        path: &Path,
        dtype: Dtype,
        interrupt: &Interrupt,
    ) -> Result<Resident, LoadError> {
        self.script.state().loads += 1;
        assert!(!path.ends_with("panics"), "the loader panics");
        if path.ends_with("endless") {
            while !interrupt.is_raised() {
                thread::sleep(std::time::Duration::from_millis(1));
            }
            let path = path.to_owned();
            return Err(LoadError::Interrupted { path });
        }
        if path.ends_with("missing") {
            return Err(LoadError::MissingTensor {
                path: path.to_owned(),
                tensors: vec!["w".to_owned()],
            });
        }
        let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/tokenizer.json");
        let tokenizer = Arc::new(Tokenizer::open(&tokenizer)?);
        let mut info = model_info(path, dtype);
        if path.ends_with("encoder") {
            info.kind = ModelKind::SentenceEncoder;
            let encoder = FakeEncoder::new(info, tokenizer, &self.script);
            return Ok(Resident::Sentences(Arc::new(encoder)));
        }
        Ok(Resident::Language(Arc::new(FakeModel {
            info,
            tokenizer,
            device: Device::with_threads(0, 1)?,
            script: Arc::clone(&self.script),
        })))
    }
}

struct FakeModel {
    info: ModelInfo,
    tokenizer: Arc<Tokenizer>,
    device: Device,
    script: Arc<Script>,
}

impl ResidentModel for FakeModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The content of an SAE is its file name, whose digits are its block.
    fn load_sae(
        self: Arc<Self>,
        path: &Path,
        options: &SaeOptions,
        _: &Interrupt,
    ) -> Result<Box<dyn ResidentSae>, LoadError> {
        self.script.state().loads += 1;
        let digits: String = name(path).chars().filter(char::is_ascii_digit).collect();
        let layer = digits.parse().unwrap_or_default();
        let hook_point = options
            .hook_point
            .unwrap_or(HookPoint::new(layer, Site::ResidPost));
        let salt = name(path)
            .bytes()
            .fold(0, |sum, byte| sum * 7 + u64::from(byte));
        Ok(Box::new(FakeSae {
            info: sae_info(path, hook_point),
            salt,
        }))
    }

    fn forward(
        &self,
        tokens: &PackedTokens,
        hook_points: &[HookPoint],
    ) -> Result<Vec<Tensor<2>>, ComputeError> {
        self.script.pass(Pass {
            ids: tokens.ids().to_vec(),
            sequences: tokens.ranges().count(),
            hook_points: hook_points.to_vec(),
            thread: thread::current().name().unwrap_or_default().to_owned(),
        })?;
        latentd_nn::pause::point();
        assert!(!tokens.ids().contains(&PANICS), "poison in the batch");
        if tokens.ids().contains(&FAILS) {
            return Err(ComputeError::Failed {
                detail: "the device failed".to_owned(),
            });
        }
        let values = |hook_point: &HookPoint| {
            let mut rows = Vec::with_capacity(tokens.tokens());
            for range in tokens.ranges() {
                let mut state = hook_point.layer as u64;
                for &id in &tokens.ids()[range] {
                    state = (state * 31 + u64::from(id)) % 100_003;
                    rows.push(state as f32);
                }
            }
            self.device.from_host(rows, [tokens.tokens(), 1])
        };
        Ok(hook_points.iter().map(values).collect())
    }

    fn past(&self, capacity: usize) -> Past {
        Past::of_ids(capacity)
    }

    fn extend(&self, extensions: &mut [Extension<'_>]) -> Result<Vec<Answers>, ComputeError> {
        let ids: Vec<u32> = extensions
            .iter()
            .flat_map(|extension| extension.ids.to_vec())
            .collect();
        self.script.pass(Pass {
            ids: ids.clone(),
            sequences: extensions.len(),
            hook_points: Vec::new(),
            thread: thread::current().name().unwrap_or_default().to_owned(),
        })?;
        assert!(!ids.contains(&PANICS), "poison in the step");
        if ids.contains(&FAILS) {
            return Err(ComputeError::Failed {
                detail: "the device failed".to_owned(),
            });
        }
        let mut all = Vec::new();
        for extension in extensions {
            let fits = extension.past.length() + extension.ids.len() <= extension.past.capacity();
            assert!(fits, "more tokens than there is room for");
            let before = extension.past.length();
            extension.past.advance(extension.ids);
            let answer = |question: &Question| {
                let seen = &extension.past.ids()[..=before + question.row];
                Ok(answer(seen, question.choice))
            };
            all.push(extension.questions.iter().map(answer).collect());
        }
        Ok(all)
    }
}

/// What the fake thinks comes behind `seen`: a function of all of it. The likeliest token is below 300.
pub(super) fn answer(seen: &[u32], choice: Choice) -> Answer {
    let state = seen
        .iter()
        .fold(7, |state, &id| (state * 31 + u64::from(id)) % 100_003);
    let id = match choice {
        Choice::Given(id) => id,
        Choice::Likeliest => (state % 300) as u32,
        Choice::Drawn(draw) => ((state as f64 + draw.uniform * 300.0) % 300.0) as u32,
    };
    Answer {
        id,
        logprob: -(((state + u64::from(id)) % 97) as f32) / 10.0,
        top: vec![((state % 300) as u32, -0.5)],
    }
}

struct FakeSae {
    info: SaeInfo,
    salt: u64,
}

impl FakeSae {
    fn row(&self, value: u64, selection: &Selection, scale: Scale) -> Vec<(u32, f32)> {
        let factor = if scale == Scale::Raw { 1.0 } else { 2.0 };
        let seed = value * 13 + self.salt;
        let fires = (0..D_SAE).filter(|&latent| (seed + u64::from(latent) * 11).is_multiple_of(3));
        let mut row: Vec<(u32, f32)> = fires
            .map(|latent| {
                (
                    latent,
                    factor * ((seed + u64::from(latent) * 29) % 17 + 1) as f32,
                )
            })
            .collect();
        match selection {
            Selection::AllFiring => {}
            Selection::TopK(k) => {
                row.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                row.truncate(*k as usize);
            }
            Selection::Latents(wanted) => row.retain(|(latent, _)| wanted.contains(latent)),
        }
        row
    }
}

impl ResidentSae for FakeSae {
    fn info(&self) -> &SaeInfo {
        &self.info
    }

    fn self_test(&mut self) -> Result<(), LoadError> {
        let path = Path::new(&self.info.path);
        if name(path).starts_with("bad") {
            let detail = "L0 is 0".to_owned();
            return Err(LoadError::SelfTestFailed {
                path: path.to_owned(),
                detail,
            });
        }
        self.info.self_test = Some(SelfTest {
            tokens: 1,
            l0: 1.0,
            fvu: 0.0,
            dense: Vec::new(),
            warnings: Vec::new(),
        });
        Ok(())
    }

    fn encode(
        &self,
        input: &Tensor<2>,
        mask: &[bool],
        wanted: Wanted<'_>,
    ) -> Result<SparseActivations, ComputeError> {
        let Wanted {
            selection,
            scale,
            max_entries: limit,
        } = wanted;
        let [rows, _] = input.dims();
        assert_eq!(rows, mask.len());
        let values = Device::with_threads(0, 1)?.to_host(input.clone());
        let mut out = SparseActivations::default();
        for (value, &wanted) in values.iter().zip(mask) {
            if wanted {
                let row = self.row(*value as u64, selection, scale);
                for (latent, activation) in row {
                    out.push(latent, activation);
                }
            }
            out.end_row();
            if out.entries() > limit {
                return Err(ComputeError::TooManyActivations { limit });
            }
        }
        Ok(out)
    }

    /// The sum of each row.
    fn decode(&self, rows: &SparseActivations, _scale: Scale) -> Result<Vec<f32>, ComputeError> {
        Ok((0..rows.rows())
            .map(|row| rows.row(row).1.iter().sum())
            .collect())
    }

    fn latent(&self, latent: u32, _lists: LatentLists) -> Result<LatentReport, ComputeError> {
        Err(ComputeError::Failed {
            detail: format!("nothing is known of latent {latent}"),
        })
    }
}

fn model_info(path: &Path, dtype: Dtype) -> ModelInfo {
    ModelInfo {
        kind: ModelKind::Language,
        family: "fake",
        path: path.display().to_string(),
        format: "fake",
        digest: name(path),
        dtype,
        n_layers: 12,
        d_model: 1,
        n_heads: 1,
        n_kv_heads: 1,
        d_head: 1,
        d_mlp: 1,
        vocab: VOCAB,
        context_length: CONTEXT,
        parameters: 1,
        resident_bytes: 1000,
        bos_token_id: None,
        eos_token_id: None,
        tokenizer_digest: String::new(),
        unused_tensors: Vec::new(),
    }
}

fn sae_info(path: &Path, hook_point: HookPoint) -> SaeInfo {
    SaeInfo {
        path: path.display().to_string(),
        format: "fake",
        architecture: SaeArchitecture::Standard,
        hook_point,
        declared_hook_point: hook_point.to_string(),
        d_in: 1,
        d_sae: D_SAE as usize,
        k: None,
        normalisation: Normalisation::None,
        apply_b_dec_to_input: false,
        rescale_acts_by_decoder_norm: false,
        reshape_hook_z: false,
        prepend_bos: false,
        context_length: None,
        trained_on_model: String::new(),
        digest: name(path),
        stored_dtype: "f32",
        resident_bytes: 10,
        declared_l0: None,
        neuronpedia_id: None,
        self_test: None,
    }
}
