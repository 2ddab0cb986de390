//! The goldens of `tests/golden` against a device: what transformers and SAELens computed, computed again here.
//!
//! The tests run this on the CPU, and `latentd bench fidelity` runs it on whatever device a build is for. Nothing here
//! decides what passes but [`TOLERANCE`]: it measures, and the caller compares.

use latentd_files::Interrupt;
use std::path::{Path, PathBuf};

use latentd_domain::{Dtype, HookPoint, Scale, Selection};

use crate::{
    Device, ModelOn, PackedTokens, SentenceEncoderOn,
    device::HostView,
    error::{ComputeError, LoadError},
    kernels::{Chosen, Kernels},
    sae::{Sae, SaeOptions},
    taps::Taps,
    weights::Checkpoint,
};

/// Largest difference that f32 may make, as a part of the largest expected value of the tensor.
pub const TOLERANCE: f32 = 1e-4;

/// Factor that the reference script folds into SAEs which normalise by a dataset's average norm.
pub const NORM_FACTOR: f32 = 0.375;

/// Longest file of prompts that is read.
const MAX_PROMPTS: u64 = 16 << 20;

/// A golden that could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or one of its files cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the golden is malformed.
    #[error("{0}")]
    Malformed(String),
    /// The model, the SAE or the expected values cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The device failed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// One tensor, computed and expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Golden and tensor: `models/llama/0.blocks.1.hook_resid_post`.
    pub name: String,
    /// Largest difference, as a part of the largest expected value.
    pub difference: f32,
    /// Latents that fire on one side only, although they are not within the tolerance of not firing. 0 for models.
    pub misfires: usize,
}

impl Comparison {
    fn new(name: String, found: &[f32], expected: &[f32]) -> Self {
        let largest = expected
            .iter()
            .fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let differ = |(a, b): (&f32, &f32)| {
            if a.is_finite() {
                (a - b).abs()
            } else {
                f32::INFINITY
            }
        };
        let difference = if found.len() == expected.len() {
            found.iter().zip(expected).map(differ).fold(0.0, f32::max) / largest
        } else {
            f32::INFINITY
        };
        Self {
            name,
            difference,
            misfires: 0,
        }
    }

    /// Whether it lies within [`TOLERANCE`], with the same latents firing.
    pub fn passes(&self) -> bool {
        self.difference <= TOLERANCE && self.misfires == 0
    }
}

/// Compares everything below `goldens`: every model at every hook point, its logits, every SAE and every sentence encoder.
///
/// # Errors
///
/// The first golden that cannot be read or computed.
pub fn compare(goldens: &Path, device: &Device) -> Result<Vec<Comparison>, Error> {
    let mut found = compare_layers::<Chosen>(goldens, device)?;
    for folder in folders(&goldens.join("saes"))? {
        found.extend(sae(&folder, device)?);
    }
    Ok(found)
}

/// Compares what is made of layers, models and sentence encoders, computed with the kernels `K`.
///
/// # Errors
///
/// As [`compare`].
pub fn compare_layers<K: Kernels>(
    goldens: &Path,
    device: &Device,
) -> Result<Vec<Comparison>, Error> {
    let mut found = Vec::new();
    let texts = prompts(&goldens.join("sentences/texts.json"))?;
    let prompts = prompts(&goldens.join("models/prompts.json"))?;
    for folder in folders(&goldens.join("models"))? {
        found.extend(model::<K>(&folder, &prompts, device)?);
    }
    for folder in folders(&goldens.join("sentences"))? {
        found.push(sentences::<K>(&folder, &texts, device)?);
    }
    Ok(found)
}

