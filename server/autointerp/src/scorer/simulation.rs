//! Simulation: how strongly does the latent fire on each token? By the log-probabilities of a table in which all values are
//! hidden, so that one pass tells about all tokens (Bills et al. 2023, "all at once").
//!
//! The guess for a token is the mean of the digits 0 to 9 by their probabilities where its value stands, on the scale of 0 to
//! 10. A token with no digit among the alternatives has no guess and is left out of `truth` and `predicted`; `marked` then
//! lists those that are in. A text with guesses for fewer than half of its tokens has failed. `truth` is the activation, 10
//! for the latent's highest in the cache, not rounded.

use latentd_domain::{Reason, autointerp::Calibration};

use super::{Plan, Scorer, fill_each, firing, row};
use crate::{
    Call, Failure, Reply, Row, ScoreText, Shown, Skip, Subject,
    call::{Context, TokenLogprob},
    parse,
    prompts::simulate::{HIGHEST_DIGIT, UNKNOWN, hidden_table, table_messages},
    render::SCALE,
    stats::{self, Summary},
};

/// Alternatives to each token: the most that vLLM gives unless it is told otherwise.
const TOP: u8 = 20;

#[derive(Debug)]
pub(super) struct Simulation(pub(super) Calibration);

impl Scorer for Simulation {
    fn prompt_version(&self) -> &'static str {
        "simulation/1"
    }

    fn plan(&self, subject: &Subject, explanation: &str) -> Result<Plan, Skip> {
        let mut plan = Plan::default();
        for shown in firing(subject, 1)?.iter().chain(&subject.non_activating) {
            plan.rows.push(Row {
                truth: truth(subject, shown),
                call: plan.calls.len(),
                ..row(shown)
            });
            plan.calls.push(Call::ScoreText(ScoreText {
                context: Context::Chat(table_messages(explanation)),
                text: hidden_table(&shown.tokens).0,
                top: TOP,
            }));
        }
        Ok(plan)
    }

    fn read(&self, plan: &Plan, replies: &[Result<Reply, Failure>]) -> Vec<Row> {
        fill_each(&plan.rows, replies, |row, reply| {
            let Reply::ScoreText(tokens) = reply else {
                return Err(parse::wrong_kind("log-probabilities of a text"));
            };
            let Some(Call::ScoreText(asked)) = plan.calls.get(row.call) else {
                return Err(parse::wrong_kind("log-probabilities of a text"));
            };
            let guesses = guesses(&asked.text, tokens)?;
            keep(row, &guesses)
        })
    }

    fn summarize(&self, rows: &[Row], seed: u64) -> Summary {
        stats::simulation(rows, self.0, seed)
    }
}

/// Activations of an example, 10 for the latent's highest.
pub(super) fn truth(subject: &Subject, shown: &Shown) -> Vec<f32> {
    let max = subject.max_activation.max(1e-6);
    let activations = shown.activations.iter();
    if shown.fires() {
        activations
            .map(|a| (SCALE * a / max).clamp(0.0, SCALE))
            .collect()
    } else {
        activations.map(|_| 0.0).collect()
    }
}

/// Puts the guesses that there are into the row.
fn keep(row: &mut Row, guesses: &[Option<f32>]) -> Result<(), Failure> {
    let known = guesses.iter().flatten().count();
    if guesses.len() != row.truth.len() || known * 2 < guesses.len() || known == 0 {
        return Err(Failure::new(
            Reason::AnswerNotParsed,
            format!(
                "a digit is expected on {known} of {} tokens",
                row.truth.len()
            ),
        ));
    }
    if known < guesses.len() {
        let marks: Vec<bool> = guesses.iter().map(Option::is_some).collect();
        row.marked = crate::render::indexes(&marks);
        let mut marks = marks.into_iter();
        row.truth.retain(|_| marks.next().unwrap_or(false));
    }
    row.predicted = guesses.iter().flatten().copied().collect();
    Ok(())
}

/// The guess for each token of the table `text`.
fn guesses(text: &str, tokens: &[TokenLogprob]) -> Result<Vec<Option<f32>>, Failure> {
    let spelled: String = tokens.iter().map(|token| token.token.as_str()).collect();
    // Tokens that spell the text tell their places themselves. Tokens that are a part of a character do not.
    let mut at = 0;
    let starts: Vec<usize> = tokens
        .iter()
        .map(|token| {
            let start = at;
            at += token.token.len();
            if spelled == text { start } else { token.offset }
        })
        .collect();
    let hidden = format!("\t{UNKNOWN}\n");
    text.match_indices(&hidden)
        .map(|(at, _)| at + 1)
        .map(|place| {
            // The last token that begins there or before: some tokenizers join the tab with what follows it.
            let index = starts
                .partition_point(|&start| start <= place)
                .checked_sub(1);
            let token = index.and_then(|index| tokens.get(index));
            match token {
                Some(token) if begins(&token.token) => Ok(guess(token)),
                Some(_) | None => Err(Failure::new(
                    Reason::ProviderMalformedReply,
                    "the tokens are not those of the text that was asked about",
                )),
            }
        })
        .collect()
}

