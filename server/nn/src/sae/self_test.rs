//! The test at load: the SAE runs on a text that is built in, and what it does there is compared with what its file declares.
//!
//! An SAE that is read wrongly (another activation function, another hook point, a norm left out) still gives numbers. Its L0
//! and the share of variance that its reconstruction leaves unexplained tell.

use std::collections::HashMap;

use latentd_domain::{Scale, Selection, SelfTest, SparseActivations, missing_bos};

use super::Sae;
use crate::{
    device::host_view,
    error::{ComputeError, LoadError},
    model::Model,
    packed::PackedTokens,
    taps::Taps,
};

/// English prose of several kinds, written for this test.
const TEXT: &str = include_str!("self_test.txt");

/// Length of the rows where the SAE does not say on which it was trained.
const DEFAULT_CONTEXT: usize = 128;

/// How many times the declared L0 the measured one may be, or the other way round, before it is worth a warning.
const L0_TOLERANCE: f64 = 2.0;

/// What was measured.
struct Measured {
    tokens: usize,
    l0: f64,
    fvu: f64,
    most_on_one_token: usize,
    dense: Vec<(u32, f64)>,
}

impl Sae {
    /// Runs the SAE on the built-in text in `model` and keeps the result in its info.
    ///
    /// # Errors
    ///
    /// [`LoadError::SelfTestFailed`] if the reconstruction is not finite, or a topk SAE fires more than `k` latents on a token;
    /// [`LoadError::Compute`] if the model or the device fails.
    pub fn self_test(&mut self, model: &Model) -> Result<(), LoadError> {
        let measured = self.measure(model)?;
        let failed = |detail| LoadError::SelfTestFailed {
            path: self.info.path.clone().into(),
            detail,
        };
        if measured.tokens == 0 {
            return Err(failed(
                "the model's tokenizer gives no tokens for the built-in text".to_owned(),
            ));
        }
        if !measured.fvu.is_finite() || !measured.l0.is_finite() {
            return Err(failed(format!(
                "on the built-in text L0 is {} and the fraction of variance unexplained {}",
                measured.l0, measured.fvu
            )));
        }
        if let Some(k) = self.info.k.filter(|&k| measured.most_on_one_token > k) {
            let most = measured.most_on_one_token;
            return Err(failed(format!(
                "{most} latents fire on one token, and k is {k}"
            )));
        }
        let warnings = self.findings(&measured, model);
        let Measured {
            tokens,
            l0,
            fvu,
            dense,
            ..
        } = measured;
        self.info.self_test = Some(SelfTest {
            tokens,
            l0,
            fvu,
            dense,
            warnings,
        });
        Ok(())
    }

    fn measure(&self, model: &Model) -> Result<Measured, LoadError> {
        let (rows, mask) = self.rows_of_text(model)?;
        let packed = PackedTokens::new(rows.iter().map(Vec::as_slice));
        let point = self.info.hook_point;
        let captured = model.run(&packed, &Taps::new([point]))?;
        let input = captured.get(point).ok_or_else(|| ComputeError::Failed {
            detail: format!("the model did not record {point}"),
        })?;
        let activations = self.encode(input, &mask, &Selection::AllFiring, Scale::Raw)?;
        let reconstruction = self.decode(&activations, Scale::Raw)?;
        let view = host_view(input);
        let fvu = self.unexplained(view.values(), &reconstruction, &mask);
        Ok(measured(&activations, &mask, fvu))
    }

    /// The text as rows of the SAE's context length under its policy for the beginning-of-sequence token, and which tokens
    /// count: those that are not special.
    fn rows_of_text(&self, model: &Model) -> Result<(Vec<Vec<u32>>, Vec<bool>), LoadError> {
        let tokenizer = model.tokenizer();
        let tokens = tokenizer.encode(TEXT, false)?;
        let wanted = tokenizer.bos().filter(|_| self.info.prepend_bos);
        let context = self.info.context_length.unwrap_or(DEFAULT_CONTEXT);
        let context = context.min(model.info().context_length).max(2);
        let room = context - usize::from(wanted.is_some());
        let (mut rows, mut mask) = (Vec::new(), Vec::new());
        for (ids, special) in tokens.ids.chunks(room).zip(tokens.special.chunks(room)) {
            let bos = missing_bos(wanted, ids);
            rows.push(bos.into_iter().chain(ids.iter().copied()).collect());
            mask.extend(bos.map(|_| false));
            mask.extend(special.iter().map(|special| !special));
        }
        Ok((rows, mask))
    }

