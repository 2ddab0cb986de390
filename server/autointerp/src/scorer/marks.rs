//! Where wrong marks lie.
//!
//! They must not give themselves away by anything but being wrong. So the marks of an example on which the latent fires are
//! laid on another text: as many, and where they were as far as that is possible. (delphi marks as many random tokens as
//! fire on average, which is more than it marks where the latent fires, and always the one at three quarters.)

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{Shown, render};

/// The marks of examples on which the latent fires.
pub(super) struct Patterns(Vec<Vec<usize>>);

impl Patterns {
    /// The right marks of `firing`.
    pub(super) fn of(firing: &[Shown], threshold: f64) -> Self {
        let patterns = firing.iter().map(|shown| {
            let marks = render::strong(&shown.activations, threshold);
            let marked = marks.iter().enumerate().filter(|(_, mark)| **mark);
            marked.map(|(at, _)| at).collect()
        });
        Self(
            patterns
                .filter(|pattern: &Vec<usize>| !pattern.is_empty())
                .collect(),
        )
    }

    /// Marks of a text on which the latent does not fire: where the latent fires whose example it is, if it is one, and
    /// otherwise after one of the patterns.
    pub(super) fn wrong(
        &self,
        shown: &Shown,
        threshold: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<Vec<bool>> {
        neighbour(shown, threshold).or_else(|| self.lay(shown, |_| true, rng))
    }

    /// Marks on tokens of `shown` that `free` allows, after one of the patterns; `None` where it allows none.
    pub(super) fn lay(
        &self,
        shown: &Shown,
        free: impl Fn(usize) -> bool,
        rng: &mut ChaCha8Rng,
    ) -> Option<Vec<bool>> {
        // A token without text shows no mark.
        let mut allowed: Vec<usize> = (0..shown.tokens.len())
            .filter(|&at| free(at) && shown.tokens.get(at).is_some_and(|token| !token.is_empty()))
            .collect();
        if allowed.is_empty() || self.0.is_empty() {
            return None;
        }
        let pattern = self.0.get(rng.random_range(0..self.0.len()))?;
        allowed.shuffle(rng);
        // Those of the pattern first, then any others.
        allowed.sort_by_key(|at| !pattern.contains(at));
        allowed.truncate(pattern.len());
        Some(
            (0..shown.tokens.len())
                .map(|at| allowed.contains(&at))
                .collect(),
        )
    }
}

/// Marks where the latent fires whose example it is; `None` if it is no latent's.
fn neighbour(shown: &Shown, threshold: f64) -> Option<Vec<bool>> {
    let (_, activations) = shown.non_activating.as_ref()?.neighbour.as_ref()?;
    let marks = render::strong(activations, threshold);
    let visible = marks
        .iter()
        .zip(&shown.tokens)
        .any(|(mark, token)| *mark && !token.is_empty());
    visible.then_some(marks)
}

#[cfg(test)]
mod tests {
    use latentd_domain::autointerp::ExampleId;
    use rand::SeedableRng;

    use super::*;

    fn shown(activations: &[f32]) -> Shown {
        Shown {
            id: ExampleId {
                row: 0,
                start: 0,
                len: activations.len() as u32,
            },
            tokens: vec!["a".to_owned(); activations.len()],
            activations: activations.to_vec(),
            quantile: None,
            non_activating: None,
        }
    }

    #[test]
    fn a_pattern_is_laid_where_it_was() {
        let patterns = Patterns::of(&[shown(&[0.0, 1.0, 0.9, 0.1, 0.0])], 0.3);
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let text = shown(&[0.0; 5]);
        let marks = patterns.lay(&text, |_| true, rng).unwrap();
        assert_eq!(marks, [false, true, true, false, false]);
        // What is not free is made up for elsewhere.
        let marks = patterns.lay(&text, |at| at != 1, rng).unwrap();
        assert!(!marks[1] && marks[2]);
        assert_eq!(marks.iter().filter(|mark| **mark).count(), 2);
        assert_eq!(patterns.lay(&text, |_| false, rng), None);
    }
}
