//! What an Encode asks for, read from its message and then from its texts: everything that can be wrong is found before
//! anything is queued.

use std::time::Instant;

use latentd_domain::{ModelId, Reason, SaeName, Scale, Selection, SpecialTokens};
use latentd_engine::{ComputeError, EncodeWork, Lane, ModelEntry, Sequence, Tokenizer};
use latentd_files::Interrupt;
use latentd_proto::v1::{self as pb, encode_request::Selection as PbSelection, prompt::Content};

use crate::{
    app::App,
    config::Limits,
    grpc::{
        convert,
        error::Error,
        latents::{check_known, check_set},
        parse::{Violations, listed},
    },
    residency::{self, Residents},
};

/// Field of a set of latents.
const LATENTS: &str = "latents.latents";

/// A parsed Encode.
#[derive(Debug)]
pub(super) struct Parsed {
    prompts: Vec<Content>,
    model: ModelId,
    pub(super) saes: Vec<SaeName>,
    prepend_bos: Option<bool>,
    special_tokens: SpecialTokens,
    selection: Selection,
    pub(super) scale: Scale,
    /// Whether the arrays of the reply are wanted as bytes.
    pub(super) packed: bool,
}

/// An Encode that is ready for the device, with the part of the reply that is known before.
pub(super) struct Prepared {
    pub(super) work: EncodeWork,
    pub(super) prompts: Vec<pb::EncodedPrompt>,
}

impl Parsed {
    /// Reads the message; `limits` bound it.
    pub(super) fn of(request: pb::EncodeRequest, limits: &Limits) -> Result<Self, Error> {
        let mut violations = Violations::default();
        let saes: Vec<SaeName> = violations.names("saes", &request.saes);
        if request.saes.is_empty() {
            violations.add("saes", Reason::EmptyBatch, "at least one SAE is needed");
        }
        let max_saes = (limits.max_saes as u64, "max_saes");
        violations.at_most("saes", request.saes.len() as u64, max_saes);
        let model = saes.first().map(|sae| sae.model().clone());
        for (index, sae) in saes.iter().enumerate() {
            if Some(sae.model()) != model.as_ref() {
                let description = format!("{sae:#} is of another model than the first SAE");
                violations.invalid(format!("saes[{index}]"), description);
            }
        }
        if request.prompts.is_empty() {
            violations.add(
                "prompts",
                Reason::EmptyBatch,
                "at least one prompt is needed",
            );
        }
        let max_prompts = (limits.max_prompts as u64, "max_prompts");
        violations.at_most("prompts", request.prompts.len() as u64, max_prompts);
        let prompts = request.prompts.into_iter().enumerate();
        let prompts = prompts.filter_map(|(index, prompt)| content(&mut violations, index, prompt));
        let prompts: Vec<Content> = prompts.collect();
        let special_tokens = violations.special_tokens("special_tokens", request.special_tokens);
        let selection = selection(&mut violations, request.selection, limits);
        let scale = violations.scale("scale", request.scale);
        let prepend_bos = request.prepend_bos;
        violations.finish(model.map(|model| Self {
            prompts,
            model,
            saes,
            prepend_bos,
            special_tokens,
            selection,
            scale,
            packed: request.packed,
        }))
    }

    /// Looks up what is resident, and checks the latents against it.
    pub(super) fn residents(&self, app: &App) -> Result<Residents, Error> {
        let residents = residency::residents(app, &self.saes)?;
        if let Selection::Latents(latents) = &self.selection {
            for sae in &residents.saes {
                check_known(LATENTS, latents, &sae.name, sae.info.d_sae)?;
            }
        }
        Ok(residents)
    }

