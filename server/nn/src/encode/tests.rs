//! The encoder against a dense one that is written for the eye: every activation, then a sort.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::sae::{Gated, JumpRelu, Standard, TopK};

/// Sizes, a rule and a way of selecting, with small whole numbers for weights: products are exact in any order, and ties are
/// the rule and not the exception.
#[derive(Clone, Debug)]
struct Case {
    rows: usize,
    d_in: usize,
    d_sae: usize,
    architecture: u8,
    selection: u8,
    k: usize,
    with_factors: bool,
    all_negative: bool,
    threads: usize,
    seed: u32,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (0usize..260, 1usize..12, 1usize..700);
    let modes = (0u8..4, 0u8..3, 0usize..90, any::<bool>());
    (sizes, modes, 0u8..8, 1usize..5, any::<u32>()).prop_map(
        |(
            (rows, d_in, d_sae),
            (architecture, selection, k, with_factors),
            negative,
            threads,
            seed,
        )| Case {
            rows,
            d_in,
            d_sae,
            architecture,
            selection,
            k,
            with_factors,
            all_negative: negative == 0,
            threads,
            seed,
        },
    )
}

/// Whole numbers between `low` and `high`.
fn whole(seed: &mut u32, count: usize, low: i32, high: i32) -> Vec<f32> {
    let mut next = || {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + ((*seed >> 8) % (high - low + 1) as u32) as i32
    };
    (0..count).map(|_| next() as f32).collect()
}

struct Made {
    weights: Vec<f32>,
    inputs: Vec<f32>,
    rule: Rule,
    factors: Option<Vec<f32>>,
    selection: Selection,
}

impl Case {
    fn make(&self) -> Made {
        let mut seed = self.seed;
        let &Self {
            rows,
            d_in,
            d_sae,
            k,
            ..
        } = self;
        let weights = whole(&mut seed, d_in * d_sae, -2, 2);
        let inputs = whole(&mut seed, rows * d_in, -3, 3);
        let low = if self.all_negative { -1000 } else { -3 };
        let bias = whole(
            &mut seed,
            d_sae,
            low,
            if self.all_negative { -900 } else { 2 },
        );
        let second = whole(&mut seed, d_sae, 1, 3);
        let rule = match self.architecture {
            0 => Rule::Standard(Standard { bias: bias.into() }),
            1 => Rule::JumpRelu(JumpRelu {
                bias: bias.into(),
                threshold: whole(&mut seed, d_sae, -1, 4).into(),
            }),
            2 => Rule::Gated(Gated {
                gate_bias: bias.clone().into(),
                magnitude_scale: second.into(),
                magnitude_bias: if self.all_negative {
                    bias
                } else {
                    whole(&mut seed, d_sae, -3, 3)
                }
                .into(),
            }),
            _ => Rule::TopK(TopK {
                bias: bias.into(),
                factor: second.into(),
                k: k.max(1),
            }),
        };
        let factors = self.with_factors.then(|| whole(&mut seed, d_sae, 0, 3));
        let selection = match self.selection {
            0 => Selection::AllFiring,
            1 => Selection::TopK(k as u32 % 41),
            _ => {
                let chosen = whole(&mut seed, d_sae, 0, 2);
                let set = (0..d_sae as u32)
                    .zip(chosen)
                    .filter(|(_, chosen)| *chosen == 0.0);
                Selection::Latents(set.map(|(latent, _)| latent).collect::<Vec<_>>().into())
            }
        };
        Made {
            weights,
            inputs,
            rule,
            factors,
            selection,
        }
    }
}

/// Activation of one latent by the formula of its architecture.
fn activation(rule: &Rule, latent: usize, product: f32) -> f32 {
    match rule {
        Rule::Standard(rule) => (product + rule.bias.values()[latent]).max(0.0),
        Rule::JumpRelu(rule) => {
            let h = product + rule.bias.values()[latent];
            if h > rule.threshold.values()[latent] {
                h.max(0.0)
            } else {
                0.0
            }
        }
        Rule::Gated(rule) => {
            let open = product + rule.gate_bias.values()[latent] > 0.0;
            let magnitude = product * rule.magnitude_scale.values()[latent]
                + rule.magnitude_bias.values()[latent];
            if open { magnitude.max(0.0) } else { 0.0 }
        }
        Rule::TopK(rule) => (product + rule.bias.values()[latent]) * rule.factor.values()[latent],
    }
}

