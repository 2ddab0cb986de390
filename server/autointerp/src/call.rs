//! What is asked of language models and sentence encoders, and what they answer: independent of who is asked.

use serde::{Deserialize, Serialize};

use latentd_domain::autointerp::Usage;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The rules of the conversation.
    System,
    /// Who asks.
    User,
    /// Who answers: in examples of answers.
    Assistant,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// Rules.
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: Role::System,
            content: content.into(),
        }
    }

    /// A question.
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }

    /// An answer.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: content.into(),
        }
    }
}

/// A conversation without rules in a message of their own: they come before the first question.
pub fn folded(messages: &[Message]) -> Vec<Message> {
    match messages {
        [rules, question, rest @ ..]
            if rules.role == Role::System && question.role == Role::User =>
        {
            let first = Message::user(format!("{}\n\n{}", rules.content, question.content));
            [&[first], rest].concat()
        }
        [rules, rest @ ..] if rules.role == Role::System => {
            [&[Message::user(rules.content.clone())], rest].concat()
        }
        _ => messages.to_vec(),
    }
}

/// A conversation to be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chat {
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Sampling temperature; 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Longest answer, in tokens.
    pub max_tokens: u32,
    /// Seed of sampling.
    pub seed: u64,
    /// A JSON schema that the answer must follow, where the provider can hold it to one; others are told in words.
    pub schema: Option<serde_json::Value>,
    /// Alternatives to give for each token of the answer, with their log-probabilities, where the provider can; 0 for none.
    pub top_logprobs: u8,
}

/// A text to be continued, by a model that need not know conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complete {
    /// The text, behind the model's beginning-of-sequence token.
    pub prompt: String,
    /// The continuation ends before this text.
    pub stop: String,
    /// Sampling temperature; 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Longest continuation, in tokens.
    pub max_tokens: u32,
    /// Seed of sampling.
    pub seed: u64,
}

impl Complete {
    /// A continuation up to where it was to stop.
    pub fn cut(&self, text: &str) -> String {
        let end = text.find(&self.stop).filter(|_| !self.stop.is_empty());
        text.get(..end.unwrap_or(text.len()))
            .unwrap_or(text)
            .to_owned()
    }
}

/// A text whose tokens are to be given log-probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreText {
    /// What comes before; its own tokens are not reported.
    pub context: Context,
    /// The text. Its tokens are reported.
    pub text: String,
    /// Alternatives to give for each token; 0 for the token's own log-probability alone.
    pub top: u8,
}

/// What comes before a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// Text as it is, behind the model's beginning-of-sequence token.
    Text(String),
    /// A conversation, in the form of the model's chat template; the text begins the assistant's answer.
    Chat(Vec<Message>),
}

/// Texts to be embedded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embed {
    /// The texts.
    pub texts: Vec<String>,
}

/// One thing that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// An answer to a conversation.
    Chat(Chat),
    /// The continuation of a text.
    Complete(Complete),
    /// Log-probabilities of a text.
    ScoreText(ScoreText),
    /// Embeddings, by the sentence encoder and not by a provider.
    Embed(Embed),
}

/// A token and what the model thought of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Text of the token.
    pub token: String,
    /// Byte of the answer or the scored text at which it begins.
    pub offset: usize,
    /// Its log-probability, natural.
    pub logprob: f32,
    /// The likeliest tokens at this place with their log-probabilities, falling.
    pub top: Vec<(String, f32)>,
}

/// What comes back for a [`Call`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// An answer.
    Chat(Answer),
    /// The continuation of a text, without what it was to stop at.
    Complete(String),
    /// The tokens of a scored text.
    ScoreText(Vec<TokenLogprob>),
    /// An embedding for each text, of length 1.
    Embed(Vec<Vec<f32>>),
}

/// An answer to a conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Its tokens, where log-probabilities were asked for and given. Their offsets may lie outside the text: some endpoints
    /// report tokens that they then leave out.
    pub tokens: Vec<TokenLogprob>,
    /// The answer ended because it became too long.
    pub cut_off: bool,
    /// The model said that it will not answer, in the field for that.
    pub refusal: bool,
}

/// A reply and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchanged {
    /// What came back.
    pub reply: Reply,
    /// Tokens that it took.
    pub usage: Usage,
}

/// How much longer an answer may be when it is asked for again because it was cut off.
const MORE_ROOM: u32 = 4;
/// Longest answer that is ever asked for, in tokens.
pub const MAX_ANSWER: u32 = 1 << 17;

impl Call {
    /// The same question with more room for its answer; `None` if there is no more.
    pub fn with_more_room(&self) -> Option<Self> {
        let Self::Chat(chat) = self else {
            return None;
        };
        let max_tokens = chat.max_tokens.saturating_mul(MORE_ROOM).min(MAX_ANSWER);
        let chat = Chat {
            max_tokens,
            ..chat.clone()
        };
        (self.max_tokens() < max_tokens).then_some(Self::Chat(chat))
    }

    /// Longest answer, in tokens; 0 where nothing is generated.
    pub const fn max_tokens(&self) -> u32 {
        match self {
            Self::Chat(chat) => chat.max_tokens,
            Self::Complete(complete) => complete.max_tokens,
            Self::ScoreText(_) | Self::Embed(_) => 0,
        }
    }

    /// What tells this call to `identity` (endpoint and model) from every other: BLAKE3 of both, in hexadecimal.
    ///
    /// It is part of the database: equal calls have equal hashes in every version. The call is written as canonical JSON, with
    /// the fields in the order of their definition.
    pub fn hash(&self, identity: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"latentd exchange 1\0");
        hasher.update(identity.as_bytes());
        hasher.update(b"\0");
        // A call holds nothing that JSON cannot say.
        hasher.update(&serde_json::to_vec(self).unwrap_or_default());
        hasher.finalize().to_hex().to_string()
    }
}
