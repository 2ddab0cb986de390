//! A provider that knows the world: it believes the explanation that it is given, and judges by that alone.

use crate::{
    Call, Chat, Embed, Message, Reply, ScoreText,
    call::{Answer, Context, TokenLogprob},
    render,
};

use super::world::WORDS;

/// Answers as somebody who takes the explanation for the truth.
pub(super) fn answer(call: &Call) -> Reply {
    match call {
        Call::Chat(chat) => Reply::Chat(Answer {
            text: chat_answer(chat),
            ..Answer::default()
        }),
        Call::Complete(complete) => {
            let words = complete.prompt.rsplit("Words: ").next().unwrap();
            let first = words.split([',', '\n']).next().unwrap();
            Reply::Complete(format!(" The word \"{first}\"."))
        }
        Call::ScoreText(score) => Reply::ScoreText(scored(score)),
        Call::Embed(embed) => Reply::Embed(embedded(embed)),
    }
}

/// The word that an explanation names, in quotes.
fn word(explanation: &str) -> String {
    let quoted = explanation.split('"').nth(1).unwrap_or_default();
    format!(" {quoted}")
}

/// The texts that a message asks about.
fn texts(message: &Message) -> Vec<&str> {
    let lines = message
        .content
        .lines()
        .filter(|line| line.starts_with("Text "));
    lines.map(|line| line.split_once(": ").unwrap().1).collect()
}

fn chat_answer(chat: &Chat) -> String {
    let system = &chat.messages[0].content;
    let question = chat.messages.last().unwrap();
    if system.contains("does not belong") {
        return intruder(&texts(question));
    }
    if question.content.starts_with('{') {
        return json(&question.content);
    }
    let explanation = question.content.lines().next().unwrap();
    let word = word(explanation);
    let answers: Vec<&str> = texts(question)
        .into_iter()
        .map(|text| {
            let yes = if system.contains("<<") {
                marks(text)
                    .iter()
                    .all(|mark| mark.replace(&word, "").is_empty())
            } else {
                render::read_line(text).contains(&word)
            };
            if yes { "yes" } else { "no" }
        })
        .collect();
    format!("Here you are: [{}].", answers.join(", "))
}

/// The marked parts of a text.
fn marks(text: &str) -> Vec<String> {
    let read = render::read_marked(text).unwrap();
    let parts = read.marks.into_iter();
    parts.map(|part| read.text[part].to_owned()).collect()
}

/// Names the text whose marks the fewest others share.
fn intruder(texts: &[&str]) -> String {
    let first = |text: &&str| marks(text).into_iter().next();
    let shared = |at: usize| {
        texts
            .iter()
            .filter(|text| first(text) == first(&texts[at]))
            .count()
    };
    let at = (0..texts.len()).min_by_key(|&at| shared(at)).unwrap();
    format!("The intruder is text {}.", at + 1)
}

/// Fills in the values of a question in JSON.
fn json(question: &str) -> String {
    let question: serde_json::Value = serde_json::from_str(question).unwrap();
    let word = word(question["explanation"].as_str().unwrap());
    let values: Vec<String> = question["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| {
            if token["token"] == word.as_str() {
                "9"
            } else {
                "0"
            }
            .to_owned()
        })
        .collect();
    format!("```json\n{{\"tokens\": [{}]}}\n```", values.join(", "))
}

/// Log-probabilities of a text: a table's hidden values, or words that the page speaks of.
fn scored(score: &ScoreText) -> Vec<TokenLogprob> {
    let (explanation, table) = match &score.context {
        Context::Chat(messages) => (messages.last().unwrap().content.as_str(), true),
        Context::Text(page) => (page.rsplit("Description: ").next().unwrap(), false),
    };
    let word = word(explanation);
    let mut tokens = Vec::new();
    let mut last = "";
    let mut offset = 0;
    for part in score.text.split_inclusive([' ', '\t', '\n']) {
        let digit = if table && last.trim_end() == word.trim_start() {
            "9"
        } else {
            "0"
        };
        let foreseen = !table && part.trim() == word.trim();
        tokens.push(TokenLogprob {
            token: part.to_owned(),
            offset,
            logprob: if foreseen { -1.0 } else { -4.0 },
            top: vec![("unknown".to_owned(), -0.5), (digit.to_owned(), -1.5)],
        });
        offset += part.len();
        last = part;
    }
    tokens
}

/// A direction for each word, and one for all else.
fn embedded(embed: &Embed) -> Vec<Vec<f32>> {
    let one = |text: &String| {
        let mut counts: Vec<f32> = WORDS
            .iter()
            .map(|word| text.matches(word.trim()).count() as f32)
            .collect();
        counts.push(1.0);
        let norm = counts.iter().map(|c| c * c).sum::<f32>().sqrt();
        counts.into_iter().map(|c| c / norm).collect()
    };
    embed.texts.iter().map(one).collect()
}