    /// Turns texts into tokens and checks them. Blocks.
    pub(super) fn prepare(
        self,
        residents: &Residents,
        limits: &Limits,
        deadline: Option<Instant>,
        interrupt: &Interrupt,
    ) -> Result<Prepared, Error> {
        let model = &residents.model;
        let default = residents
            .saes
            .first()
            .is_some_and(|sae| sae.info.prepend_bos);
        let mut violations = Violations::default();
        if self.prepend_bos == Some(true) && model.tokenizer.bos().is_none() {
            let description = format!("{} has no beginning-of-sequence token", self.model);
            violations.invalid("prepend_bos", description);
        }
        let reader = PromptReader {
            model,
            prepend_bos: self.prepend_bos.unwrap_or(default),
            special_tokens: self.special_tokens,
        };
        let mut sequences = Vec::with_capacity(self.prompts.len());
        let mut prompts = Vec::with_capacity(self.prompts.len());
        let mut total = 0;
        for (index, content) in self.prompts.into_iter().enumerate() {
            let (sequence, prompt) = reader.read(&mut violations, index, content, interrupt)?;
            total += sequence.ids.len() as u64;
            // Far over the limit nobody wants to know by how much.
            if total > (limits.max_tokens as u64).saturating_mul(2) {
                break;
            }
            sequences.push(sequence);
            prompts.push(prompt);
        }
        violations.at_most("prompts", total, (limits.max_tokens as u64, "max_tokens"));
        violations
            .check()
            .map_err(|error| error.with("context_length", model.info.context_length))?;
        let rows = total.saturating_mul(self.saes.len() as u64);
        let max_entries = max_entries(rows, limits.max_message_bytes as u64)?;
        let work = EncodeWork {
            model: self.model,
            sequences,
            saes: self.saes,
            selection: self.selection,
            scale: self.scale,
            max_entries,
            lane: Lane::Interactive,
            deadline,
        };
        Ok(Prepared { work, prompts })
    }
}

/// The activations that fit into one message beside the offsets of `rows` rows. An index takes at most five bytes, an
/// activation four.
fn max_entries(rows: u64, max_message_bytes: u64) -> Result<usize, Error> {
    match max_message_bytes.checked_sub(rows.saturating_mul(5)) {
        Some(left) => Ok(usize::try_from(left / 9).unwrap_or(usize::MAX)),
        None => Err(super::encode::too_large(0, max_message_bytes)),
    }
}

/// How prompts become tokens.
struct PromptReader<'a> {
    model: &'a ModelEntry,
    prepend_bos: bool,
    special_tokens: SpecialTokens,
}

impl PromptReader<'_> {
    fn read(
        &self,
        violations: &mut Violations,
        index: usize,
        content: Content,
        interrupt: &Interrupt,
    ) -> Result<(Sequence, pb::EncodedPrompt), Error> {
        let tokenizer: &Tokenizer = &self.model.tokenizer;
        let prompt = match content {
            Content::Text(text) => {
                let limit = self.model.info.context_length;
                let tokens = tokenizer.encode_up_to(&text, self.prepend_bos, limit, interrupt);
                let tokens = match tokens {
                    Ok(tokens) if tokens.ids.len() > limit => {
                        self.too_long(violations, index, "more than ", limit);
                        return Ok(nothing());
                    }
                    Err(error @ ComputeError::TextTooLong { .. }) => {
                        let field = format!("prompts[{index}]");
                        violations.add(field, Reason::PromptTooLong, error.to_string());
                        return Ok(nothing());
                    }
                    tokens => tokens.map_err(|error| Error::from_reason(&error))?,
                };
                let pb::TokenSequence {
                    ids,
                    tokens,
                    byte_starts,
                    byte_ends,
                    special,
                } = convert::token_sequence(tokenizer, tokens);
                pb::EncodedPrompt {
                    ids,
                    tokens,
                    byte_starts,
                    byte_ends,
                    special,
                }
            }
            Content::TokenIds(pb::TokenIds { ids }) => {
                self.check_ids(violations, index, &ids);
                pb::EncodedPrompt {
                    tokens: tokenizer.token_texts(&ids),
                    special: ids.iter().map(|&id| tokenizer.is_special(id)).collect(),
                    ids,
                    ..pb::EncodedPrompt::default()
                }
            }
        };
        self.check_length(violations, index, prompt.ids.len());
        let mask = match self.special_tokens {
            SpecialTokens::Mask => prompt.special.iter().map(|special| !special).collect(),
            SpecialTokens::Keep => vec![true; prompt.ids.len()],
        };
        Ok((
            Sequence {
                ids: prompt.ids.clone(),
                mask,
            },
            prompt,
        ))
    }

    fn check_ids(&self, violations: &mut Violations, index: usize, ids: &[u32]) {
        let vocab = self.model.info.vocab;
        let beyond: Vec<u32> = ids
            .iter()
            .copied()
            .filter(|&id| id as usize >= vocab)
            .collect();
        if !beyond.is_empty() {
            let description = format!(
                "the model has {vocab} tokens, numbered from 0; not {}",
                listed(&beyond)
            );
            let field = format!("prompts[{index}].token_ids.ids");
            violations.add(field, Reason::UnknownToken, description);
        }
    }

    fn check_length(&self, violations: &mut Violations, index: usize, tokens: usize) {
        if tokens == 0 {
            let field = format!("prompts[{index}]");
            violations.add(field, Reason::EmptyBatch, "has no tokens");
        } else if tokens > self.model.info.context_length {
            self.too_long(violations, index, "", tokens);
        }
    }

    fn too_long(&self, violations: &mut Violations, index: usize, about: &str, tokens: usize) {
        let limit = self.model.info.context_length;
        let description = format!("has {about}{tokens} tokens; the model's context holds {limit}");
        violations.add(
            format!("prompts[{index}]"),
            Reason::PromptTooLong,
            description,
        );
    }
}