/// Whether a token begins what stands for a hidden value.
fn begins(token: &str) -> bool {
    let token = token.trim_start();
    !token.is_empty() && (UNKNOWN.starts_with(token.trim_end()) || token.starts_with(UNKNOWN))
}

/// The mean of the digits by their probabilities, on the scale of activations.
fn guess(token: &TokenLogprob) -> Option<f32> {
    let (mut sum, mut all) = (0.0, 0.0);
    for (text, logprob) in &token.top {
        if let Some(digit) = text
            .trim()
            .parse::<u8>()
            .ok()
            .filter(|&d| d <= HIGHEST_DIGIT)
        {
            let p = f64::from(*logprob).exp();
            sum += p * f64::from(digit);
            all += p;
        }
    }
    let scale = f64::from(SCALE) / f64::from(HIGHEST_DIGIT);
    (all > 0.0).then(|| (scale * sum / all) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, top: &[(&str, f32)]) -> TokenLogprob {
        TokenLogprob {
            token: text.to_owned(),
            offset: 0,
            logprob: -1.0,
            top: top
                .iter()
                .map(|(text, p)| ((*text).to_owned(), p.ln()))
                .collect(),
        }
    }

    #[test]
    fn digits_are_weighed_however_the_text_is_cut() {
        let (text, _) = hidden_table(&["a\tunknown".to_owned(), "b".to_owned()]);
        let digits = [("9", 0.2), ("0", 0.2), ("unknown", 0.5)];
        let joined = [("\t9", 0.2), ("\t0", 0.2), ("x", 0.5)];
        let apart = [
            token("<start>\na\\tunknown\t", &[]),
            token("unk", &digits),
            token("nown\nb\t", &[]),
            token("unknown", &[("4", 0.9), ("10", 0.1)]),
            token("\n<end>\n", &[]),
        ];
        let together = [
            token("<start>\na\\tunknown", &[]),
            token("\tunknown", &joined),
            token("\nb", &[]),
            token("\tunknown\n", &[("\t4", 1.0)]),
            token("<end>\n", &[]),
        ];
        for tokens in [&apart[..], &together] {
            let guesses = guesses(&text, tokens).unwrap();
            let guesses: Vec<f32> = guesses.into_iter().flatten().collect();
            assert!((guesses[0] - 5.0).abs() < 1e-5, "{guesses:?}");
            assert!((guesses[1] - 40.0 / 9.0).abs() < 1e-5, "{guesses:?}");
        }
    }

    #[test]
    fn tokens_of_another_text_are_refused() {
        let (text, _) = hidden_table(&["a".to_owned()]);
        let reason = guesses(&text, &[token("something else", &[])])
            .unwrap_err()
            .reason;
        assert_eq!(reason, Reason::ProviderMalformedReply);
        assert!(guesses(&text, &[]).is_err());
    }

    #[test]
    fn offsets_are_used_where_tokens_do_not_spell_the_text() {
        let (text, places) = hidden_table(&["é".to_owned()]);
        let at = |offset, token: TokenLogprob| TokenLogprob { offset, ..token };
        let tokens = [
            at(0, token("<start>\n", &[])),
            at(8, token("\u{fffd}", &[])),
            at(9, token("\u{fffd}", &[])),
            at(10, token("\t", &[])),
            at(places[0], token("unknown", &[("9", 1.0)])),
            at(places[0] + 7, token("\n<end>\n", &[])),
        ];
        assert_eq!(guesses(&text, &tokens).unwrap(), [Some(10.0)]);
    }

    #[test]
    fn tokens_without_a_guess_are_left_out() {
        let mut row = Row {
            truth: vec![1.0, 2.0, 3.0],
            ..Row::default()
        };
        keep(&mut row, &[Some(0.5), None, Some(2.5)]).unwrap();
        assert_eq!(
            (row.truth.as_slice(), row.predicted.as_slice()),
            (&[1.0, 3.0][..], &[0.5, 2.5][..])
        );
        assert_eq!(row.marked, [0, 2]);
        let mut row = Row {
            truth: vec![1.0, 2.0, 3.0],
            ..Row::default()
        };
        assert!(keep(&mut row, &[None, None, Some(2.5)]).is_err());
    }
}
