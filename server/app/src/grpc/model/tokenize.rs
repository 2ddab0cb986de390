//! Tokenize: the tokens that Encode would see. On its own threads, never behind the device.

use latentd_domain::{ModelId, Reason};
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{blocking_until, convert, error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    context: Context,
    request: pb::TokenizeRequest,
) -> Result<pb::TokenizeResponse, Error> {
    let id = parse(&request, app.config.limits.max_prompts)?;
    let entry = residency::model(&app, &id)?;
    let has_bos = entry.tokenizer.bos().is_some();
    if request.prepend_bos == Some(true) && !has_bos {
        let mut violations = Violations::default();
        violations.invalid(
            "prepend_bos",
            format!("{id} has no beginning-of-sequence token"),
        );
        violations.check()?;
    }
    let prepend_bos = request.prepend_bos.unwrap_or(has_bos);
    let max_tokens = app.config.limits.max_tokens;
    blocking_until(context.deadline, move |interrupt| {
        let tokenizer = &entry.tokenizer;
        let mut left = max_tokens;
        let tokenize = |text: &String| {
            let sequence = tokenizer
                .encode_up_to(text, prepend_bos, left, interrupt)
                .map_err(|error| Error::from_reason(&error))?;
            left = left
                .checked_sub(sequence.ids.len())
                .ok_or_else(|| too_many(max_tokens))?;
            Ok(convert::token_sequence(tokenizer, sequence))
        };
        let sequences = request
            .texts
            .iter()
            .map(tokenize)
            .collect::<Result<_, Error>>()?;
        Ok(pb::TokenizeResponse { sequences })
    })
    .await
}

fn too_many(max_tokens: usize) -> Error {
    let message = format!("the texts have more than max_tokens, {max_tokens} tokens");
    Error::new(Reason::BatchTooLarge, message)
}

fn parse(request: &pb::TokenizeRequest, max_prompts: usize) -> Result<ModelId, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    violations.at_most(
        "texts",
        request.texts.len() as u64,
        (max_prompts as u64, "max_prompts"),
    );
    violations.finish(id)
}
