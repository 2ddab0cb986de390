//! Prompts of explainers.

use super::shots::{SHOTS, Shot};
use crate::{
    Message, Shown,
    render::{self, SCALE},
};

/// What the last line of an answer begins with.
pub(crate) const MARKER: &str = "[EXPLANATION]:";

const TASK: &str = "\
You study one latent of a language model: a direction that fires on some tokens of a text and is silent on the others.";

const RULES: &str = "\
Say in one sentence what the latent fires on.
- Name what the marked tokens have in common, or what stands around them. Be specific and short.
- Do not list tokens, and do not list several possible patterns.
- Pass over texts that tell nothing.
- Do not speak of the marks, of the activations or of the examples.
- End with a line that begins with [EXPLANATION]: and holds the explanation and nothing else.";

const REASONING: &str = "\
First name up to five marked tokens and what they have in common. Then say what the texts around them have in common. Then write the line with the explanation.";

const MARKS: &str = "\
You are shown texts in which it fires. Tokens on which it fires strongly stand between << and >>; tokens that follow each other share one pair. After each text these tokens are listed with their activations, from 1 to 10. A line break is written \\n.";

const CONTRAST: &str = "\
Then you are shown texts in which it does not fire. Your explanation must not be true of them.";

const PROMOTED: &str = "\
Then you are shown tokens that the latent makes likelier to come next. They may tell more about it than the texts, or nothing.";

const SINGLE: &str = "\
It fires on single tokens. You are shown texts in which it fires, each with the token on which it fires strongest between << and >>. A line break is written \\n.";

/// What an explainer shows of one latent.
pub(crate) struct Parts {
    /// Lines of the texts in which it fires.
    pub(crate) firing: Vec<String>,
    /// Texts in which it does not fire; empty where they are not shown.
    pub(crate) silent: Vec<String>,
    /// Tokens that it promotes; empty where they are not shown.
    pub(crate) promoted: Vec<String>,
}

/// Which of the explainers asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Default,
    SingleToken,
    Contrastive,
    MaxActLogits,
}

impl Style {
    /// What is shown, in words.
    fn material(self) -> String {
        match self {
            Self::Default => MARKS.to_owned(),
            Self::SingleToken => SINGLE.to_owned(),
            Self::Contrastive => format!("{MARKS} {CONTRAST}"),
            Self::MaxActLogits => format!("{MARKS} {PROMOTED}"),
        }
    }

    /// What is shown of a latent of the prompt itself.
    fn shot(self, shot: &Shot) -> Parts {
        let threshold = 0.3;
        let shown = shot.shown();
        Parts {
            firing: match self {
                Self::SingleToken => shown.iter().map(single).collect(),
                Self::Default | Self::Contrastive | Self::MaxActLogits => shown
                    .iter()
                    .map(|shown| strong(shown, threshold, SCALE))
                    .collect(),
            },
            silent: match self {
                Self::Contrastive => shot.contrast().iter().map(silent).collect(),
                _ => Vec::new(),
            },
            promoted: match self {
                Self::MaxActLogits => shot.promoted(),
                _ => Vec::new(),
            },
        }
    }
}

/// A text with its strong tokens marked, and their activations below.
pub(crate) fn strong(shown: &Shown, threshold: f64, max: f32) -> String {
    let marks = render::strong(&shown.activations, threshold);
    let text = render::marked(&shown.tokens, &marks);
    let activations = render::activations(shown, &marks, max);
    format!("{text}\n{activations}")
}

/// A text with only its strongest token marked: the first of them, if there are several.
pub(crate) fn single(shown: &Shown) -> String {
    let peak = shown.peak();
    let at = shown.activations.iter().position(|&a| a == peak && a > 0.0);
    let marks: Vec<bool> = (0..shown.tokens.len())
        .map(|index| Some(index) == at)
        .collect();
    render::marked(&shown.tokens, &marks)
}

/// A text without marks.
pub(crate) fn silent(shown: &Shown) -> String {
    render::marked(&shown.tokens, &vec![false; shown.tokens.len()])
}

/// The conversation that asks for an explanation.
pub(crate) fn messages(style: Style, parts: &Parts, reasoning: bool) -> Vec<Message> {
    let mut system = format!("{TASK} {}\n\n{RULES}", style.material());
    if reasoning {
        system = format!("{system}\n\n{REASONING}");
    }
    let mut messages = vec![Message::system(system)];
    for shot in &SHOTS {
        messages.push(Message::user(question(&style.shot(shot))));
        let answer = format!("{MARKER} {}", shot.explanation);
        messages.push(Message::assistant(if reasoning {
            format!("{}\n{answer}", shot.reasoning)
        } else {
            answer
        }));
    }
    messages.push(Message::user(question(parts)));
    messages
}

/// What is shown of one latent.
fn question(parts: &Parts) -> String {
    let mut sections = vec![numbered("", &parts.firing)];
    if !parts.silent.is_empty() {
        sections.push(numbered(
            "Texts in which it does not fire:\n",
            &parts.silent,
        ));
    }
    if !parts.promoted.is_empty() {
        let tokens: Vec<String> = parts
            .promoted
            .iter()
            .map(|token| render::quoted(token))
            .collect();
        sections.push(format!(
            "Tokens that it makes likelier: {}",
            tokens.join(", ")
        ));
    }
    sections.join("\n\n")
}

fn numbered(title: &str, texts: &[String]) -> String {
    let lines: Vec<String> = (1..)
        .zip(texts)
        .map(|(number, text)| format!("Text {number}: {text}"))
        .collect();
    format!("{title}{}", lines.join("\n"))
}
