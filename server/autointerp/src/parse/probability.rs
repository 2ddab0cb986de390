//! Probabilities of answers, from those of tokens.

use super::answers::word;
use crate::call::TokenLogprob;

/// The probability of "yes" of each of `answers`, from the tokens of the text in which they were found: P(1) / (P(0) + P(1)).
///
/// The tokens that are a 0 or a 1 (or a word for it) tell, and nothing but their order: their offsets may be of another text
/// than was answered. `None` unless they are as many as the answers and say the same; then they are not those answers.
pub(crate) fn probabilities(tokens: &[TokenLogprob], answers: &[bool]) -> Option<Vec<f32>> {
    // Where a list or an object begins, if one does: talk before it may hold figures. The last one counts.
    let begins = |token: &TokenLogprob| token.token.contains(['[', '{']);
    let froms = tokens.iter().enumerate().rev();
    let froms = froms.filter(|(_, token)| begins(token)).map(|(at, _)| at);
    froms.chain([0]).find_map(|from| {
        let said: Vec<(bool, &TokenLogprob)> = tokens
            .get(from..)?
            .iter()
            .filter_map(|token| Some((word(&token.token)?, token)))
            .collect();
        let same = said.iter().map(|(yes, _)| yes).eq(answers);
        same.then(|| {
            said.iter()
                .map(|(yes, token)| probability(*yes, token))
                .collect()
        })
    })
}

/// The probability of "yes" at one token, which says `yes`.
fn probability(yes: bool, token: &TokenLogprob) -> f32 {
    let (mut no, mut all) = (0.0, 0.0);
    let mut add = |yes: bool, logprob: f32| {
        let p = f64::from(logprob).exp();
        all += p;
        no += if yes { 0.0 } else { p };
    };
    for (text, logprob) in &token.top {
        if let Some(yes) = word(text) {
            add(yes, *logprob);
        }
    }
    // Some endpoints leave the token that was drawn out of the alternatives.
    if !token.top.iter().any(|(text, _)| *text == token.token) {
        add(yes, token.logprob);
    }
    if all > 0.0 {
        (1.0 - no / all) as f32
    } else {
        f32::from(u8::from(yes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, top: &[(&str, f32)]) -> TokenLogprob {
        let top: Vec<(String, f32)> = top
            .iter()
            .map(|(text, p)| ((*text).to_owned(), p.ln()))
            .collect();
        TokenLogprob {
            token: text.to_owned(),
            offset: 999,
            logprob: top.iter().find(|t| t.0 == text).map_or(-0.7, |t| t.1),
            top,
        }
    }

    #[test]
    fn both_answers_are_weighed() {
        let tokens = [
            token("```", &[]),
            token("[", &[("[", 1.0)]),
            token("1", &[("1", 0.6), ("0", 0.2), ("x", 0.2)]),
            token(",", &[]),
            token(" 0", &[(" 0", 0.5), (" 1", 0.1), ("1", 0.4)]),
            token("]", &[]),
        ];
        let p = probabilities(&tokens, &[true, false]).unwrap();
        assert!(
            (p[0] - 0.75).abs() < 1e-6 && (p[1] - 0.5).abs() < 1e-6,
            "{p:?}"
        );
        assert_eq!(probabilities(&tokens, &[true, true]), None);
        assert_eq!(probabilities(&tokens, &[true]), None);
        assert_eq!(probabilities(&[], &[true]), None);
    }

    #[test]
    fn figures_before_the_list_do_not_count() {
        let tokens = [
            token("1", &[("1", 1.0)]),
            token(" of them", &[]),
            token(" [0", &[("[0", 0.9), ("[1", 0.1)]),
            token("]", &[]),
        ];
        let p = probabilities(&tokens, &[false]).unwrap();
        assert!(p[0] <= 0.1 + 1e-6, "{p:?}");
    }

    #[test]
    fn the_last_of_several_answers_is_the_one_that_was_read() {
        let answer = |say: &str, other: &str| {
            [
                token("{\"", &[]),
                token("A", &[]),
                token("\":", &[]),
                token(say, &[(say, 0.8), (other, 0.2)]),
                token("}", &[]),
            ]
        };
        let tokens = [answer("0", "1"), answer("1", "0")].concat();
        let p = probabilities(&tokens, &[true]).unwrap();
        assert!((p[0] - 0.8).abs() < 1e-6, "{p:?}");
        assert_eq!(probabilities(&tokens, &[false]), None);
    }

    #[test]
    fn without_alternatives_the_token_tells() {
        let p = probabilities(&[token("yes", &[])], &[true]).unwrap();
        assert_eq!(p, [1.0]);
    }
}
