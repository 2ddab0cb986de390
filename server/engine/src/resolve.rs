//! From the names of a request to what is resident, with every check that keeps outside data away from the device.

use std::sync::Arc;

use latentd_domain::{ModelId, ModelKind, SaeName, Selection, SparseActivations};
use latentd_nn::ComputeError;

use crate::{
    Error,
    catalog::{Catalog, ModelEntry, SaeEntry},
    work::{Decode, Dense, Encode, EncodeOutput, EncodeWork, Reply, Sequence},
};

/// The model `id`.
pub(crate) fn model<'a>(catalog: &'a Catalog, id: &ModelId) -> Result<&'a Arc<ModelEntry>, Error> {
    catalog
        .models
        .get(id)
        .ok_or_else(|| Error::UnknownModel { model: id.clone() })
}

/// The language model `id`.
pub(crate) fn language_model<'a>(
    catalog: &'a Catalog,
    id: &ModelId,
) -> Result<&'a Arc<ModelEntry>, Error> {
    let entry = model(catalog, id)?;
    entry.must_be(ModelKind::Language)?;
    Ok(entry)
}

/// The SAE `name`.
pub(crate) fn sae<'a>(catalog: &'a Catalog, name: &SaeName) -> Result<&'a Arc<SaeEntry>, Error> {
    language_model(catalog, name.model())?;
    catalog
        .saes
        .get(name)
        .ok_or_else(|| Error::UnknownSae { sae: name.clone() })
}

/// `work` with its names resolved, if the device can compute it.
pub(crate) fn encode(
    catalog: &Catalog,
    work: EncodeWork,
    reply: Reply<EncodeOutput>,
) -> Result<Encode, Error> {
    let model = language_model(catalog, &work.model)?;
    let one = |name: &SaeName| {
        if name.model() == &work.model {
            sae(catalog, name).map(Arc::clone)
        } else {
            Err(Error::OtherModel {
                sae: name.clone(),
                model: work.model.clone(),
            })
        }
    };
    let saes = work
        .saes
        .iter()
        .map(one)
        .collect::<Result<Vec<_>, Error>>()?;
    if saes.is_empty() || work.sequences.is_empty() {
        return Err(Error::EmptyBatch);
    }
    for (index, sequence) in work.sequences.iter().enumerate() {
        check_sequence(model, index, sequence)?;
    }
    saes.iter()
        .try_for_each(|sae| check_selection(sae, &work.selection))?;
    let EncodeWork {
        sequences,
        selection,
        scale,
        max_entries,
        ..
    } = work;
    Ok(Encode {
        model: Arc::clone(model),
        saes,
        sequences,
        selection,
        scale,
        max_entries,
        reply,
    })
}

/// A decode of `activations` with its SAE, if they are sound rows of latents that it has.
pub(crate) fn decode(
    catalog: &Catalog,
    name: &SaeName,
    activations: SparseActivations,
    (scale, reply): (latentd_domain::Scale, Reply<Dense>),
) -> Result<Decode, Error> {
    let sae = sae(catalog, name)?;
    activations.check()?;
    check_latents(sae, &activations.latents)?;
    Ok(Decode {
        sae: Arc::clone(sae),
        activations,
        scale,
        reply,
    })
}

fn check_sequence(model: &ModelEntry, index: usize, sequence: &Sequence) -> Result<(), Error> {
    let tokens = sequence.ids.len();
    if tokens == 0 {
        return Err(Error::EmptyBatch);
    }
    let (limit, vocab) = (model.info.context_length, model.info.vocab);
    if tokens > limit {
        return Err(Error::PromptTooLong {
            sequence: index,
            tokens,
            limit,
        });
    }
    if sequence.mask.len() != tokens {
        return Err(Error::MaskLength {
            sequence: index,
            tokens,
            mask: sequence.mask.len(),
        });
    }
    match sequence.ids.iter().find(|&&id| id as usize >= vocab) {
        Some(&id) => Err(ComputeError::UnknownToken { id, vocab }.into()),
        None => Ok(()),
    }
}

fn check_selection(sae: &SaeEntry, selection: &Selection) -> Result<(), Error> {
    match selection {
        Selection::AllFiring | Selection::TopK(_) => Ok(()),
        Selection::Latents(latents) => check_latents(sae, latents),
    }
}

/// Whether the SAE has all of `latents`.
fn check_latents(sae: &SaeEntry, latents: &[u32]) -> Result<(), Error> {
    let d_sae = sae.info.d_sae;
    match latents.iter().find(|&&latent| latent as usize >= d_sae) {
        Some(&latent) => Err(ComputeError::UnknownLatent { latent, d_sae }.into()),
        None => Ok(()),
    }
}

/// The SAE `name`, if it has `latent`.
pub(crate) fn latent<'a>(
    catalog: &'a Catalog,
    name: &SaeName,
    latent: u32,
) -> Result<&'a Arc<SaeEntry>, Error> {
    let sae = sae(catalog, name)?;
    check_latents(sae, &[latent])?;
    Ok(sae)
}
