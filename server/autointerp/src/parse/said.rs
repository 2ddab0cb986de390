//! The answer in a reply, before anybody reads it: without the model's thinking, and with what is known of its end.

use latentd_domain::Reason;

use super::{quote, thinking, wrong_kind};
use crate::{Failure, Reply, call::TokenLogprob};

/// What was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    /// The answer, without the thinking before it.
    pub(crate) text: &'a str,
    /// Its tokens, where log-probabilities were given.
    pub(crate) tokens: &'a [TokenLogprob],
    /// It ended because it became too long.
    pub(crate) cut_off: bool,
}

impl<'a> Said<'a> {
    /// All of an answer that came to its end.
    pub(crate) fn whole(self) -> Result<&'a str, Failure> {
        if self.cut_off {
            return Err(cut_off("the answer became too long before it was complete"));
        }
        Ok(self.text)
    }
}

/// The answer to a conversation, unless it was declined, or ended while the model was thinking.
///
/// This is the one place where thinking is told from answers: no parser sees any.
pub(crate) fn answer(reply: &Reply) -> Result<Said<'_>, Failure> {
    let Reply::Chat(answer) = reply else {
        return Err(wrong_kind("an answer"));
    };
    if answer.refusal {
        return Err(Failure::new(Reason::AnswerRefused, quote(&answer.text)));
    }
    let thinking = |_| cut_off("the answer ended while the model was thinking");
    let from = thinking::end(&answer.text).map_err(thinking)?;
    let text = thinking::unwrapped(answer.text.get(from..).unwrap_or_default());
    if answer.cut_off && text.is_empty() {
        return Err(cut_off("all of the answer went into thinking"));
    }
    Ok(Said {
        text,
        tokens: after_thinking(&answer.tokens),
        cut_off: answer.cut_off,
    })
}

/// Whether an answer ended because it became too long. With more room it may come to its end.
pub fn is_cut_off(reply: &Reply) -> bool {
    match answer(reply) {
        Ok(said) => said.cut_off,
        Err(failure) => failure.reason == Reason::AnswerCutOff,
    }
}

/// The tokens of an answer without those of thinking. Some endpoints list these where the text lacks them.
fn after_thinking(tokens: &[TokenLogprob]) -> &[TokenLogprob] {
    let text: String = tokens.iter().map(|token| token.token.as_str()).collect();
    let Ok(from) = thinking::end(&text) else {
        return &[];
    };
    let mut at = 0;
    let first = tokens.iter().position(|token| {
        let here = at >= from;
        at += token.token.len();
        here
    });
    first
        .and_then(|first| tokens.get(first..))
        .unwrap_or_default()
}

/// An answer that ended too early.
pub(super) fn cut_off(what: &str) -> Failure {
    Failure::new(Reason::AnswerCutOff, what)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::call::Answer;

    /// A text as it was said.
    pub(in crate::parse) fn said(text: &str) -> Said<'_> {
        Said {
            text,
            tokens: &[],
            cut_off: false,
        }
    }

    fn token(text: &str) -> TokenLogprob {
        TokenLogprob {
            token: text.to_owned(),
            offset: 0,
            logprob: -0.5,
            top: Vec::new(),
        }
    }

    fn reply(text: &str, cut_off: bool) -> Reply {
        Reply::Chat(Answer {
            text: text.to_owned(),
            cut_off,
            ..Answer::default()
        })
    }

    #[test]
    fn an_answer_that_ended_too_early_says_so() {
        for (text, length) in [
            ("<think>[1, 0]", false),
            ("<think>a</think>", true),
            ("", true),
        ] {
            let reply = reply(text, length);
            assert_eq!(
                answer(&reply).unwrap_err().reason,
                Reason::AnswerCutOff,
                "{text}"
            );
            assert!(is_cut_off(&reply));
        }
        let half = reply("<think>a</think>[1, 0", true);
        assert!(is_cut_off(&half) && answer(&half).unwrap().whole().is_err());
        assert!(!is_cut_off(&reply("<think>a</think>[1, 0]", false)));
        assert!(!is_cut_off(&Reply::Embed(Vec::new())));
    }

    #[test]
    fn tokens_of_thinking_are_left_out() {
        let answer = Answer {
            text: "[1]".to_owned(),
            tokens: ["<th", "ink>", "0", "</think>\n", "[", "1", "]"]
                .map(token)
                .into(),
            ..Answer::default()
        };
        let reply = Reply::Chat(answer);
        let said = super::answer(&reply).unwrap();
        let tokens: Vec<&str> = said
            .tokens
            .iter()
            .map(|token| token.token.as_str())
            .collect();
        assert_eq!(tokens, ["[", "1", "]"]);
    }
}
