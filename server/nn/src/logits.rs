//! What is asked of one row of logits: the next token, its log-probability, the likeliest tokens with theirs.
//!
//! A row is read once, on the host, right after it was computed, so that no more than a few rows exist at a time.

use pulp::Arch;

use crate::{error::ComputeError, form::Allowed, kernels::cpu::exp};

/// Partial sums and maxima that a row is read in: the same number on every machine, and so the same order.
const LANES: usize = 64;

/// A question to the logits behind one of the new tokens of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Which of the new tokens.
    pub row: usize,
    /// Which token the answer is about.
    pub choice: Choice,
    /// How many of the likeliest tokens to report beside it.
    pub top: usize,
    /// Only these tokens may be chosen. Log-probabilities are those of all.
    pub allowed: Option<Allowed>,
}

/// How the token behind is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// It is known.
    Given(u32),
    /// The likeliest; of equal ones that with the lowest id.
    Likeliest,
    /// Drawn.
    Drawn(Draw),
}

/// How a token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Logits are divided by it; above 0.
    pub temperature: f32,
    /// Only the likeliest tokens that together have this probability are drawn from (Holtzman et al. 2019); 1 for all.
    pub top_p: f32,
    /// The random number that decides, at least 0 and below 1.
    pub uniform: f64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The token.
    pub id: u32,
    /// Its natural log-probability, whatever the temperature it was drawn at.
    pub logprob: f32,
    /// The likeliest tokens and their log-probabilities, falling.
    pub top: Vec<(u32, f32)>,
}

/// Answers a question from the logits of a row.
///
/// # Errors
///
/// [`ComputeError::Failed`] if logits are not finite; [`ComputeError::UnknownToken`] if the given token has none.
pub(crate) fn answer(logits: &[f32], question: &Question) -> Result<Answer, ComputeError> {
    let Normal { greatest, sum } = normal(logits);
    // NaN among the logits makes the sum NaN, an infinite one does so too.
    if !(greatest.is_finite() && sum.is_finite()) {
        return Err(ComputeError::Failed {
            detail: "the model's logits are not finite".to_owned(),
        });
    }
    let id = match &question.allowed {
        None => chosen(logits, greatest, question.choice),
        Some(allowed) => chosen_of(logits, allowed, question.choice)?,
    };
    let log_sum = sum.ln();
    let logprob = |logit: f32| (f64::from(logit - greatest) - log_sum) as f32;
    let logit = logits
        .get(id as usize)
        .copied()
        .ok_or(ComputeError::UnknownToken {
            id,
            vocab: logits.len(),
        })?;
    Ok(Answer {
        id,
        logprob: logprob(logit),
        top: likeliest(logits, question.top)
            .into_iter()
            .map(|(id, logit)| (id, logprob(logit)))
            .collect(),
    })
}

fn chosen(logits: &[f32], greatest: f32, choice: Choice) -> u32 {
    match choice {
        Choice::Given(id) => id,
        Choice::Likeliest => logits
            .iter()
            .position(|&logit| logit == greatest)
            .unwrap_or_default() as u32,
        Choice::Drawn(draw) => drawn(logits, greatest, draw),
    }
}

/// The same among the tokens that are allowed.
fn chosen_of(logits: &[f32], allowed: &Allowed, choice: Choice) -> Result<u32, ComputeError> {
    let only = |(id, &logit): (u32, &f32)| {
        if allowed.has(id) {
            logit
        } else {
            f32::NEG_INFINITY
        }
    };
    let masked: Vec<f32> = (0..).zip(logits).map(only).collect();
    let greatest = greatest(&masked);
    if greatest.is_finite() {
        Ok(chosen(&masked, greatest, choice))
    } else {
        Err(ComputeError::Failed {
            detail: "no token may come next".to_owned(),
        })
    }
}

/// The greatest logit, and `Σ e^(logit - greatest)`.
struct Normal {
    greatest: f32,
    sum: f64,
}

fn normal(logits: &[f32]) -> Normal {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let greatest = greatest(logits);
            Normal {
                greatest,
                sum: sum_of_exponentials(logits, greatest),
            }
        },
    )
}

#[inline(always)]
fn greatest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    for (lane, &logit) in lanes.iter_mut().zip(rest) {
        *lane = if logit > *lane { logit } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn sum_of_exponentials(logits: &[f32], greatest: f32) -> f64 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane += exp(logit - greatest);
        }
    }
    for (lane, &logit) in lanes.iter_mut().zip(rest) {
        *lane += exp(logit - greatest);
    }
    lanes.into_iter().map(f64::from).sum()
}

/// The `count` greatest logits with their ids, falling, equal ones by id.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let count = count.min(logits.len());
    let mut found: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    if count == 0 {
        return found;
    }
    for (chunk, values) in logits.chunks(LANES).enumerate() {
        // Nearly every chunk holds nothing great enough: one comparison for all of it.
        let bound = found
            .last()
            .filter(|_| found.len() == count)
            .map(|least| least.1);
        if bound.is_some_and(|bound| greatest(values) <= bound) {
            continue;
        }
        for (id, &logit) in (chunk * LANES..).zip(values) {
            if found.len() == count && found.last().is_some_and(|least| logit <= least.1) {
                continue;
            }
            let place = found.partition_point(|(_, other)| *other >= logit);
            found.insert(place, (id as u32, logit));
            found.truncate(count);
        }
    }
    found
}