    /// `Σ‖x−x̂‖² / Σ‖x−mean(x)‖²` over the rows of the mask. Here the input is known, so that what normalising took out of a
    /// token can be put back.
    fn unexplained(&self, input: &[f32], reconstruction: &[f32], mask: &[bool]) -> f64 {
        let width = self.info.d_in;
        let rows = || {
            let wanted = mask.iter().copied();
            input
                .chunks_exact(width)
                .zip(wanted)
                .filter_map(|(row, wanted)| wanted.then_some(row))
        };
        let count = mask.iter().filter(|&&wanted| wanted).count() as f64;
        let mut mean = vec![0.0f64; width];
        for row in rows() {
            for (mean, &value) in mean.iter_mut().zip(row) {
                *mean += f64::from(value) / count;
            }
        }
        let (mut error, mut variance) = (0.0f64, 0.0f64);
        let (mut prepared, mut restored) = (vec![0.0; width], vec![0.0; width]);
        let wanted = reconstruction
            .chunks_exact(width)
            .zip(mask)
            .filter(|(_, wanted)| **wanted);
        for (row, (decoded, _)) in rows().zip(wanted) {
            let statistics = self.input.prepare(row, &mut prepared);
            restored.copy_from_slice(decoded);
            statistics.undo(&mut restored);
            for ((&x, &restored), &mean) in row.iter().zip(&restored).zip(&mean) {
                error += f64::from(x - restored).powi(2);
                variance += (f64::from(x) - mean).powi(2);
            }
        }
        error / variance
    }

    /// What is worth saying of a result that does not forbid the use of the SAE.
    fn findings(&self, measured: &Measured, model: &Model) -> Vec<String> {
        let mut out = Vec::new();
        let &Measured { l0, fvu, .. } = measured;
        if l0 == 0.0 {
            out.push("no latent fires on the built-in text".to_owned());
        }
        if let Some(declared) = self.info.declared_l0.filter(|&declared| declared > 0.0) {
            let ratio = l0 / declared;
            if !(L0_TOLERANCE.recip()..=L0_TOLERANCE).contains(&ratio) {
                out.push(format!(
                    "{l0:.1} latents fire on a token of the built-in text, and the file declares {declared:.1}: the \
                     activation function, the normalisation or the hook point may be another one"
                ));
            }
        }
        if fvu > 1.0 {
            out.push(format!(
                "the reconstruction is worse than the mean of the inputs (fraction of variance unexplained {fvu:.2}): the \
                 SAE may belong to another model, hook point or normalisation"
            ));
        }
        if self.info.prepend_bos && model.tokenizer().bos().is_none() {
            out.push(
                "the SAE was trained with a beginning-of-sequence token, and the model's tokenizer has none".to_owned(),
            );
        }
        out
    }
}

fn measured(activations: &SparseActivations, mask: &[bool], fvu: f64) -> Measured {
    let tokens = mask.iter().filter(|&&wanted| wanted).count();
    let most = (0..activations.rows())
        .map(|row| activations.row(row).0.len())
        .max();
    Measured {
        tokens,
        l0: activations.entries() as f64 / tokens.max(1) as f64,
        fvu,
        most_on_one_token: most.unwrap_or_default(),
        dense: dense(activations, tokens),
    }
}

/// The latents that fire on more than [`SelfTest::DENSE`] of the tokens, the densest if there are very many, by index.
fn dense(activations: &SparseActivations, tokens: usize) -> Vec<(u32, f64)> {
    let mut firing: HashMap<u32, usize> = HashMap::new();
    for &latent in &activations.latents {
        *firing.entry(latent).or_default() += 1;
    }
    let mut dense: Vec<(u32, f64)> = firing
        .into_iter()
        .map(|(latent, count)| (latent, count as f64 / tokens.max(1) as f64))
        .filter(|&(_, density)| density > SelfTest::DENSE)
        .collect();
    dense.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    dense.truncate(SelfTest::MAX_DENSE);
    dense.sort_by_key(|&(latent, _)| latent);
    dense
}
