//! What the real model generates and thinks of given tokens, against transformers: see `tests/reference/generation.py`.

use latentd_domain::Dtype;
use latentd_nn::{
    Device, Extension, Model,
    logits::{Choice, Question},
    tokenizer::ChatMessage,
};
use serde_json::Value;

use crate::harness::{real, root};

/// Largest difference of a log-probability.
const TOLERANCE: f64 = 1e-4;

fn golden(name: &str) -> Value {
    let path = root().join("tests/golden/generation").join(name);
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

#[tokio::test]
async fn conversations_are_prompts_and_go_on_as_in_transformers() {
    let path = real::model().await.to_owned();
    let model = Model::load(&path, Dtype::F32, &Device::new(0).unwrap()).unwrap();
    let ask = |row, choice| Question {
        row,
        choice,
        top: 1,
        allowed: None,
    };
    let near = |found: f32, expected: &Value| {
        let difference = (f64::from(found) - expected.as_f64().unwrap()).abs();
        assert!(
            difference < TOLERANCE,
            "{found} where transformers has {expected}"
        );
    };
    let (chats, cases) = (golden("chat.json"), golden("models.json"));
    let cases = cases.as_array().unwrap().iter();
    let cases = cases.filter(|case| case["model"] == "smollm2-135m");
    let mut compared = 0;
    for (case, chat) in cases.zip(chats.as_array().unwrap()) {
        let messages = chat["messages"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = messages.map(|message| ChatMessage {
            role: text(&message[0]),
            content: text(&message[1]),
        });
        let messages: Vec<ChatMessage> = messages.collect();
        let prompt = model.tokenizer().chat(&messages, true).unwrap();
        assert_eq!(prompt, text(&chat["prompt"]));
        let prompt = model.tokenizer().encode_ids(&prompt, false).unwrap();
        assert_eq!(prompt, ids(&case["prompt"]));

        let generated = case["generated"].as_array().unwrap();
        let mut past = model.past(prompt.len() + generated.len());
        let mut questions: Vec<Question> = prompt[1..]
            .iter()
            .enumerate()
            .map(|(row, &id)| ask(row, Choice::Given(id)))
            .collect();
        questions.push(ask(prompt.len() - 1, Choice::Likeliest));
        let mut new = prompt.clone();
        for (step, chosen) in generated.iter().enumerate() {
            let mut extensions = [Extension {
                past: &mut past,
                ids: &new,
                questions: &questions,
            }];
            let answers = model.extend(&mut extensions).unwrap().remove(0);
            let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
            let next = answers.pop().unwrap();
            if step == 0 {
                for (answer, expected) in answers
                    .iter()
                    .zip(case["prompt_logprobs"].as_array().unwrap())
                {
                    near(answer.logprob, expected);
                }
            }
            assert_eq!(u64::from(next.id), chosen["id"].as_u64().unwrap());
            near(next.logprob, &chosen["logprob"]);
            new = vec![next.id];
            questions = vec![ask(0, Choice::Likeliest)];
            compared += 1;
        }
    }
    assert_eq!(compared, 48);
}
