//! An endpoint that can do everything, in the way of vLLM, with words for tokens.

use serde_json::{Value, json};

use super::{Answer, Request};

/// Answers what the endpoint is asked: a conversation with `text`, log-probabilities of given text with `thoughts` (the token
/// that is at a place first, then others), and what it can do as if it could do everything.
pub fn capable(
    request: &Request,
    text: impl FnOnce(&Request) -> String,
    thoughts: impl Fn(&[&str], usize) -> Vec<(String, f32)>,
) -> Answer {
    let asks = |field: &str| {
        request
            .body
            .get(field)
            .is_some_and(|value| !value.is_null())
    };
    if request.path.ends_with("/models") {
        let model = json!({ "id": "fake", "max_model_len": 8192 });
        return Answer::json(&json!({ "data": [model] }));
    }
    if asks("prompt_logprobs") {
        return prompt_logprobs(request, thoughts);
    }
    if asks("logprobs") {
        let token = json!({ "token": "1", "logprob": -0.1,
            "top_logprobs": [{ "token": "1", "logprob": -0.1 }, { "token": "0", "logprob": -2.5 }] });
        let choice = json!({ "message": { "content": text(request) }, "finish_reason": "stop",
            "logprobs": { "content": [token] } });
        return Answer::json(&json!({ "choices": [choice] }));
    }
    if request.question() == "Say hello." && asks("response_format") {
        return Answer::Chat(r#"{"number":1729}"#.to_owned());
    }
    if request.path.ends_with("/chat/completions") {
        return Answer::Chat(text(request));
    }
    if request.path.ends_with("/completions") {
        let choice = json!({ "text": format!(" {}", text(request)), "finish_reason": "stop" });
        return Answer::json(&json!({ "choices": [choice] }));
    }
    Answer::reply(404, "")
}

fn prompt_logprobs(
    request: &Request,
    thoughts: impl Fn(&[&str], usize) -> Vec<(String, f32)>,
) -> Answer {
    let prompt = match request.body.get("prompt").and_then(Value::as_str) {
        Some(prompt) => prompt.to_owned(),
        None => conversation(&request.body),
    };
    let words = words(&prompt);
    let place = |(index, _)| match index {
        0 => "null".to_owned(),
        _ => place(&thoughts(&words, index)),
    };
    let places: Vec<String> = words.iter().enumerate().map(place).collect();
    let (places, tokens) = (places.join(","), words.len());
    // Written by hand, because the order of the fields says which token is there.
    Answer::reply(
        200,
        if request.path.ends_with("/chat/completions") {
            format!(
                r#"{{"prompt_logprobs":[{places}],"choices":[],"usage":{{"prompt_tokens":{tokens},"completion_tokens":1}}}}"#
            )
        } else {
            format!(
                r#"{{"choices":[{{"text":"","prompt_logprobs":[{places}]}}],"usage":{{"prompt_tokens":{tokens},"completion_tokens":1}}}}"#
            )
        },
    )
}

fn place(thoughts: &[(String, f32)]) -> String {
    let thought = |(id, (token, logprob)): (usize, &(String, f32))| {
        let thought = json!({ "logprob": logprob, "rank": id + 1, "decoded_token": token });
        format!(r#""{}":{thought}"#, 1000 - id)
    };
    let thoughts: Vec<String> = thoughts.iter().enumerate().map(thought).collect();
    format!("{{{}}}", thoughts.join(","))
}

/// The conversation in a template of its own.
fn conversation(body: &Value) -> String {
    let messages = body.get("messages").and_then(Value::as_array);
    let content = |message: &Value| {
        let content = message.get("content").and_then(Value::as_str);
        format!("<|message|>{}", content.unwrap_or_default())
    };
    messages.into_iter().flatten().map(content).collect()
}

/// Tokens of a text: words with the space before them, and other white space one by one.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut begin = 0;
    for (at, character) in text.char_indices() {
        let after_space = text.get(begin..at) == Some(" ");
        let new = character.is_whitespace()
            || text
                .get(begin..at)
                .is_some_and(|word| word.ends_with(['\t', '\n', '>']));
        if new && at > begin && (!after_space || character.is_whitespace()) {
            words.extend(text.get(begin..at));
            begin = at;
        }
    }
    words.extend(text.get(begin..).filter(|word| !word.is_empty()));
    words
}
