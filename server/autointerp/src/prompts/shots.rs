//! Examples that prompts are written with. They go through the same rendering as what is asked, so the two cannot differ.

use latentd_domain::autointerp::ExampleId;

use crate::{NonActivating, Shown};

/// A latent that stands for others in prompts.
pub(crate) struct Shot {
    /// What it fires on.
    pub(crate) explanation: &'static str,
    /// How one may come to see that, with reasoning.
    pub(crate) reasoning: &'static str,
    /// Texts in which it fires: tokens with activations from 0 to 10.
    pub(crate) firing: &'static [&'static [(&'static str, u8)]],
    /// Texts in which it does not.
    pub(crate) silent: &'static [&'static [&'static str]],
    /// Tokens that it makes likelier.
    pub(crate) promoted: &'static [&'static str],
}

/// Units of time, the ending "-ly", metals that are traded.
pub(crate) const SHOTS: [Shot; 3] = [
    Shot {
        explanation: "Units of time that follow a number.",
        reasoning: "The marked tokens are hours, minutes and weeks. Each follows a number that is written as a word.",
        firing: &[
            &[
                ("The", 0),
                (" train", 0),
                (" leaves", 0),
                (" in", 0),
                (" twelve", 2),
                (" minutes", 9),
                (" from", 0),
            ],
            &[
                (" slept", 0),
                (" for", 0),
                (" nine", 0),
                (" hours", 10),
                (",", 0),
                (" then", 0),
                (" rose", 0),
            ],
            &[
                ("About", 0),
                (" three", 0),
                (" weeks", 8),
                (" later", 3),
                (" they", 0),
                (" met", 0),
            ],
        ],
        silent: &[
            &["It", " was", " a", " matter", " of", " time", "."],
            &["Nine", " birds", " sat", " on", " the", " fence"],
        ],
        promoted: &[" later", " ago", " earlier", " straight"],
    },
    Shot {
        explanation: "The ending \"ly\" of adverbs that say how something is done.",
        reasoning: "The marked token is always the ending \"ly\". The words are adverbs: quickly, softly, slowly.",
        firing: &[
            &[
                (" he", 0),
                (" walked", 0),
                (" quick", 0),
                ("ly", 8),
                (" past", 0),
                (" us", 0),
            ],
            &[
                ("She", 0),
                (" spoke", 0),
                (" soft", 0),
                ("ly", 10),
                (" and", 0),
                (" slow", 0),
                ("ly", 7),
                (".", 0),
            ],
        ],
        silent: &[
            &["the", " family", " of", " Em", "ily"],
            &[" a", " fly", " on", " the", " wall"],
        ],
        promoted: &[" and", ",", " enough"],
    },
    Shot {
        explanation: "Metals that are bought and sold.",
        reasoning: "The marked tokens are copper, gold and iron ore. The texts speak of prices and trade.",
        firing: &[
            &[
                ("The", 0),
                (" price", 0),
                (" of", 0),
                (" copper", 9),
                (" rose", 0),
                (" again", 0),
            ],
            &[
                (" an", 0),
                (" ounce", 1),
                (" of", 0),
                (" gold", 10),
                (" costs", 0),
                (" more", 0),
            ],
            &[
                (" exports", 0),
                (" of", 0),
                (" iron", 7),
                (" ore", 8),
                (" fell", 0),
                ("\n", 0),
            ],
        ],
        silent: &[
            &["a", " heart", " of", " gold", ",", " she", " said"],
            &[" the", " price", " of", " bread", " rose"],
        ],
        promoted: &[" ore", " prices", " futures", " mine"],
    },
];

impl Shot {
    /// The texts in which it fires, as examples.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let texts = self.firing.iter();
        texts
            .map(|text| Shown {
                quantile: Some(0),
                ..shown(text.iter().copied())
            })
            .collect()
    }

    /// The texts in which it does not fire, as examples.
    pub(crate) fn contrast(&self) -> Vec<Shown> {
        let texts = self.silent.iter();
        texts
            .map(|text| Shown {
                non_activating: Some(NonActivating::default()),
                ..shown(text.iter().map(|token| (*token, 0)))
            })
            .collect()
    }

    /// The tokens that it makes likelier.
    pub(crate) fn promoted(&self) -> Vec<String> {
        self.promoted
            .iter()
            .map(|&token| token.to_owned())
            .collect()
    }
}

/// An example that is in no cache.
fn shown(tokens: impl Iterator<Item = (&'static str, u8)>) -> Shown {
    let (tokens, activations) = tokens
        .map(|(token, activation)| (token.to_owned(), f32::from(activation)))
        .unzip();
    Shown {
        id: ExampleId {
            row: 0,
            start: 0,
            len: 0,
        },
        tokens,
        activations,
        quantile: None,
        non_activating: None,
    }
}
