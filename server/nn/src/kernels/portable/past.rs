//! Attention of new tokens to those that a sequence has had, as burn's operations: see `cpu::past`.

use burn::tensor::{Bool, Tensor, activation};

use super::ops::{Dense, Rotation};
use crate::{
    device::DeviceBackend,
    kernels::{Continued, Heads},
    packed::PackedTokens,
};

/// Keys (rotated) and values of one sequence in one layer, `[1, n_kv_heads, tokens, d_head]`; `None` before the first token.
#[derive(Debug)]
pub struct LayerPast<B: DeviceBackend> {
    kept: Option<(Tensor<B, 4>, Tensor<B, 4>)>,
    heads: Heads,
}

impl<B: DeviceBackend> LayerPast<B> {
    /// Empty; it grows as tokens come.
    pub(crate) fn new(heads: Heads, _capacity: usize) -> Self {
        Self { kept: None, heads }
    }

    /// Takes the first `tokens` tokens of another sequence over.
    pub(crate) fn copy_front(&mut self, other: &Self, tokens: usize) {
        self.kept = other.front(tokens);
    }

    /// Keys and values of the first `tokens` tokens.
    fn front(&self, tokens: usize) -> Option<(Tensor<B, 4>, Tensor<B, 4>)> {
        let (keys, values) = self.kept.as_ref().filter(|_| tokens > 0)?;
        let [_, heads, _, d_head] = keys.dims();
        let front = |x: &Tensor<B, 4>| x.clone().slice([0..1, 0..heads, 0..tokens, 0..d_head]);
        Some((front(keys), front(values)))
    }

    /// Adds keys and values after the first `length` tokens: more may be there, of a pass that failed. Returns all.
    fn append(
        &mut self,
        length: usize,
        (keys, values): (Tensor<B, 4>, Tensor<B, 4>),
    ) -> (Tensor<B, 4>, Tensor<B, 4>) {
        let all = match self.front(length) {
            Some((before, values_before)) => (
                Tensor::cat(vec![before, keys], 2),
                Tensor::cat(vec![values_before, values], 2),
            ),
            None => (keys, values),
        };
        self.kept = Some(all.clone());
        all
    }
}