/// The folders in `parent` that hold a golden, by name.
fn folders(parent: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io {
        path: parent.to_owned(),
        source,
    };
    let mut folders = Vec::new();
    for entry in fs_err::read_dir(parent).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.join("expected.safetensors").exists() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The token ids of each prompt.
fn prompts(path: &Path) -> Result<Vec<Vec<u32>>, Error> {
    #[derive(serde::Deserialize)]
    struct Prompt {
        ids: Vec<u32>,
    }
    let text = latentd_files::read_text(path, MAX_PROMPTS).map_err(|source| Error::Io {
        path: path.to_owned(),
        source: source.into(),
    })?;
    let prompts: Vec<Prompt> = serde_json::from_str(&text)
        .map_err(|error| Error::Malformed(format!("{}: {error}", path.display())))?;
    Ok(prompts.into_iter().map(|prompt| prompt.ids).collect())
}

/// The expected tensors of a golden, which are taken by name.
struct Expected {
    golden: String,
    file: Checkpoint,
}

impl Expected {
    fn open(folder: &Path) -> Result<Self, Error> {
        let names = folder
            .iter()
            .rev()
            .take(2)
            .map(|part| part.to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.reverse();
        let file = Checkpoint::open_file(&folder.join("expected.safetensors"), &Interrupt::new())?;
        Ok(Self {
            golden: names.join("/"),
            file,
        })
    }

    fn take(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Error> {
        let missing = || Error::Malformed(format!("{} has no tensor `{name}`", self.golden));
        let shape = self.file.shape(name).ok_or_else(missing)?.to_vec();
        let tensor = self.file.take(name, &shape)?;
        Ok((shape, tensor.data))
    }

    fn compare(&mut self, name: &str, found: &HostView) -> Result<Comparison, Error> {
        let (_, expected) = self.take(name)?;
        let label = format!("{}/{name}", self.golden);
        Ok(Comparison::new(label, found.values(), &expected))
    }
}

/// Every hook point and the logits, for each prompt alone and for all of them in one pass.
fn model<K: Kernels>(
    folder: &Path,
    prompts: &[Vec<u32>],
    device: &Device,
) -> Result<Vec<Comparison>, Error> {
    let model = ModelOn::<K>::load(folder, Dtype::F32, device)?;
    let mut expected = Expected::open(folder)?;
    let mut found = Vec::new();
    for (index, ids) in prompts.iter().enumerate() {
        let tokens = PackedTokens::new([ids.as_slice()]);
        let points = HookPoint::all(model.info().n_layers);
        let mut captured = model.run(&tokens, &Taps::new(points.iter().copied()))?;
        for point in points {
            let name = format!("{index}.{point}");
            if expected.file.contains(&name) {
                let tensor = captured
                    .take(point)
                    .ok_or_else(|| Error::Malformed(format!("{point} was not recorded")))?;
                found.push(expected.compare(&name, &K::host(&tensor))?);
            }
        }
        let logits = model.logits(&tokens)?;
        found.push(expected.compare(&format!("{index}.logits"), &K::host(&logits))?);
    }
    Ok(found)
}

/// The embeddings of all texts in one pass.
fn sentences<K: Kernels>(
    folder: &Path,
    texts: &[Vec<u32>],
    device: &Device,
) -> Result<Comparison, Error> {
    let encoder = SentenceEncoderOn::<K>::load(folder, device)?;
    let found = encoder.embed(&PackedTokens::new(texts.iter().map(Vec::as_slice)))?;
    let mut expected = Expected::open(folder)?;
    let (_, embeddings) = expected.take("embeddings")?;
    let label = format!("{}/embeddings", expected.golden);
    Ok(Comparison::new(label, &found, &embeddings))
}

/// The dense activations, and what they decode to.
fn sae(folder: &Path, device: &Device) -> Result<Vec<Comparison>, Error> {
    let mut expected = Expected::open(folder)?;
    let folds = expected.golden.contains("average");
    let options = SaeOptions {
        norm_scaling_factor: folds.then_some(NORM_FACTOR),
        hook_point: None,
    };
    let sae = Sae::open(folder, &options, device)?;
    let d_sae = sae.info().d_sae;
    let (shape, input) = expected.take("input")?;
    let rows = shape.first().copied().unwrap_or_default();
    let input = device.from_host(input, [rows, sae.info().d_in]);
    let sparse = sae.encode(&input, &vec![true; rows], &Selection::AllFiring, Scale::Raw)?;
    let mut dense = vec![0.0; rows * d_sae];
    for (row, values) in dense.chunks_mut(d_sae).enumerate() {
        let (latents, activations) = sparse.row(row);
        for (&latent, &activation) in latents.iter().zip(activations) {
            if let Some(value) = values.get_mut(latent as usize) {
                *value = activation;
            }
        }
    }
    let (_, activations) = expected.take("activations")?;
    let mut encoded = Comparison::new(
        format!("{}/activations", expected.golden),
        &dense,
        &activations,
    );
    let edge = TOLERANCE
        * activations
            .iter()
            .fold(0.0f32, |most, value| most.max(*value));
    encoded.misfires = dense
        .iter()
        .zip(&activations)
        .filter(|(a, b)| (**a > 0.0) != (**b > 0.0) && a.max(**b) > edge)
        .count();
    let (_, decoded) = expected.take("decoded")?;
    let label = format!("{}/decoded", expected.golden);
    Ok(vec![
        encoded,
        Comparison::new(label, &sae.decode(&sparse, Scale::Raw)?, &decoded),
    ])
}
