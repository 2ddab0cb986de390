//! What is sent, word for word. Where one of these changes, the version of the prompt grows.

use std::fmt::Write;

use latentd_domain::autointerp::{ExplainerKind, ExplainerSpec, ScorerKind};

use super::world;
use crate::{
    Call, Explainer, Message, Reply, Subject,
    call::Context,
    explainer::{self, Question},
};

fn spoken(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        writeln!(out, "[{:?}]\n{}\n", message.role, message.content).unwrap();
    }
    out
}

/// A call as it is sent.
fn written(call: &Call) -> String {
    match call {
        Call::Chat(chat) => {
            let schema = chat
                .schema
                .as_ref()
                .map_or("none".to_owned(), ToString::to_string);
            format!(
                "{}max_tokens {}, temperature {}, top_logprobs {}, schema {schema}",
                spoken(&chat.messages),
                chat.max_tokens,
                chat.temperature,
                chat.top_logprobs,
            )
        }
        Call::Complete(complete) => format!(
            "{}|\nstop {:?}, max_tokens {}, temperature {}",
            complete.prompt, complete.stop, complete.max_tokens, complete.temperature,
        ),
        Call::ScoreText(score) => {
            let context = match &score.context {
                Context::Text(text) => format!("{text}|"),
                Context::Chat(messages) => spoken(messages),
            };
            format!("{context}[scored, top {}]\n{}", score.top, score.text)
        }
        Call::Embed(embed) => embed.texts.join("\n---\n"),
    }
}

#[test]
fn explainers() {
    let kinds = [
        ExplainerKind::Default,
        ExplainerKind::SingleToken,
        ExplainerKind::Contrastive,
        ExplainerKind::MaxActLogits,
        ExplainerKind::TopTokens,
        ExplainerKind::Completion,
    ];
    for (kind, chain_of_thought) in kinds
        .map(|kind| (kind, false))
        .into_iter()
        .chain([(ExplainerKind::Default, true)])
    {
        let spec = ExplainerSpec {
            kind,
            provider: None,
            threshold: 0.3,
            chain_of_thought,
            temperature: 0.0,
            max_tokens: 500,
        };
        let explainer = explainer::from_spec(&spec).unwrap();
        let subject = world::subject(0, 3, 22);
        let question = explainer.plan(&subject).unwrap();
        let version = explainer.prompt_version();
        let name = version.replace('/', "_") + if chain_of_thought { "_reasoning" } else { "" };
        let text = format!(
            "{version}\n\n{}\n\nshown {:?}",
            said(explainer.as_ref(), &question, &subject),
            question
                .shown
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        );
        insta::assert_snapshot!(name, text);
    }
}

/// What an explainer asks, or what it says without asking.
fn said(explainer: &dyn Explainer, question: &Question, subject: &Subject) -> String {
    if question.calls.is_empty() {
        return explainer.read(subject, &[]).unwrap();
    }
    let label = Reply::Complete(" animals".to_owned());
    let replies = vec![label; question.calls.len()];
    let then = explainer.then(subject, &replies).unwrap_or_default();
    // The last of several pages is as far from the first as pages are.
    let calls = question
        .calls
        .first()
        .into_iter()
        .chain(question.calls.get(1..).and_then(<[Call]>::last));
    let calls: Vec<String> = calls.chain(&then).map(written).collect();
    calls.join("\n\n===\n\n")
}

#[test]
fn nobody_is_asked_for_what_exists() {
    for kind in [ExplainerKind::None, ExplainerKind::RandomBaseline] {
        let spec = ExplainerSpec {
            kind,
            provider: None,
            threshold: 0.3,
            chain_of_thought: false,
            temperature: 0.0,
            max_tokens: 500,
        };
        assert!(explainer::from_spec(&spec).is_none());
    }
}

#[test]
fn scorers() {
    for kind in ScorerKind::ALL {
        let scorer = world::scorer(kind, 5);
        let plan = scorer
            .plan(&world::subject(0, 3, 22), &world::explanation(0))
            .unwrap();
        let version = scorer.prompt_version();
        assert_eq!(version.split('/').next(), Some(kind.as_str()));
        let calls: Vec<String> = plan.calls.iter().take(2).map(written).collect();
        // The two halves of surprisal belong together; of the others one call tells all.
        let calls = if kind == ScorerKind::Surprisal {
            calls.join("\n\n===\n\n")
        } else {
            calls[0].clone()
        };
        let text = format!(
            "{version}, {} calls, {} rows\n\n{calls}",
            plan.calls.len(),
            plan.rows.len()
        );
        insta::assert_snapshot!(version.replace('/', "_"), text);
    }
}
