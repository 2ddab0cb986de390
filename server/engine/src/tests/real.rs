//! The same promises on real tiny models: what was batched with what shows in no bit of an answer.

use std::{path::Path, sync::Arc};

use latentd_domain::{HasReason, Reason, Scale, Selection, SparseActivations};
use latentd_nn::sae::{Direction, SaeOptions};
use safetensors::{Dtype, tensor::TensorView};
use tempfile::TempDir;

use super::{Answers, activations, collect, model, sae, sequence};
use crate::{EncodeWork, Engine, Handle, Lane, Options};

const D_IN: usize = 32;
const D_SAE: usize = 96;
const VOCAB: u32 = 260;
const CONTEXT: usize = 64;

/// Numbers that look random and are always the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// Little-endian f32 in -0.5..0.5.
    fn tensor(&mut self, elements: usize) -> Vec<u8> {
        let mut value = || (self.next() % 10_000) as f32 / 10_000.0 - 0.5;
        (0..elements).flat_map(|_| value().to_le_bytes()).collect()
    }

    fn text(&mut self, tokens: usize) -> Vec<u32> {
        (0..tokens)
            .map(|_| self.below(VOCAB as usize) as u32)
            .collect()
    }
}

/// Writes a SAELens folder with random weights.
fn write_sae(folder: &Path, architecture: &str, hook_point: &str, seed: u64) {
    fs_err::create_dir_all(folder).unwrap();
    let of_topk = if architecture == "topk" {
        r#""k": 8, "rescale_acts_by_decoder_norm": false,"#
    } else {
        ""
    };
    let config = format!(
        r#"{{"d_in": {D_IN}, "d_sae": {D_SAE}, "dtype": "float32", "apply_b_dec_to_input": true,
            "normalize_activations": "none", "reshape_activations": "none", "architecture": "{architecture}", {of_topk}
            "metadata": {{"model_name": "tiny", "hook_name": "{hook_point}", "prepend_bos": true, "context_size": 32}}}}"#
    );
    fs_err::write(folder.join("cfg.json"), config).unwrap();
    let mut noise = Noise(seed);
    let mut shapes = vec![
        ("W_enc", vec![D_IN, D_SAE]),
        ("W_dec", vec![D_SAE, D_IN]),
        ("b_enc", vec![D_SAE]),
        ("b_dec", vec![D_IN]),
    ];
    if architecture == "jumprelu" {
        shapes.push(("threshold", vec![D_SAE]));
    }
    let tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let bytes = noise.tensor(shape.iter().product());
            (name, shape, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, &folder.join("sae_weights.safetensors")).unwrap();
}