/// See `cpu::past::attention_past`.
pub(crate) fn attention_past<B: DeviceBackend>(
    qkv: &Dense<B>,
    (heads, rotation): (Heads, Option<&Rotation<B>>),
    tokens: &PackedTokens,
    sequences: &mut [Continued<'_, LayerPast<B>>],
    out: &mut Dense<B>,
) {
    let qkv = qkv.tensor();
    let width = heads.qkv_width();
    let mut parts = Vec::with_capacity(sequences.len());
    for (rows, sequence) in tokens.ranges().zip(sequences) {
        if !rows.is_empty() {
            let rows = qkv.clone().slice([rows, 0..width]);
            parts.push(one(rows, rotation, sequence));
        }
    }
    if parts.is_empty() {
        out.set(qkv.slice([0..0, 0..heads.z_width()]));
    } else {
        out.set(Tensor::cat(parts, 0));
    }
}

/// The heads' outputs for the new tokens of one sequence.
fn one<B: DeviceBackend>(
    qkv: Tensor<B, 2>,
    rotation: Option<&Rotation<B>>,
    Continued { past, length }: &mut Continued<'_, LayerPast<B>>,
) -> Tensor<B, 2> {
    let [seq, _] = qkv.dims();
    let heads = past.heads;
    let Heads {
        n_heads,
        n_kv_heads,
        d_head,
    } = heads;
    let split = |from: usize, count: usize| {
        let columns = qkv.clone().slice([0..seq, from..from + count * d_head]);
        columns.reshape([1, seq, count, d_head]).swap_dims(1, 2)
    };
    let turn = |x| match rotation {
        Some(rotation) => rotation.apply_from(x, *length),
        None => x,
    };
    let keys = turn(split(heads.z_width(), n_kv_heads));
    let values = split(heads.z_width() + heads.kv_width(), n_kv_heads);
    let (keys, values) = past.append(*length, (keys, values));
    let all = *length + seq;
    let shared = |x: Tensor<B, 4>| {
        let x = x.unsqueeze_dim::<5>(2).repeat_dim(2, n_heads / n_kv_heads);
        x.reshape([1, n_heads, all, d_head])
    };
    let scale = (d_head as f64).sqrt().recip();
    let scores = turn(split(0, n_heads)).matmul(shared(keys).swap_dims(2, 3)) * scale;
    let future = Tensor::<B, 2, Bool>::tril_mask([seq, all], *length as i64, &scores.device());
    let scores = scores.mask_fill(future.unsqueeze::<4>(), f32::NEG_INFINITY);
    let z = activation::softmax(scores, 3).matmul(shared(values));
    z.swap_dims(1, 2).reshape([seq, heads.z_width()])
}

#[cfg(not(feature = "cuda"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{Device, host_view},
        kernels::cpu::{ops, past},
    };

    /// Two sequences in three passes, with the kernels of the CPU and with burn's operations.
    #[test]
    fn both_go_on_alike() {
        let heads = Heads {
            n_heads: 6,
            n_kv_heads: 2,
            d_head: 8,
        };
        let device = Device::new(0).unwrap();
        let angle = |i: usize| (i / 4) as f32 * 0.2f32.powi((i % 4) as i32);
        let (cos, sin): (Vec<f32>, Vec<f32>) = (0..60 * 4)
            .map(|i| (angle(i).cos(), angle(i).sin()))
            .unzip();
        let rotation = Rotation::new(cos.clone(), sin.clone(), 4, &device);
        let cpu_rotation = ops::Rotation::new(cos, sin, 4, &device);
        for turn in [false, true] {
            let mut pasts = [LayerPast::new(heads, 60), LayerPast::new(heads, 60)];
            let mut cpu_pasts = [
                past::LayerPast::new(heads, 60),
                past::LayerPast::new(heads, 60),
            ];
            let mut lengths = [0, 0];
            for counts in [[5, 40], [1, 1], [7, 0]] {
                let ids = [0; 64];
                let tokens = PackedTokens::new(counts.map(|count| &ids[..count]));
                let rows = tokens.tokens();
                let values: Vec<f32> = (0..rows * heads.qkv_width())
                    .map(|i| (((i + rows) * 7919 + 13) % 1009) as f32 / 500.0 - 1.0)
                    .collect();
                let x = device.from_host(values, [rows, heads.qkv_width()]);
                let mut out = Dense::default();
                let mut sequences: Vec<_> = pasts
                    .iter_mut()
                    .zip(lengths)
                    .map(|(past, length)| Continued { past, length })
                    .collect();
                let setting = (heads, turn.then_some(&rotation));
                attention_past(
                    &Dense::from_tensor(&x),
                    setting,
                    &tokens,
                    &mut sequences,
                    &mut out,
                );
                let mut cpu_out = ops::Dense::default();
                let mut sequences: Vec<_> = cpu_pasts
                    .iter_mut()
                    .zip(lengths)
                    .map(|(past, length)| Continued { past, length })
                    .collect();
                let setting = (heads, turn.then_some(&cpu_rotation));
                ops::attention_past(
                    &ops::Dense::from_tensor(&x),
                    setting,
                    &tokens,
                    &mut sequences,
                    &mut cpu_out,
                );
                let (a, b) = (out.to_tensor(&device), cpu_out.to_tensor(&device));
                assert_eq!(a.dims(), b.dims());
                for (a, b) in host_view(&a).values().iter().zip(host_view(&b).values()) {
                    assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{a} {b}");
                }
                let last = [rows - 1, 0];
                let (mut picked, mut cpu_picked) = (Dense::default(), ops::Dense::default());
                out.pick(&last, &mut picked);
                cpu_out.pick(&last, &mut cpu_picked);
                let (a, b) = (picked.to_tensor(&device), cpu_picked.to_tensor(&device));
                let (a, b) = (host_view(&a), host_view(&b));
                assert!((a.values()[0] - b.values()[0]).abs() < 1e-5);
                for (length, count) in lengths.iter_mut().zip(counts) {
                    *length += count;
                }
                // What comes next goes on from copies.
                let (mut copy, mut cpu_copy) =
                    (LayerPast::new(heads, 60), past::LayerPast::new(heads, 60));
                copy.copy_front(&pasts[0], lengths[0]);
                cpu_copy.copy_front(&cpu_pasts[0], lengths[0]);
                (pasts[0], cpu_pasts[0]) = (copy, cpu_copy);
            }
        }
    }
}
