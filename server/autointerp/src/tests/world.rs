//! A world in which it is known what each latent fires on: latent `i` fires on the `i`-th word, and on nothing else.

use latentd_domain::{
    SaeName,
    autointerp::{Calibration, ExampleId, ScorerKind, ScorerSpec},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{NonActivating, Scorer, Shown, Subject, scorer};

/// A word for each latent.
pub(crate) const WORDS: [&str; 12] = [
    " zebra",
    " violin",
    " glacier",
    " parliament",
    " copper",
    " lantern",
    " orchid",
    " submarine",
    " wedding",
    " algebra",
    " cinnamon",
    " harbour",
];

/// Words on which nothing fires; some hold what prompts are written with.
const FILLERS: [&str; 12] = [
    " the", " and", " of", " a", ".", ",", "\n", " <<", ">>", " went", " {", " 1",
];

/// Tokens of an example.
const WINDOW: usize = 16;

/// What explains a latent.
pub(crate) fn explanation(latent: usize) -> String {
    format!("The word \"{}\".", WORDS[latent].trim())
}

/// A latent with `n` examples to score with, of either kind.
pub(crate) fn subject(latent: usize, n: usize, seed: u64) -> Subject {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(latent as u64);
    let mut rows = 0;
    let mut of = |count: usize, fires: bool| -> Vec<Shown> {
        (0..count)
            .map(|index| {
                rows += 1;
                shown(
                    latent,
                    rows,
                    fires.then_some((index * 10 / count.max(1)) as u32),
                    &mut rng,
                )
            })
            .collect()
    };
    Subject {
        sae: SaeName::new("m".parse().unwrap(), "s").unwrap(),
        latent: latent as u32,
        firing_tokens: 100,
        max_activation: 5.0,
        train: of(n, true),
        test: of(n, true),
        non_activating: of(n, false),
        contrast: of(3, false),
        promoted: vec![" stripes".to_owned(), " <|im_end|>".to_owned()],
        seed,
    }
}

fn shown(latent: usize, row: u64, quantile: Option<u32>, rng: &mut ChaCha8Rng) -> Shown {
    let mut tokens: Vec<String> = (0..WINDOW)
        .map(|_| {
            let others = WORDS
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != latent);
            let others: Vec<&str> = others.map(|(_, word)| *word).collect();
            let from = if rng.random_bool(0.3) {
                &others[..]
            } else {
                &FILLERS
            };
            (*from.choose(rng).unwrap()).to_owned()
        })
        .collect();
    let mut activations = vec![0.0; WINDOW];
    if let Some(quantile) = quantile {
        for place in [12, rng.random_range(0..WINDOW)] {
            tokens[place] = WORDS[latent].to_owned();
            activations[place] = 5.0 - 0.4 * quantile as f32;
        }
    }
    Shown {
        id: ExampleId {
            row,
            start: 0,
            len: WINDOW as u32,
        },
        tokens,
        activations,
        quantile,
        non_activating: quantile.is_none().then(NonActivating::default),
    }
}

/// A scorer with default settings.
pub(crate) fn scorer(kind: ScorerKind, examples_per_prompt: usize) -> Box<dyn Scorer> {
    scorer::from_spec(&ScorerSpec {
        kind,
        provider: None,
        encoder: None,
        examples_per_prompt,
        calibration: Calibration::Uncalibrated,
        threshold: 0.3,
        temperature: 0.0,
        max_tokens: 0,
    })
}
