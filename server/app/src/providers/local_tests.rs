//! A tiny model with a chat template, asked as jobs ask.

use std::path::{Path, PathBuf};

use latentd_autointerp::provider::Again::Never;
use latentd_engine::{Engine, Options};
use tempfile::TempDir;

use super::*;

const TEMPLATE: &str = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no rules') }}{% endif %}\
                        {{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/models/llama")
}

/// An engine with the tiny model as `plain`, and as `chat` with a template.
struct Bench {
    _engine: Engine,
    handle: Handle,
    folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let (engine, handle) = Engine::start(Options::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for entry in fs_err::read_dir(golden()).unwrap() {
            let entry = entry.unwrap();
            fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        fs_err::write(folder.path().join("chat_template.jinja"), TEMPLATE).unwrap();
        let load = |id: &str, path: PathBuf| handle.load_model(id.parse().unwrap(), path, None);
        load("plain", golden()).await.unwrap();
        load("chat", folder.path().to_owned()).await.unwrap();
        Self {
            _engine: engine,
            handle,
            folder,
        }
    }

    fn provider(&self, model: &str) -> LocalProvider {
        LocalProvider::new(&self.handle, model.parse().unwrap()).unwrap()
    }
}

fn chat(messages: Vec<Message>, max_tokens: u32) -> Call {
    Call::Chat(Chat {
        messages,
        temperature: 0.0,
        max_tokens,
        seed: 1,
        schema: None,
        top_logprobs: 3,
    })
}

fn text(context: Context, text: &str) -> Call {
    Call::ScoreText(ScoreText {
        context,
        text: text.to_owned(),
        top: 2,
    })
}

async fn answer(provider: &LocalProvider, call: &Call) -> Answer {
    match provider.call(call, "key").await.unwrap().reply {
        Reply::Chat(answer) => answer,
        other => panic!("{other:?}"),
    }
}

async fn scores(provider: &LocalProvider, call: &Call) -> Vec<TokenLogprob> {
    match provider.call(call, "key").await.unwrap().reply {
        Reply::ScoreText(tokens) => tokens,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_conversation_is_answered_and_its_answer_scored_alike() {
    let bench = Bench::start().await;
    let provider = bench.provider("chat");
    let digest = bench
        .handle
        .catalog()
        .models
        .values()
        .next()
        .unwrap()
        .info
        .digest
        .clone();
    assert_eq!(provider.identity(), format!("local {digest}"));
    let question = vec![Message::user("the cat")];
    let call = chat(question.clone(), 6);
    let first = answer(&provider, &call).await;
    assert!(first.cut_off && !first.refusal);
    assert_eq!(first.tokens.len(), 6);
    assert_eq!(answer(&provider, &call).await, first);
    // A text in the place of the answer has the log-probability that the answer's first place gave it.
    let likely = &first.tokens[0].top;
    let (spelled, logprob) = likely.iter().find(|(text, _)| text.is_ascii()).unwrap();
    let scored = scores(&provider, &text(Context::Chat(question), spelled)).await;
    assert_eq!((&scored[0].token, scored[0].offset), (spelled, 0));
    assert_eq!(scored[0].logprob, *logprob);
    // Rules that the template refuses come before the question.
    let rules = vec![Message::system("the cat"), Message::user("sat")];
    let folded = vec![Message::user("the cat\n\nsat")];
    assert_eq!(
        answer(&provider, &chat(rules, 4)).await,
        answer(&provider, &chat(folded, 4)).await
    );
}

#[tokio::test]
async fn an_answer_is_held_to_its_schema() {
    let bench = Bench::start().await;
    let provider = bench.provider("chat");
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "A": { "enum": [0, 1] }, "B": { "type": "integer", "minimum": 3, "maximum": 12 } },
        "required": ["A", "B"],
    });
    for seed in 0..8 {
        let call = Call::Chat(Chat {
            messages: vec![Message::user("the cat")],
            temperature: 1.0,
            max_tokens: 40,
            seed,
            schema: Some(schema.clone()),
            top_logprobs: 0,
        });
        let answer = answer(&provider, &call).await;
        assert!(!answer.cut_off, "{}", answer.text);
        let value: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        assert!(value["A"].as_u64().unwrap() < 2);
        assert!((3..=12).contains(&value["B"].as_u64().unwrap()));
    }
}

#[tokio::test]
async fn a_text_has_the_tokens_of_itself_and_what_comes_before() {
    let bench = Bench::start().await;
    let provider = bench.provider("plain");
    let of = async |before: &str, after: &str| {
        scores(&provider, &text(Context::Text(before.to_owned()), after)).await
    };
    let whole = of("", "the cat sat on the mat").await;
    assert_eq!(whole[0].offset, 0);
    assert!(
        whole
            .iter()
            .all(|token| token.logprob < 0.0 && token.top.len() == 2)
    );
    let end = of("the cat sat", " on the mat").await;
    assert_eq!(end.first().unwrap().offset, 0);
    let spelled: String = end.iter().map(|token| token.token.as_str()).collect();
    assert_eq!(spelled, " on the mat");
    let behind = &whole[whole.len() - end.len()..];
    for (a, b) in end.iter().zip(behind) {
        assert_eq!(
            (&a.token, a.logprob, a.offset + 11),
            (&b.token, b.logprob, b.offset)
        );
    }
    assert!(of("the cat", "").await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let bench = Bench::start().await;
    let refusal = async |provider: &LocalProvider, call: &Call| {
        let error = provider.call(call, "key").await.unwrap_err();
        (error.reason, error.again)
    };
    let question = vec![Message::user("the cat")];
    let plain = bench.provider("plain");
    let call = chat(question.clone(), 5);
    let lacks = (Reason::ProviderLacksCapability, Never);
    assert_eq!(refusal(&plain, &call).await, lacks);
    let embed = Call::Embed(latentd_autointerp::Embed { texts: Vec::new() });
    assert_eq!(refusal(&plain, &embed).await, lacks);
    let provider = bench.provider("chat");
    let long = chat(vec![Message::user("the cat ".repeat(100))], 5);
    assert_eq!(
        refusal(&provider, &long).await,
        (Reason::ProviderRejected, Never)
    );
    let capabilities = provider.probe().await.unwrap();
    assert!(capabilities.chat_logprobs && capabilities.prompt_logprobs && capabilities.json_schema);
    assert_eq!(capabilities.context_length, 64);
    // Other weights under the same name are another model.
    let model: ModelId = "chat".parse().unwrap();
    bench.handle.unload_model(&model, true).await.unwrap();
    let gone = (Reason::ProviderNotFound, Never);
    assert_eq!(refusal(&provider, &call).await, gone);
    let other = golden().with_file_name("gpt2");
    bench
        .handle
        .load_model(model.clone(), other, None)
        .await
        .unwrap();
    assert_eq!(refusal(&provider, &call).await, gone);
    bench.handle.unload_model(&model, true).await.unwrap();
    let path = bench.folder.path().to_owned();
    bench.handle.load_model(model, path, None).await.unwrap();
    assert!(!answer(&provider, &call).await.tokens.is_empty());
}