/// An engine with a tiny model `m` of a family and an SAE of each kind at different depths.
async fn start(family: &str) -> (Engine, Handle, TempDir) {
    let options = Options {
        batch_tokens: 512,
        max_queued: 256,
        ..Options::default()
    };
    let (engine, handle) = Engine::start(options).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(family);
    handle.load_model(model(), golden, None).await.unwrap();
    let folder = TempDir::new().unwrap();
    for (seed, (architecture, hook_point)) in [
        ("standard", "blocks.1.hook_resid_post"),
        ("topk", "blocks.0.hook_resid_mid"),
        ("jumprelu", "blocks.1.hook_attn_out"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(architecture);
        write_sae(&path, architecture, hook_point, seed as u64);
        let entry = handle
            .load_sae(sae(architecture), path, SaeOptions::default())
            .await
            .unwrap();
        assert!(entry.info.self_test.is_some());
    }
    (engine, handle, folder)
}

fn work(texts: &[Vec<u32>], saes: &[&str], selection: Selection) -> EncodeWork {
    EncodeWork {
        model: model(),
        sequences: texts.iter().map(|ids| sequence(ids)).collect(),
        saes: saes.iter().map(|id| sae(id)).collect(),
        selection,
        scale: Scale::Raw,
        max_entries: usize::MAX,
        lane: Lane::Interactive,
        deadline: None,
    }
}

/// Bits, so that equal means equal: of a float, 0 and -0 would be.
fn bits(rows: &SparseActivations) -> (&[u32], &[u32], Vec<u32>) {
    let activations = rows
        .activations
        .iter()
        .map(|activation| activation.to_bits())
        .collect();
    (&rows.row_offsets, &rows.latents, activations)
}

#[tokio::test]
async fn unequal_lengths_together_are_each_alone_bit_for_bit() {
    for family in ["llama", "gpt2"] {
        let (_engine, handle, _folder) = start(family).await;
        let mut noise = Noise(7);
        let texts: Vec<Vec<u32>> = [1, CONTEXT, 2, 33, 1, 17, 63, 5]
            .map(|tokens| noise.text(tokens))
            .to_vec();
        let saes = ["standard", "topk", "jumprelu"];
        let together = handle
            .encode(work(&texts, &saes, Selection::AllFiring))
            .await;
        let together = activations(&together);
        assert!(together.iter().all(|rows| rows.entries() > 0));
        let mut row = 0;
        for text in &texts {
            let text = std::slice::from_ref(text);
            for (position, id) in saes.into_iter().enumerate() {
                let alone = handle.encode(work(text, &[id], Selection::AllFiring)).await;
                let part = together[position].slice(row, row + text[0].len());
                assert_eq!(bits(&activations(&alone)[0]), bits(&part), "{family} {id}");
            }
            row += text[0].len();
        }
        assert!(together.iter().all(|rows| rows.rows() == row));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_at_once_get_what_they_get_one_by_one() {
    let (_engine, handle, _folder) = start("llama").await;
    let mut noise = Noise(11);
    let selections = [
        Selection::AllFiring,
        Selection::TopK(3),
        Selection::TopK(20),
        Selection::Latents(Arc::from([1, 4, 9, 16, 25, 36, 49, 64, 81])),
    ];
    let works: Vec<EncodeWork> = (0..64)
        .map(|n| {
            let lengths: Vec<usize> = (0..=n % 3).map(|_| 1 + noise.below(40)).collect();
            let texts: Vec<Vec<u32>> = lengths
                .into_iter()
                .map(|tokens| noise.text(tokens))
                .collect();
            let saes: &[&str] = [&["standard"][..], &["topk"], &["jumprelu", "standard"]][n % 3];
            let mut work = work(&texts, saes, selections[n % 4].clone());
            work.scale = if n % 5 == 0 {
                Scale::DecoderNorm
            } else {
                Scale::Raw
            };
            work.sequences[0].mask[0] = n % 2 == 0;
            work
        })
        .collect();
    let mut serial = Vec::new();
    for work in &works {
        serial.push(handle.encode(work.clone()).await);
    }
    let mut most_together = 0;
    for _ in 0..4 {
        let mut answers = Answers::new();
        for (index, work) in works.iter().cloned().enumerate() {
            let handle = handle.clone();
            answers.spawn(async move { (index, handle.encode(work).await) });
        }
        let concurrent = collect(answers).await;
        for (serial, concurrent) in serial.iter().zip(&concurrent) {
            let pairs = activations(serial).iter().zip(activations(concurrent));
            pairs.for_each(|(serial, concurrent)| assert_eq!(bits(serial), bits(concurrent)));
            most_together = most_together.max(concurrent.as_ref().unwrap().cost.batch_requests);
        }
    }
    assert!(
        most_together > 1,
        "nothing was batched, so nothing was tested"
    );
}

#[tokio::test]
async fn decode_latent_and_unload_on_a_real_sae() {
    let (_engine, handle, folder) = start("gpt2").await;
    let answer = handle
        .encode(work(&[vec![5, 6, 7]], &["standard"], Selection::AllFiring))
        .await;
    let rows = activations(&answer)[0].clone();
    let dense = handle
        .decode(sae("standard"), rows, Scale::Raw)
        .await
        .unwrap();
    assert_eq!(
        (dense.rows, dense.width, dense.values.len()),
        (3, D_IN, 3 * D_IN)
    );
    let report = handle.latent(sae("standard"), 3, 5).await.unwrap();
    assert_eq!((report.latent, report.top_logits.len()), (3, 5));
    let neighbours = async |direction| {
        handle
            .neighbours(&sae("standard"), 3, direction, 5)
            .await
            .unwrap()
    };
    assert_eq!(neighbours(Direction::Decoder).await, report.neighbours);
    let nearest = neighbours(Direction::Encoder).await;
    assert_eq!(nearest.len(), 5);
    assert!(nearest.is_sorted_by(|a, b| a.1 >= b.1) && nearest.iter().all(|near| near.0 != 3));
    let nothing = handle
        .load_sae(
            sae("none"),
            folder.path().join("none"),
            SaeOptions::default(),
        )
        .await;
    assert_eq!(nothing.unwrap_err().reason(), Reason::PathNotReadable);
    let nothing = handle
        .load_model("n".parse().unwrap(), folder.path().join("none"), None)
        .await;
    assert_eq!(nothing.unwrap_err().reason(), Reason::PathNotReadable);
    assert!(handle.unload_model(&model(), true).await.unwrap() > 0);
}