/// In place of a prompt that was refused.
fn nothing() -> (Sequence, pb::EncodedPrompt) {
    let sequence = Sequence {
        ids: Vec::new(),
        mask: Vec::new(),
    };
    (sequence, pb::EncodedPrompt::default())
}

fn content(violations: &mut Violations, index: usize, prompt: pb::Prompt) -> Option<Content> {
    match prompt.content {
        None => {
            violations.add(
                format!("prompts[{index}]"),
                Reason::EmptyBatch,
                "has no content",
            );
            None
        }
        Some(Content::TokenIds(ids)) if ids.ids.is_empty() => {
            violations.add(
                format!("prompts[{index}]"),
                Reason::EmptyBatch,
                "has no tokens",
            );
            None
        }
        content => content,
    }
}

fn selection(
    violations: &mut Violations,
    selection: Option<PbSelection>,
    limits: &Limits,
) -> Selection {
    match selection {
        None | Some(PbSelection::AllFiring(pb::AllFiring {})) => Selection::AllFiring,
        Some(PbSelection::TopK(k)) => {
            if k == 0 {
                violations.invalid("top_k", "must be at least 1");
            }
            violations.at_most(
                "top_k",
                u64::from(k),
                (u64::from(limits.max_top_k), "max_top_k"),
            );
            Selection::TopK(k)
        }
        Some(PbSelection::Latents(set)) => {
            let latents = check_set(violations, LATENTS, &set.latents, limits.max_latents);
            Selection::Latents(latents.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;
    use crate::config::Config;

    fn limits() -> Limits {
        Config::with_data_dir(std::path::Path::new("/nowhere"))
            .unwrap()
            .limits
    }

    fn text(text: &str) -> pb::Prompt {
        pb::Prompt {
            content: Some(Content::Text(text.to_owned())),
        }
    }

    fn fields(error: Error) -> Vec<(String, String)> {
        let status = tonic::Status::from(error);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        violations
            .into_iter()
            .map(|violation| (violation.field, violation.reason))
            .collect()
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let request = pb::EncodeRequest {
            prompts: vec![text("a"), pb::Prompt { content: None }],
            saes: vec![
                "m/a".to_owned(),
                "n/a".to_owned(),
                "m/a".to_owned(),
                "M".to_owned(),
            ],
            special_tokens: 9,
            scale: 9,
            selection: Some(PbSelection::Latents(pb::LatentSet {
                latents: vec![3, 1, 3],
            })),
            ..pb::EncodeRequest::default()
        };
        let error = Parsed::of(request, &limits()).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidRequest);
        let fields: Vec<String> = fields(error).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            fields,
            [
                "saes[2]",
                "saes[3]",
                "saes[1]",
                "prompts[1]",
                "special_tokens",
                "latents.latents",
                "scale"
            ]
        );
    }

    #[test]
    fn an_empty_request_is_an_empty_batch() {
        let error = Parsed::of(pb::EncodeRequest::default(), &limits()).unwrap_err();
        assert_eq!(error.reason(), Reason::EmptyBatch);
        assert_eq!(fields(error).len(), 2);
    }

    #[test]
    fn limits_have_their_own_reason() {
        let limits = Limits {
            max_prompts: 1,
            max_top_k: 4,
            ..limits()
        };
        let request = pb::EncodeRequest {
            prompts: vec![text("a"), text("b")],
            saes: vec!["m/a".to_owned()],
            selection: Some(PbSelection::TopK(5)),
            ..pb::EncodeRequest::default()
        };
        let error = Parsed::of(request, &limits).unwrap_err();
        assert_eq!(error.reason(), Reason::BatchTooLarge);
        assert_eq!(fields(error).len(), 2);
    }

    #[test]
    fn latents_come_out_sorted() {
        let request = pb::EncodeRequest {
            prompts: vec![text("a")],
            saes: vec!["m/a".to_owned()],
            selection: Some(PbSelection::Latents(pb::LatentSet {
                latents: vec![9, 2, 5],
            })),
            ..pb::EncodeRequest::default()
        };
        let parsed = Parsed::of(request, &limits()).unwrap();
        assert_eq!(parsed.selection, Selection::Latents([2, 5, 9].into()));
    }
}