fn by_strength(entries: &mut [(u32, f32)]) {
    entries.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}

/// The dense encoder.
fn reference(made: &Made, d_in: usize, d_sae: usize) -> SparseActivations {
    let mut out = SparseActivations::default();
    for x in made.inputs.chunks_exact(d_in) {
        let mut row: Vec<(u32, f32)> = (0..d_sae)
            .map(|latent| {
                let product = x
                    .iter()
                    .enumerate()
                    .map(|(i, x)| x * made.weights[i * d_sae + latent])
                    .sum();
                (latent as u32, activation(&made.rule, latent, product))
            })
            .collect();
        if let Rule::TopK(rule) = &made.rule {
            by_strength(&mut row);
            row.truncate(rule.k);
        }
        row.retain(|(_, value)| *value > 0.0);
        if let Some(factors) = &made.factors {
            for (latent, value) in &mut row {
                *value *= factors[*latent as usize];
            }
            row.retain(|(_, value)| *value > 0.0);
        }
        row.sort_by_key(|(latent, _)| *latent);
        match &made.selection {
            Selection::AllFiring => {}
            Selection::TopK(n) => {
                by_strength(&mut row);
                row.truncate(*n as usize);
            }
            Selection::Latents(set) => row.retain(|(latent, _)| set.contains(latent)),
        }
        for (latent, value) in row {
            out.push(latent, value);
        }
        out.end_row();
    }
    out
}

fn encode(case: &Case, made: &Made) -> SparseActivations {
    encode_within(case, made, usize::MAX).unwrap()
}

fn encode_within(
    case: &Case,
    made: &Made,
    max_entries: usize,
) -> Result<SparseActivations, ComputeError> {
    let device = Device::with_threads(0, case.threads).unwrap();
    let encoder = Encoder::new(made.weights.clone(), case.d_in, made.rule.clone(), &device);
    let factors = made.factors.clone().map(LatentVector::from);
    let request = Request {
        inputs: &made.inputs,
        rows: made.inputs.len() / case.d_in,
        selection: &made.selection,
        factors: factors.as_ref(),
        max_entries,
    };
    device.install(|| encoder.encode(&request))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_sparse_encoder_is_the_dense_one(case in cases()) {
        let made = case.make();
        let sparse = encode(&case, &made);
        prop_assert_eq!(sparse.check(), Ok(()));
        prop_assert_eq!(sparse, reference(&made, case.d_in, case.d_sae));
    }

    #[test]
    fn a_budget_is_held_to_the_last_entry(case in cases()) {
        let made = case.make();
        let all = reference(&made, case.d_in, case.d_sae);
        let entries = all.entries();
        prop_assert_eq!(encode_within(&case, &made, entries), Ok(all));
        if let Some(limit) = entries.checked_sub(1) {
            let refused = Err(ComputeError::TooManyActivations { limit });
            prop_assert_eq!(encode_within(&case, &made, limit), refused);
        }
    }

    /// With weights that are not whole numbers, where another order of operations would show.
    #[test]
    fn a_row_does_not_see_its_neighbours(case in cases(), row in 0usize..260) {
        let mut made = case.make();
        made.weights.iter_mut().for_each(|weight| *weight *= 0.1);
        made.inputs.iter_mut().for_each(|value| *value /= 3.0);
        let together = encode(&case, &made);
        if case.rows > 0 {
            let row = row % case.rows;
            made.inputs = made.inputs[row * case.d_in..(row + 1) * case.d_in].to_vec();
            let alone = encode(&Case { rows: 1, threads: 3, ..case }, &made);
            prop_assert_eq!(alone, together.slice(row, row + 1));
        }
    }
}

