//! What is explained and scored: a latent, with the examples that are shown of it.

use latentd_domain::{Reason, SaeName, autointerp::ExampleId};

/// A window of text that may be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Which window of the cache.
    pub id: ExampleId,
    /// Text of each token; empty where a later token shows the character that it is a part of.
    pub tokens: Vec<String>,
    /// Activation of the latent on each token, after [`carry`]; 0 where it does not fire.
    pub activations: Vec<f32>,
    /// Quantile that it was drawn from, 0 the strongest; `None` where the latent does not fire.
    pub quantile: Option<u32>,
    /// Where it comes from, if the latent does not fire on it.
    pub non_activating: Option<NonActivating>,
}

/// How an example on which the latent does not fire was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NonActivating {
    /// Similarity that chose it, of latents or of texts; `None` for a random one.
    pub similarity: Option<f32>,
    /// The latent whose example it is, with that latent's activation on each token: where fuzzing puts the wrong marks.
    pub neighbour: Option<(u32, Vec<f32>)>,
}

/// Moves activations to where they can be seen. A token without text spells a part of a character that the next token with text
/// shows: that one has the highest activation of all tokens of its character, the others have none.
pub fn carry(tokens: &[String], activations: &mut [f32]) {
    let mut carried = 0.0;
    for (token, activation) in tokens.iter().zip(activations) {
        let highest = activation.max(carried);
        (*activation, carried) = if token.is_empty() {
            (0.0, highest)
        } else {
            (highest, 0.0)
        };
    }
}

impl Shown {
    /// The whole text.
    pub fn text(&self) -> String {
        self.tokens.concat()
    }

    /// Highest activation; 0 where the latent does not fire.
    pub fn peak(&self) -> f32 {
        self.activations.iter().copied().fold(0.0, f32::max)
    }

    /// Whether the latent fires on it.
    pub fn fires(&self) -> bool {
        self.non_activating.is_none()
    }
}

/// A latent, and examples of it. `train` and `test` share no window, and `non_activating` and `contrast` share none.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Whose latent.
    pub sae: SaeName,
    /// Index of the latent.
    pub latent: u32,
    /// Tokens of the cache on which it fires.
    pub firing_tokens: u64,
    /// Highest activation in the cache.
    pub max_activation: f32,
    /// For the explainer, strongest first.
    pub train: Vec<Shown>,
    /// For scorers, strongest first.
    pub test: Vec<Shown>,
    /// For scorers, the latent does not fire on them.
    pub non_activating: Vec<Shown>,
    /// For the contrastive explainer, the latent does not fire on them.
    pub contrast: Vec<Shown>,
    /// Tokens that the latent promotes, strongest first; empty unless the explainer needs them.
    pub promoted: Vec<String>,
    /// Seed of random choices, its own for each latent.
    pub seed: u64,
}

/// Why a latent is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// It never fires in the cache.
    #[error("the latent never fires in the cache")]
    Dead,
    /// It has fewer examples than the plan demands.
    #[error("{have} examples, {need} needed{}", would_do(*.have, *.scored))]
    Scarce {
        /// How many it has.
        have: usize,
        /// How many are needed.
        need: usize,
        /// Whether some are held back for scorers.
        scored: bool,
    },
    /// There is not enough to show.
    #[error("{have} {what}, {need} are needed")]
    TooFewExamples {
        /// What there are too few of.
        what: &'static str,
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: usize,
    },
}

impl Skip {
    /// The reason, as clients see it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Dead => Reason::LatentNeverFires,
            Self::Scarce { .. } | Self::TooFewExamples { .. } => Reason::TooFewExamples,
        }
    }
}

/// A plan that a latent with so many examples is enough for, by the names of its fields.
fn would_do(have: usize, scored: bool) -> String {
    match (have, scored) {
        (0, _) | (1, true) => String::new(),
        (_, false) => format!(": min_examples {have} n_train {have} would do"),
        (_, true) => {
            // As the default plan divides them.
            let n_train = (have * 4 / 9).max(1);
            let n_test = have - n_train;
            format!(": min_examples {have} n_train {n_train} n_test {n_test} would do")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latent_that_is_left_out_says_which_plan_would_do() {
        let scarce = |have, scored| {
            let need = 45;
            Skip::Scarce { have, need, scored }.to_string()
        };
        assert_eq!(
            scarce(22, true),
            "22 examples, 45 needed: min_examples 22 n_train 9 n_test 13 would do"
        );
        assert_eq!(
            scarce(3, false),
            "3 examples, 45 needed: min_examples 3 n_train 3 would do"
        );
        assert_eq!(scarce(1, true), "1 examples, 45 needed");
        assert_eq!(Skip::Dead.reason(), Reason::LatentNeverFires);
    }

    #[test]
    fn a_character_has_the_highest_activation_of_its_tokens() {
        let tokens = ["a", "", "", "🎉", "b", "", "é"].map(str::to_owned);
        let mut activations = [1.0, 0.0, 3.0, 2.0, 0.0, 0.0, 0.5];
        carry(&tokens, &mut activations);
        assert_eq!(activations, [1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.5]);
    }
}
