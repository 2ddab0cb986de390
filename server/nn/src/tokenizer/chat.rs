//! Chat templates: from the messages of a conversation to the one text that a model was trained to go on from.
//!
//! Templates are Jinja, rendered as transformers does it (`utils/chat_template_utils.py`): blocks trimmed, Python's methods on
//! strings and lists, `raise_exception`, `strftime_now`. The clock of the latter stands still, so that a conversation has the
//! same tokens whenever it is held.

use std::{path::Path, sync::Arc};

use minijinja::{
    AutoEscape, Environment, ErrorKind, Value, context,
    machinery::{self, CompiledTemplate, TemplateConfig},
    syntax::SyntaxConfig,
};
use serde::{Deserialize, Serialize as _};
use serde_json::Value as Json;

use super::{
    definition::MAX_BYTES,
    meter::{self, Allowance},
};

/// Longest template that is read. Those with tools have some 10 KB.
const MAX_TEMPLATE: u64 = 1 << 20;

/// Name of a template in messages.
const NAME: &str = "chat";

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who says it: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// A conversation that cannot be written as a model's prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The model has no chat template: it was not trained to hold conversations.
    #[error("the model has no chat template")]
    NoTemplate,
    /// The template is malformed, or refuses the conversation.
    #[error("the model's chat template cannot be used: {detail}")]
    Template {
        /// What the template or its parser says.
        detail: String,
    },
}

/// A template that was parsed once and is sound.
#[derive(Debug)]
pub(super) struct ChatTemplate {
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Parses a template; `special` are the texts of beginning and end of sequence.
    pub(super) fn parse(source: String, special: [Option<String>; 2]) -> Result<Self, ChatError> {
        compile(&source)?;
        let [bos, eos] = special.map(Option::unwrap_or_default);
        Ok(Self { source, bos, eos })
    }

    fn environment(&self, allowance: &Allowance) -> Environment<'static> {
        let mut environment = Environment::new();
        environment.add_function("raise_exception", refused);
        environment.add_function("strftime_now", date);
        let paid = allowance.clone();
        environment.add_filter("tojson", move |value: Value| to_json(&value, &paid));
        environment.add_global("bos_token", self.bos.as_str());
        environment.add_global("eos_token", self.eos.as_str());
        meter::install(&mut environment, allowance);
        environment
    }

    /// The prompt; with `add_generation_prompt` it ends where the answer begins.
    pub(super) fn render(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let allowance = Allowance::new();
        let mut template = compile(&self.source)?;
        let mut environment = self.environment(&allowance);
        environment.set_fuel(Some(meter::fuel(&template)));
        meter::meter(&mut template);
        let message = |message: &ChatMessage| {
            Value::from_pairs([
                ("role", message.role.as_str()),
                ("content", message.content.as_str()),
            ])
        };
        let messages: Value = messages.iter().map(message).collect();
        let given = context! { messages, add_generation_prompt };
        let mut prompt = String::new();
        let done = machinery::eval(
            &environment,
            &template.instructions,
            given,
            &template.blocks,
            &mut machinery::make_string_output(&mut prompt),
            AutoEscape::None,
        );
        match done {
            Ok(_) => {}
            Err(_) if allowance.is_spent() => return Err(failed(meter::spent())),
            Err(error) => return Err(failed(error)),
        }
        Ok(prompt)
    }
}

/// Reads a template as transformers does.
fn compile(source: &str) -> Result<CompiledTemplate<'_>, ChatError> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(failed)?;
    let config = TemplateConfig {
        syntax_config: syntax,
        default_auto_escape: Arc::new(|_| AutoEscape::None),
    };
    CompiledTemplate::new(NAME, source, &config).map_err(failed)
}

fn failed(error: minijinja::Error) -> ChatError {
    // `raise_exception` speaks of the conversation; the place in the template is of interest only for other errors.
    let detail = match (error.kind(), error.detail()) {
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_owned(),
        _ => error.to_string(),
    };
    ChatError::Template { detail }
}