/// The same candidates, whichever code finds them.
fn assemble(blocks: &[finish::Block], keep: Keep) -> SparseActivations {
    let (strongest, selection) = match keep {
        Keep::Firing => (None, Selection::AllFiring),
        Keep::Strongest(k) => (Some(k), Selection::TopK(k as u32)),
    };
    Finish {
        strongest,
        factors: None,
        selection: &selection,
        columns: None,
    }
    .assemble(blocks, &Budget::new(usize::MAX))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn other_devices_find_the_same(case in cases()) {
        let made = case.make();
        let device = Device::with_threads(0, 1).unwrap();
        let &Case { rows, d_in, d_sae, k, .. } = &case;
        let tiles = Columns::new(&made.weights, d_in, d_sae, &device);
        let portable = portable::Columns::new(&made.weights, d_in, d_sae, &device);
        let factors = made.factors.clone().map(LatentVector::from);
        for keep in [Keep::Firing, Keep::Strongest((k % 41).clamp(1, d_sae))] {
            let budget = Budget::new(usize::MAX);
            let how = Choice { keep, factors: factors.as_ref(), budget: &budget };
            let expected = tiles.candidates(&made.rule, &made.inputs, rows, how).unwrap();
            let found = portable.candidates(&made.rule, &made.inputs, rows, how).unwrap();
            let expected = assemble(&expected, keep);
            prop_assert_eq!(assemble(&found, keep), expected.clone());
            if keep == Keep::Firing && expected.entries() > 0 {
                let budget = Budget::new(expected.entries() - 1);
                let how = Choice { budget: &budget, ..how };
                let refused = portable.candidates(&made.rule, &made.inputs, rows, how);
                let is_refused = matches!(refused, Err(ComputeError::TooManyActivations { .. }));
                prop_assert!(is_refused);
            }
        }
        let set = [0, d_sae as u32 - 1];
        let (one, other) = (tiles.subset(&set), portable.subset(&set));
        prop_assert_eq!(one.column(1), other.column(1));
        prop_assert_eq!(tiles.column(set[1]), other.column(1));
        let column = tiles.column(set[1]);
        let compared = tiles.compare(&column);
        prop_assert_eq!(compared.len(), d_sae);
        prop_assert_eq!(&compared, &portable.compare(&column));
        prop_assert_eq!(compared[d_sae - 1].product, compared[d_sae - 1].square);
        let dot = |latent: u32| tiles.column(latent).iter().zip(&column).map(|(a, b)| a * b).sum::<f32>();
        prop_assert_eq!(compared[0].product, dot(0));
        prop_assert_eq!(other.bytes(), d_in * set.len() * size_of::<f32>());
    }
}

/// Of 4 M activations that would fire, some tiles are kept before the encoder stops.
#[test]
fn what_is_over_the_budget_is_not_computed() {
    let (rows, d_sae, limit) = (256, 16_384, 1000);
    let device = Device::with_threads(0, 2).unwrap();
    let rule = Rule::Standard(Standard {
        bias: vec![1.0; d_sae].into(),
    });
    let columns = Columns::new(&vec![1.0; d_sae], 1, d_sae, &device);
    let budget = Budget::new(limit);
    let how = Choice {
        keep: Keep::Firing,
        factors: None,
        budget: &budget,
    };
    let inputs = vec![1.0; rows];
    let refused = device.install(|| columns.candidates(&rule, &inputs, rows, how));
    assert_eq!(
        refused.map(|blocks| blocks.len()),
        Err(ComputeError::TooManyActivations { limit })
    );
    // Every task stops at the end of its tile of 32 latents.
    assert!(
        budget.taken() <= limit + rows * 32 * 8,
        "{} kept of {}",
        budget.taken(),
        rows * d_sae
    );
}

#[test]
fn unknown_latents_are_refused() {
    let device = Device::with_threads(0, 1).unwrap();
    let rule = Rule::Standard(Standard {
        bias: vec![0.0; 3].into(),
    });
    let encoder = Encoder::new(vec![1.0; 6], 2, rule, &device);
    let selection = Selection::Latents(Arc::new([1, 3]));
    let request = Request {
        inputs: &[1.0, 1.0],
        rows: 1,
        selection: &selection,
        factors: None,
        max_entries: usize::MAX,
    };
    let unknown = ComputeError::UnknownLatent {
        latent: 3,
        d_sae: 3,
    };
    assert_eq!(encoder.encode(&request), Err(unknown));
    assert_eq!(encoder.column(1), [1.0, 1.0]);
}