/// The token that the random number falls on.
fn drawn(logits: &[f32], greatest: f32, draw: Draw) -> u32 {
    let weight = |logit: f32| f64::from((logit - greatest) / draw.temperature).exp();
    let weights = logits.iter().map(|&logit| weight(logit));
    let total: f64 = weights.clone().sum();
    let top_p = f64::from(draw.top_p);
    if top_p >= 1.0 {
        let all = weights.enumerate().map(|(id, weight)| (id as u32, weight));
        return fallen_on(all, draw.uniform * total);
    }
    // Tokens below this weight have less than 1 - top_p together, so the rest holds all that is drawn from.
    let least = (1.0 - top_p) * total / logits.len() as f64;
    let mut kept: Vec<(u32, f64)> = weights
        .enumerate()
        .filter(|(_, weight)| *weight >= least)
        .map(|(id, weight)| (id as u32, weight))
        .collect();
    kept.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let enough = kept.iter().position(|(_, weight)| {
        sum += weight;
        sum >= top_p * total
    });
    kept.truncate(enough.map_or(kept.len(), |last| last + 1));
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    fallen_on(kept.into_iter(), draw.uniform * total)
}

/// The first token at which the running sum of the weights is over `point`; the last one that has a weight if none is.
fn fallen_on(weights: impl Iterator<Item = (u32, f64)>, point: f64) -> u32 {
    let (mut sum, mut last) = (0.0, 0);
    for (id, weight) in weights {
        sum += weight;
        if weight > 0.0 {
            last = id;
        }
        if sum > point {
            return id;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(choice: Choice, top: usize) -> Question {
        Question {
            row: 0,
            choice,
            top,
            allowed: None,
        }
    }

    fn draw(temperature: f32, top_p: f32, uniform: f64) -> Choice {
        Choice::Drawn(Draw {
            temperature,
            top_p,
            uniform,
        })
    }

    /// ln of 1, 5, 2, 0.5, 1.5: together 10.
    fn logits() -> Vec<f32> {
        [1.0f32, 5.0, 2.0, 0.5, 1.5].map(f32::ln).to_vec()
    }

    #[test]
    fn log_probabilities_are_those_of_the_definition() {
        let found = answer(&logits(), &ask(Choice::Given(3), 3)).unwrap();
        assert_eq!(found.id, 3);
        assert!((found.logprob - 0.05f32.ln()).abs() < 1e-6);
        let ids: Vec<u32> = found.top.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [1, 2, 4]);
        assert!((found.top[0].1 - 0.5f32.ln()).abs() < 1e-6);
        let wide: Vec<f32> = (0..50_000)
            .map(|i| ((i * 7919) % 1009) as f32 / 50.0)
            .collect();
        let exact = |id: usize| {
            let sum: f64 = wide.iter().map(|&x| f64::from(x).exp()).sum();
            f64::from(wide[id]) - sum.ln()
        };
        let found = answer(&wide, &ask(Choice::Given(77), 0)).unwrap();
        assert!((f64::from(found.logprob) - exact(77)).abs() < 1e-5);
    }

    #[test]
    fn equal_logits_are_taken_by_id() {
        let logits = [1.0, 3.0, -2.0, 3.0, 3.0];
        let found = answer(&logits, &ask(Choice::Likeliest, 2)).unwrap();
        assert_eq!(found.id, 1);
        let ids: Vec<u32> = found.top.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [1, 3]);
        let many: Vec<f32> = (0..1000).map(|i| (i % 7) as f32).collect();
        let found = answer(&many, &ask(Choice::Likeliest, 5)).unwrap();
        let ids: Vec<u32> = found.top.iter().map(|(id, _)| *id).collect();
        assert_eq!((found.id, &ids[..]), (6, &[6, 13, 20, 27, 34][..]));
        assert_eq!(
            answer(&logits, &ask(Choice::Likeliest, 9))
                .unwrap()
                .top
                .len(),
            5
        );
    }

    #[test]
    fn draws_follow_the_distribution() {
        let count = |temperature, top_p| {
            let mut counts = [0; 5];
            for i in 0..1000 {
                let choice = draw(temperature, top_p, (f64::from(i) + 0.5) / 1000.0);
                counts[answer(&logits(), &ask(choice, 0)).unwrap().id as usize] += 1;
            }
            counts
        };
        assert!(
            count(1.0, 1.0)
                .iter()
                .zip([100, 500, 200, 50, 150])
                .all(|(a, b): (&i32, i32)| (a - b).abs() <= 1)
        );
        // The likeliest two have 0.7; the third is needed for 0.75.
        let [_, first, second, never, third] = count(1.0, 0.75);
        assert!((first - 588).abs() <= 1 && (second - 235).abs() <= 1 && (third - 176).abs() <= 1);
        assert_eq!(never, 0);
        assert_eq!(count(1.0, 0.0), [0, 1000, 0, 0, 0]);
        assert_eq!(count(0.01, 1.0), [0, 1000, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_finite_is_an_error() {
        for bad in [f32::NAN, f32::INFINITY] {
            let question = ask(Choice::Likeliest, 1);
            assert!(answer(&[0.0, bad, 1.0], &question).is_err(), "{bad}");
        }
        assert!(answer(&[], &ask(Choice::Likeliest, 0)).is_err());
        let error = answer(&[0.0], &ask(Choice::Given(1), 0)).unwrap_err();
        assert_eq!(error, ComputeError::UnknownToken { id: 1, vocab: 1 });
        let masked = answer(&[f32::NEG_INFINITY, 0.0], &ask(Choice::Likeliest, 2)).unwrap();
        assert_eq!(masked.top[1], (0, f32::NEG_INFINITY));
    }
}