fn refused(message: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

/// JSON as Python's `json.dumps` writes it, without escapes for HTML.
fn to_json(value: &Value, allowance: &Allowance) -> Result<Value, minijinja::Error> {
    let unfit = |error: serde_json::Error| {
        minijinja::Error::new(ErrorKind::BadSerialization, error.to_string())
    };
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(allowance.writer(&mut out), Spaced);
    value.serialize(&mut writer).map_err(unfit)?;
    Ok(String::from_utf8_lossy(&out).into_owned().into())
}

/// A space behind commas and colons.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The day on which every conversation is held, Friday 26 July 2024 at midnight: the one that Llama's templates fall back to.
fn date(format: &str) -> String {
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('Y') => out.push_str("2024"),
            Some('y') => out.push_str("24"),
            Some('m') => out.push_str("07"),
            Some('d' | 'e') => out.push_str("26"),
            Some('B') => out.push_str("July"),
            Some('b' | 'h') => out.push_str("Jul"),
            Some('A') => out.push_str("Friday"),
            Some('a') => out.push_str("Fri"),
            Some('j') => out.push_str("208"),
            Some('F') => out.push_str("2024-07-26"),
            Some('T') => out.push_str("00:00:00"),
            Some('I') => out.push_str("12"),
            Some('p') => out.push_str("AM"),
            Some('H' | 'M' | 'S') => out.push_str("00"),
            Some('Z' | 'z') => {}
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}

/// The field of `tokenizer_config.json` that matters here.
#[derive(Deserialize)]
struct Config {
    chat_template: Option<Json>,
}

/// The template of the tokenizer at `path`: in `chat_template.jinja` beside it, else in `tokenizer_config.json`.
pub(super) fn beside(path: &Path) -> Result<String, ChatError> {
    if let Some(template) = file_beside(path, "chat_template.jinja", MAX_TEMPLATE)? {
        return Ok(template);
    }
    let config = file_beside(path, "tokenizer_config.json", MAX_BYTES)?;
    let text = config.ok_or(ChatError::NoTemplate)?;
    let config: Config = serde_json::from_str(&text).map_err(unreadable)?;
    config
        .chat_template
        .and_then(one_template)
        .ok_or(ChatError::NoTemplate)
}

/// A template, or the default one of several that have names.
fn one_template(value: Json) -> Option<String> {
    match value {
        Json::String(template) => Some(template),
        Json::Array(named) => {
            let default = named
                .into_iter()
                .find(|one| one.get("name").and_then(Json::as_str) == Some("default"))?;
            Some(default.get("template")?.as_str()?.to_owned())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

/// The text of the file called `name` beside the tokenizer at `path`, if there is one.
fn file_beside(path: &Path, name: &str, limit: u64) -> Result<Option<String>, ChatError> {
    latentd_files::read_text_if_present(&path.with_file_name(name), limit).map_err(|error| {
        ChatError::Template {
            detail: format!("{name}: {error}"),
        }
    })
}

fn unreadable(error: impl std::error::Error) -> ChatError {
    ChatError::Template {
        detail: error.to_string(),
    }
}

/// The tokens that `generation_config.json` beside the tokenizer at `path` names as ends of an answer: one id or several.
pub(super) fn ends_beside(path: &Path) -> Vec<u32> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        eos_token_id: Option<OneOrMore>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(u32),
        More(Vec<u32>),
    }
    let read = || {
        let text = file_beside(path, "generation_config.json", MAX_BYTES).ok()??;
        serde_json::from_str::<Config>(&text).ok()?.eos_token_id
    };
    match read() {
        Some(OneOrMore::One(id)) => vec![id],
        Some(OneOrMore::More(ids)) => ids,
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, content: &str) -> ChatMessage {
        ChatMessage {
            role: role.to_owned(),
            content: content.to_owned(),
        }
    }

    fn render(template: &str, messages: &[ChatMessage]) -> Result<String, ChatError> {
        let special = [Some("<s>".to_owned()), Some("</s>".to_owned())];
        ChatTemplate::parse(template.to_owned(), special)?.render(messages, true)
    }

    /// What transformers 5 makes of the same templates and messages; made by `tests/reference/generation.py`.
    #[test]
    fn prompts_are_those_of_transformers() {
        #[derive(Deserialize)]
        struct Case {
            template: String,
            messages: Vec<[String; 2]>,
            add_generation_prompt: bool,
            prompt: String,
        }
        let path = crate::weights::golden::path("generation/chat.json");
        let cases: Vec<Case> = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let messages: Vec<_> = case.messages.iter().map(|[r, c]| message(r, c)).collect();
            let special = [
                Some("<|im_start|>".to_owned()),
                Some("<|im_end|>".to_owned()),
            ];
            let template = ChatTemplate::parse(case.template.clone(), special).unwrap();
            assert_eq!(
                template
                    .render(&messages, case.add_generation_prompt)
                    .unwrap(),
                case.prompt,
                "{}",
                case.template
            );
        }
    }

    #[test]
    fn a_template_may_refuse() {
        let template = "{{ raise_exception('roles must alternate') }}";
        let refused = render(template, &[message("user", "x")]).unwrap_err();
        let detail = "roles must alternate".to_owned();
        assert_eq!(refused, ChatError::Template { detail });
        assert!(render("{% for %}", &[]).is_err());
        assert!(render("{{ messages[0].nothing.more }}", &[message("user", "x")]).is_err());
    }

    /// Each of these made gigabytes in few steps.
    #[test]
    fn a_template_that_makes_too_much_is_stopped() {
        let double = "{% for i in range(40) %}{% set ns.x = STEP %}{% endfor %}{{ ns.x }}";
        let steps = [
            "ns.x ~ ns.x",
            "ns.x + ns.x",
            "ns.x * 9000",
            "[ns.x, ns.x] | join",
            "''.join([ns.x, ns.x])",
            "ns.x | replace('a', 'aa')",
            "ns.x.replace('a', 'aaa')",
            "'{}{}'.format(ns.x, ns.x)",
            "ns.x | replace('', 'bb')",
            "[ns.x, ns.x] | tojson",
            "[ns.x, ns.x] | string",
        ];
        for step in steps {
            let template = format!("{{% set ns = namespace(x='a' * 100) %}}{double}");
            stopped(&template.replace("STEP", step));
        }
        stopped("{% set x = 'a' * 1000000 %}{% for i in range(9000) %}{{ x }}{% endfor %}");
        stopped(
            "{% set ns = namespace(x=['a' * 1000000]) %}{% for i in range(9000) %}\
             {% set ns.x = ns.x + [(ns.x | first)[1:]] %}{% endfor %}",
        );
        let raw = "raw".repeat(1 << 17);
        stopped(&format!(
            "{{% for i in range(9000) %}}{{% for j in range(9000) %}}{raw}{{% endfor %}}{{% endfor %}}"
        ));
        stopped("{{ '%999999999d' | format(1) }}");
    }

    #[track_caller]
    fn stopped(template: &str) {
        let refused = render(template, &[]).map(|prompt| prompt.len());
        let shown = template.get(..200).unwrap_or(template);
        assert!(
            matches!(refused, Err(ChatError::Template { .. })),
            "{shown}: {refused:?}"
        );
    }

    #[test]
    fn operators_are_those_of_jinja() {
        let cases = [
            ("{{ 1 + 2 * 3 }}", "7"),
            ("{{ 'a' ~ 1 ~ 'b' }}", "a1b"),
            ("{{ ('ab' * 3)[1:4] }}{{ 'abc'[::-1] }}", "babcba"),
            ("{{ ([1, 2] + [3])[1:] | join('-') }}", "2-3"),
            ("{{ 'a-b'.split('-') | list | length }}", "2"),
            ("{{ ['x', 'y'] | map('upper') | join }}", "XY"),
            ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
            ("{{ '%s and %d' | format('x', 3) }}", "x and 3"),
        ];
        for (template, text) in cases {
            assert_eq!(render(template, &[]).unwrap(), text, "{template}");
        }
    }

    #[test]
    fn the_clock_stands_still() {
        assert_eq!(
            render("{{ strftime_now('%d %b %Y, %A %H:%M') }}", &[]).unwrap(),
            "26 Jul 2024, Friday 00:00"
        );
        assert_eq!(date("%Q%"), "%Q%");
    }

    #[test]
    fn templates_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = folder.path().join("tokenizer.json");
        assert_eq!(beside(&tokenizer).unwrap_err(), ChatError::NoTemplate);
        let config = folder.path().join("tokenizer_config.json");
        let several = r#"{"chat_template": [{"name": "rag", "template": "a"}, {"name": "default", "template": "b"}]}"#;
        fs_err::write(&config, several).unwrap();
        assert_eq!(beside(&tokenizer).unwrap(), "b");
        fs_err::write(&config, r#"{"chat_template": "c"}"#).unwrap();
        assert_eq!(beside(&tokenizer).unwrap(), "c");
        fs_err::write(folder.path().join("chat_template.jinja"), "d").unwrap();
        assert_eq!(beside(&tokenizer).unwrap(), "d");
        assert!(ends_beside(&tokenizer).is_empty());
        let generation = folder.path().join("generation_config.json");
        fs_err::write(&generation, r#"{"eos_token_id": [3, 4]}"#).unwrap();
        assert_eq!(ends_beside(&tokenizer), [3, 4]);
        fs_err::write(&generation, r#"{"eos_token_id": 5}"#).unwrap();
        assert_eq!(ends_beside(&tokenizer), [5]);
    }
}
