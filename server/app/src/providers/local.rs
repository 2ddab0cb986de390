//! A language model that is resident in this server, asked like any other provider: jobs run with no other service.
//!
//! Conversations take the form of the model's chat template. Everything goes on the engine's bulk lane, where calls share steps,
//! and what their prompts begin with alike is computed once.

use std::{fmt, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use latentd_autointerp::{
    Call, Chat, Message, Reply, Role, ScoreText,
    call::{Answer, Complete, Context, Exchanged, TokenLogprob, folded},
    provider::{CallError, Provider},
};
use latentd_domain::{
    HasReason, ModelId, ModelKind, Reason,
    autointerp::{Capabilities, Refused, Usage},
};
use latentd_engine::{
    ChatError, ChatMessage, Error, Finish, Form, GenerateOutput, GenerateWork, Handle, Lane,
    ModelEntry, Sampling, ScoreSequence, ScoreTokensWork, TokenScore, Tokenizer,
};
use tokio::task::spawn_blocking;

/// How long a call waits where the device has too much to do.
const BUSY: Duration = Duration::from_secs(1);

/// A resident language model.
pub(crate) struct LocalProvider {
    engine: Handle,
    model: ModelId,
    /// `model`, as text.
    name: String,
    identity: String,
}

/// How an answer is to be written.
struct Asked {
    /// Longest answer, in tokens.
    max_tokens: u32,
    temperature: f64,
    seed: u64,
    form: Option<Form>,
    top_logprobs: u8,
}

impl fmt::Debug for LocalProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProvider")
            .field("model", &self.model)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl LocalProvider {
    /// The model `model` as it is resident now. Its calls are those of its weights, wherever they were loaded from.
    pub(crate) fn new(engine: &Handle, model: ModelId) -> Result<Self, Error> {
        let entry = resident(engine, &model)?;
        Ok(Self {
            engine: engine.clone(),
            identity: identity(&entry),
            name: model.to_string(),
            model,
        })
    }

    /// The model, if it still is the one that was meant.
    fn entry(&self) -> Result<Arc<ModelEntry>, CallError> {
        let entry = resident(&self.engine, &self.model).map_err(|error| failed(&error))?;
        if identity(&entry) == self.identity {
            return Ok(entry);
        }
        Err(CallError::never(
            Reason::ProviderNotFound,
            format!("other weights are loaded as `{}` now", self.model),
        ))
    }

    async fn chat(&self, chat: &Chat) -> Result<Exchanged, CallError> {
        let entry = self.entry()?;
        let messages = chat.messages.clone();
        let prompt = on(&entry, move |tokenizer| {
            let prompt = conversation(tokenizer, &messages)?;
            tokenizer.encode_ids(&prompt, false).map_err(refused)
        })
        .await?;
        let asked = Asked {
            max_tokens: chat.max_tokens,
            temperature: chat.temperature,
            seed: chat.seed,
            // The prompt says in words what a schema says that answers cannot be held to.
            form: chat
                .schema
                .as_ref()
                .and_then(|schema| Form::of_schema(schema).ok()),
            top_logprobs: chat.top_logprobs,
        };
        let (output, usage) = self.generate(&entry, prompt, asked).await?;
        let cut_off = output.finish == Finish::Length;
        let wants_tokens = chat.top_logprobs > 0;
        let (text, tokens) = on(&entry, move |tokenizer| {
            let text = tokenizer.decode(&output.ids).map_err(refused)?;
            let tokens = if wants_tokens {
                of_answer(tokenizer, &text, &output.ids, output.scores)
            } else {
                Vec::new()
            };
            Ok((text, tokens))
        })
        .await?;
        let answer = Answer {
            text,
            tokens,
            cut_off,
            refusal: false,
        };
        Ok(Exchanged {
            reply: Reply::Chat(answer),
            usage,
        })
    }

    async fn complete(&self, complete: &Complete) -> Result<Exchanged, CallError> {
        let entry = self.entry()?;
        let text = complete.prompt.clone();
        let prompt = on(&entry, move |tokenizer| {
            tokenizer.encode_ids(&text, true).map_err(refused)
        })
        .await?;
        let asked = Asked {
            max_tokens: complete.max_tokens,
            temperature: complete.temperature,
            seed: complete.seed,
            form: None,
            top_logprobs: 0,
        };
        let (output, usage) = self.generate(&entry, prompt, asked).await?;
        let text = on(&entry, move |tokenizer| {
            tokenizer.decode(&output.ids).map_err(refused)
        })
        .await?;
        Ok(Exchanged {
            reply: Reply::Complete(complete.cut(&text)),
            usage,
        })
    }

    /// Goes on from a prompt, and says what that took.
    async fn generate(
        &self,
        entry: &ModelEntry,
        prompt: Vec<u32>,
        asked: Asked,
    ) -> Result<(GenerateOutput, Usage), CallError> {
        let prompt_tokens = prompt.len() as u64;
        let work = GenerateWork {
            model: self.model.clone(),
            prompt,
            max_new_tokens: asked.max_tokens as usize,
            sampling: Sampling {
                temperature: asked.temperature as f32,
                top_p: 1.0,
                seed: asked.seed,
            },
            stop: entry.tokenizer.ends().to_vec(),
            form: asked.form,
            top_logprobs: usize::from(asked.top_logprobs),
            lane: Lane::Bulk,
            deadline: None,
        };
        let output = self.engine.generate(work).await;
        let output = output.map_err(|error| failed(&error))?;
        let usage = Usage {
            prompt_tokens,
            completion_tokens: output.ids.len() as u64,
        };
        Ok((output, usage))
    }

    async fn score_text(&self, score: &ScoreText) -> Result<Exchanged, CallError> {
        let entry = self.entry()?;
        let asked = score.clone();
        let Scored { ids, from, offsets } =
            on(&entry, move |tokenizer| scored(tokenizer, &asked)).await?;
        let usage = Usage {
            prompt_tokens: ids.len() as u64,
            completion_tokens: 0,
        };
        let text_ids = ids.get(from..).unwrap_or_default().to_vec();
        if text_ids.is_empty() {
            return Ok(Exchanged {
                reply: Reply::ScoreText(Vec::new()),
                usage: Usage::default(),
            });
        }
        let work = ScoreTokensWork {
            model: self.model.clone(),
            sequences: vec![ScoreSequence { ids, from }],
            top: usize::from(score.top),
            lane: Lane::Bulk,
            deadline: None,
        };
        let output = self.engine.score_tokens(work).await;
        let mut output = output.map_err(|error| failed(&error))?;
        let scores = output.scores.pop().unwrap_or_default();
        let texts = entry.tokenizer.token_texts(&text_ids);
        let tokens = texts
            .into_iter()
            .zip(offsets)
            .zip(scores)
            .map(|((text, offset), score)| token(&entry.tokenizer, text, (offset, score)))
            .collect();
        Ok(Exchanged {
            reply: Reply::ScoreText(tokens),
            usage,
        })
    }
}

impl Provider for LocalProvider {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn model(&self) -> &str {
        &self.name
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        _key: &'a str,
    ) -> BoxFuture<'a, Result<Exchanged, CallError>> {
        async move {
            match call {
                Call::Chat(chat) => self.chat(chat).await,
                Call::Complete(complete) => self.complete(complete).await,
                Call::ScoreText(score) => self.score_text(score).await,
                Call::Embed(_) => Err(CallError::never(
                    Reason::ProviderLacksCapability,
                    "a language model gives no embeddings; a sentence encoder does",
                )),
            }
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Capabilities, CallError>> {
        async move {
            let entry = self.entry()?;
            Ok(Capabilities {
                json_schema: true,
                chat_logprobs: true,
                prompt_logprobs: true,
                context_length: u32::try_from(entry.info.context_length).unwrap_or(u32::MAX),
                refused: Refused::default(),
            })
        }
        .boxed()
    }
}

/// The language model `model`, if it is resident.
fn resident(engine: &Handle, model: &ModelId) -> Result<Arc<ModelEntry>, Error> {
    let entry = engine.catalog().models.get(model).cloned();
    let entry = entry.ok_or_else(|| Error::UnknownModel {
        model: model.clone(),
    })?;
    entry.must_be(ModelKind::Language)?;
    Ok(entry)
}

fn identity(entry: &ModelEntry) -> String {
    format!("local {}", entry.info.digest)
}

/// Runs `work` with the model's tokenizer on a thread that may block.
async fn on<T: Send + 'static>(
    entry: &Arc<ModelEntry>,
    work: impl FnOnce(&Tokenizer) -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    let tokenizer = Arc::clone(&entry.tokenizer);
    let done = spawn_blocking(move || work(&tokenizer)).await;
    done.unwrap_or_else(|error| Err(CallError::never(Reason::Internal, error.to_string())))
}

/// A text that the tokenizer cannot read.
fn refused(error: impl HasReason) -> CallError {
    CallError::never(error.reason(), error.to_string())
}

/// The prompt of a conversation that the model is to answer. Where a template refuses rules of their own, they come before the
/// first question.
fn conversation(tokenizer: &Tokenizer, messages: &[Message]) -> Result<String, CallError> {
    let role = |role| match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let one = |message: &Message| ChatMessage {
        role: role(message.role).to_owned(),
        content: message.content.clone(),
    };
    let prompt = |messages: &[Message]| {
        let all: Vec<ChatMessage> = messages.iter().map(one).collect();
        tokenizer.chat(&all, true)
    };
    let made = prompt(messages).or_else(|error| prompt(&folded(messages)).map_err(|_| error));
    made.map_err(|error| {
        let reason = match error {
            ChatError::NoTemplate => Reason::ProviderLacksCapability,
            ChatError::Template { .. } => Reason::ProviderRejected,
        };
        CallError::never(reason, error.to_string())
    })
}

/// A text in its context, as tokens.
struct Scored {
    ids: Vec<u32>,
    /// The first token of the text.
    from: usize,
    /// For each token of the text the byte of it at which the token begins.
    offsets: Vec<usize>,
}

/// The tokens of a text behind its context. Behind text they are those of both together, for no model has seen text cut
/// anywhere; behind a conversation those of an answer, which begins where the prompt ends.
fn scored(
    tokenizer: &Tokenizer,
    ScoreText { context, text, .. }: &ScoreText,
) -> Result<Scored, CallError> {
    let (mut ids, tokens, cut) = match context {
        Context::Text(before) => {
            let whole = tokenizer.encode(&format!("{before}{text}"), true);
            (Vec::new(), whole.map_err(refused)?, before.len())
        }
        Context::Chat(messages) => {
            let before = conversation(tokenizer, messages)?;
            let before = tokenizer.encode_ids(&before, false).map_err(refused)?;
            let text = tokenizer.encode(text, false).map_err(refused)?;
            (before, text, 0)
        }
    };
    // A token that begins in the context and ends in the text is the text's.
    let is_of_text = |&end: &u32| end as usize > cut;
    let first = tokens.byte_ends.iter().position(is_of_text);
    let first = first.unwrap_or(tokens.ids.len());
    let mut from = ids.len() + first;
    ids.extend(&tokens.ids);
    if from == 0 {
        // Something must come before the first token: where there is no beginning of sequence, the end of the one before.
        let missing = "the model has no token that the first one could come after";
        let eos = tokenizer
            .eos()
            .ok_or_else(|| CallError::never(Reason::ProviderLacksCapability, missing))?;
        ids.insert(0, eos);
        from = 1;
    }
    let starts = tokens.byte_starts.iter().skip(first);
    let offsets = starts.map(|&start| (start as usize).saturating_sub(cut));
    Ok(Scored {
        ids,
        from,
        offsets: offsets.collect(),
    })
}

/// The tokens of an answer, each with the byte of its text at which it begins.
fn of_answer(
    tokenizer: &Tokenizer,
    text: &str,
    ids: &[u32],
    scores: Vec<TokenScore>,
) -> Vec<TokenLogprob> {
    let begins = |count: usize| {
        // A front that ends inside a character ends in a replacement for it, and so where the character begins.
        let front = tokenizer.decode(ids.get(..count).unwrap_or_default());
        let front = front.unwrap_or_default();
        let same = front.bytes().zip(text.bytes());
        same.take_while(|(a, b)| a == b).count()
    };
    let texts = tokenizer.token_texts(ids).into_iter();
    texts
        .zip(scores)
        .enumerate()
        .map(|(place, (text, score))| token(tokenizer, text, (begins(place), score)))
        .collect()
}

/// A token in a text, by its own text there and the byte at which it begins. What else could have come stands by itself.
fn token(
    tokenizer: &Tokenizer,
    token: String,
    (offset, score): (usize, TokenScore),
) -> TokenLogprob {
    let text = |id| tokenizer.token_text(id).to_owned();
    TokenLogprob {
        token,
        offset,
        logprob: score.logprob,
        top: score.top.into_iter().map(|(id, p)| (text(id), p)).collect(),
    }
}

/// What becomes of a call that the engine did not answer.
fn failed(error: &Error) -> CallError {
    let detail = error.to_string();
    match error.reason() {
        reason @ (Reason::QueueFull | Reason::ShuttingDown | Reason::EngineUnavailable) => {
            CallError::after(reason, detail, BUSY)
        }
        Reason::UnknownModel | Reason::WrongModelKind => {
            CallError::never(Reason::ProviderNotFound, detail)
        }
        Reason::PromptTooLong | Reason::UnknownToken | Reason::EmptyBatch => {
            CallError::never(Reason::ProviderRejected, detail)
        }
        Reason::DeadlineExceeded => CallError::soon(Reason::ProviderTimeout, detail),
        reason => CallError::never(reason, detail),
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
