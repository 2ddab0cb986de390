//! The operations of layers as burn's, for devices without kernels of our own.
//!
//! Names and shapes are those of `cpu::ops`; tests hold the results together. Matrices may be bf16: then inputs of
//! products are rounded to it and results come back as f32, so that the residual stream never loses digits.

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, activation};
use latentd_domain::Dtype;

use crate::{
    device::{Device, DeviceBackend},
    kernels::{Heads, HostMatrix, Layout, Placement, Then},
    packed::PackedTokens,
};

/// Rows of one width, `[rows, width]`; `None` before the first assignment.
#[derive(Debug, Default)]
pub struct Dense<B: DeviceBackend>(Option<Tensor<B, 2>>);

impl<B: DeviceBackend> Dense<B> {
    /// From a tensor.
    pub(crate) fn from_tensor(tensor: &Tensor<B, 2>) -> Self {
        Self(Some(tensor.clone()))
    }

    /// A tensor of the same values.
    pub(crate) fn to_tensor(&self, _device: &Device) -> Tensor<B, 2> {
        self.tensor()
    }

    /// `out[i]` is row `rows[i]`.
    pub(crate) fn pick(&self, rows: &[usize], out: &mut Self) {
        let tensor = self.tensor();
        let rows = indices(rows.iter().map(|&row| row as i32), &tensor);
        out.set(tensor.select(0, rows));
    }

    /// The values.
    #[expect(clippy::expect_used, reason = "layers read what they have written")]
    pub(crate) fn tensor(&self) -> Tensor<B, 2> {
        self.0.clone().expect("a value")
    }

    /// Puts `tensor` in its place.
    pub(crate) fn set(&mut self, tensor: Tensor<B, 2>) {
        self.0 = Some(tensor);
    }

    fn add(&mut self, tensor: Tensor<B, 2>) {
        let sum = self.tensor() + tensor;
        self.set(sum);
    }
}

/// A weight matrix with its bias.
#[derive(Debug)]
pub struct Matrix<B: DeviceBackend> {
    /// `[inputs, outputs]`; of a gated one, gate and factor side by side.
    weight: Tensor<B, 2>,
    /// `[1, outputs]`.
    bias: Option<Tensor<B, 2>>,
}

impl<B: DeviceBackend> Matrix<B> {
    /// A matrix for every [`Then`] but [`Then::SiluGate`].
    pub(crate) fn new(host: &HostMatrix, place: Placement<'_>) -> Self {
        let bias = host.bias.as_ref().map(|bias| row(bias, place));
        Self {
            weight: on_device(host, place),
            bias,
        }
    }

    /// Two matrices of one shape for [`Then::SiluGate`].
    pub(crate) fn gated(gate: &HostMatrix, up: &HostMatrix, place: Placement<'_>) -> Self {
        let weight = Tensor::cat(vec![on_device(gate, place), on_device(up, place)], 1);
        let bias = gate.bias.as_ref().zip(up.bias.as_ref());
        let bias = bias.map(|(gate, up)| Tensor::cat(vec![row(gate, place), row(up, place)], 1));
        Self { weight, bias }
    }

    /// `x · W + b`, and what `then` says.
    pub(crate) fn product(&self, x: &Dense<B>, then: Then, out: &mut Dense<B>) {
        let x = x.tensor().cast(self.weight.dtype());
        let mut product = x.matmul(self.weight.clone()).cast(DType::F32);
        if let Some(bias) = &self.bias {
            product = product + bias.clone();
        }
        match then {
            Then::Store => out.set(product),
            Then::Add => out.add(product),
            Then::GeluTanh => out.set(gelu_tanh(product)),
            Then::Gelu => out.set(activation::gelu(product)),
            Then::SiluGate => {
                let [rows, width] = product.dims();
                let gate = product.clone().slice([0..rows, 0..width / 2]);
                let up = product.slice([0..rows, width / 2..width]);
                out.set(activation::silu(gate) * up);
            }
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.weight) + self.bias.as_ref().map_or(0, bytes)
    }
}

/// A vector of weights, `[1, width]`.
#[derive(Debug)]
pub struct Vector<B: DeviceBackend>(Tensor<B, 2>);

impl<B: DeviceBackend> Vector<B> {
    /// From host values.
    pub(crate) fn new(values: Vec<f32>, place: Placement<'_>) -> Self {
        Self(row(&values, place))
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.0)
    }
}

/// Rows that are looked up by number; also a matrix when logits are computed from tied embeddings.
#[derive(Debug)]
pub struct Table<B: DeviceBackend>(Tensor<B, 2>);

impl<B: DeviceBackend> Table<B> {
    /// From `[rows, width]` host values.
    pub(crate) fn new(values: Vec<f32>, width: usize, place: Placement<'_>) -> Self {
        let rows = values.len() / width;
        Self(place.device.tensor(values, [rows, width]))
    }

    /// `out[i]` is row `numbers[i]`.
    pub(crate) fn lookup(&self, numbers: &[u32], out: &mut Dense<B>) {
        out.set(self.rows(numbers));
    }

    /// `out[i] += row numbers[i]`.
    pub(crate) fn lookup_add(&self, numbers: &[u32], out: &mut Dense<B>) {
        out.add(self.rows(numbers));
    }

    /// `x · tableᵀ`, `[n, rows]`.
    pub(crate) fn unembed(&self, x: &Dense<B>, _device: &Device) -> Tensor<B, 2> {
        x.tensor().matmul(self.0.clone().transpose())
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.0)
    }

    fn rows(&self, numbers: &[u32]) -> Tensor<B, 2> {
        let numbers = indices(numbers.iter().map(|&number| number as i32), &self.0);
        self.0.clone().select(0, numbers)
    }
}

/// Numbers of rows on the device of `of`.
fn indices<B: DeviceBackend>(
    numbers: impl Iterator<Item = i32>,
    of: &Tensor<B, 2>,
) -> Tensor<B, 1, Int> {
    let numbers: Vec<i32> = numbers.collect();
    let length = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [length]), &of.device())
}

/// Cosines and sines of rotary positions, `[positions, d_head / 2]`.
#[derive(Clone, Debug)]
pub struct Rotation<B: DeviceBackend> {
    cos: Tensor<B, 2>,
    sin: Tensor<B, 2>,
}

impl<B: DeviceBackend> Rotation<B> {
    /// From host values.
    pub(crate) fn new(cos: Vec<f32>, sin: Vec<f32>, half: usize, device: &Device) -> Self {
        let shape = [cos.len() / half.max(1), half];
        Self {
            cos: device.tensor(cos, shape),
            sin: device.tensor(sin, shape),
        }
    }

    /// Rotates `[batch, heads, seq, d_head]`.
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.apply_from(x, 0)
    }

    /// The same, of tokens from position `first` on.
    pub(super) fn apply_from(&self, x: Tensor<B, 4>, first: usize) -> Tensor<B, 4> {
        let [batch, heads, seq, d_head] = x.dims();
        let half = d_head / 2;
        let of_positions = |angles: &Tensor<B, 2>| {
            angles
                .clone()
                .slice([first..first + seq, 0..half])
                .unsqueeze::<4>()
        };
        let (cos, sin) = (of_positions(&self.cos), of_positions(&self.sin));
        let low = x.clone().slice([0..batch, 0..heads, 0..seq, 0..half]);
        let high = x.slice([0..batch, 0..heads, 0..seq, half..d_head]);
        let turned_low = low.clone() * cos.clone() - high.clone() * sin.clone();
        Tensor::cat(vec![turned_low, high * cos + low * sin], 3)
    }
}

/// Attention keeps nothing between layers here.
#[derive(Debug, Default)]
pub struct AttentionScratch;

/// Causal attention; see `cpu::attention`. Neighbouring sequences of equal length go through it together.
pub(crate) fn attention<B: DeviceBackend>(
    qkv: &Dense<B>,
    (heads, rotation): (Heads, Option<&Rotation<B>>),
    tokens: &PackedTokens,
    _scratch: &mut AttentionScratch,
    out: &mut Dense<B>,
) {
    let seen = Seen::Before(rotation);
    out.set(attention_of(&qkv.tensor(), (heads, seen), tokens));
}

/// Attention over whole sequences; see `cpu::attention`.
pub(crate) fn full_attention<B: DeviceBackend>(
    qkv: &Dense<B>,
    heads: Heads,
    tokens: &PackedTokens,
    _scratch: &mut AttentionScratch,
    out: &mut Dense<B>,
) {
    out.set(attention_of(&qkv.tensor(), (heads, Seen::All), tokens));
}

/// Which tokens of its sequence a token sees.
#[derive(Clone, Copy)]
enum Seen<R> {
    /// Itself and those before it, turned by their positions.
    Before(Option<R>),
    /// All of them.
    All,
}

fn attention_of<B: DeviceBackend>(
    qkv: &Tensor<B, 2>,
    setting: (Heads, Seen<&Rotation<B>>),
    tokens: &PackedTokens,
) -> Tensor<B, 2> {
    let (heads, _) = setting;
    let mut parts = Vec::new();
    let ranges: Vec<_> = tokens.ranges().filter(|rows| !rows.is_empty()).collect();
    for equal in ranges.chunk_by(|a, b| a.len() == b.len()) {
        let (Some(first), Some(last)) = (equal.first(), equal.last()) else {
            continue;
        };
        let rows = qkv
            .clone()
            .slice([first.start..last.end, 0..heads.qkv_width()]);
        parts.push(attention_of_equals(rows, setting, equal.len()));
    }
    if parts.is_empty() {
        qkv.clone().slice([0..0, 0..heads.z_width()])
    } else {
        Tensor::cat(parts, 0)
    }
}

fn attention_of_equals<B: DeviceBackend>(
    qkv: Tensor<B, 2>,
    (heads, seen): (Heads, Seen<&Rotation<B>>),
    batch: usize,
) -> Tensor<B, 2> {
    let [rows, _] = qkv.dims();
    let seq = rows / batch;
    let Heads {
        n_heads,
        n_kv_heads,
        d_head,
    } = heads;
    // [batch, count, seq, d_head] of the columns from `from` on.
    let split = |from: usize, count: usize| {
        let columns = qkv.clone().slice([0..rows, from..from + count * d_head]);
        columns.reshape([batch, seq, count, d_head]).swap_dims(1, 2)
    };
    let turn = |x| match seen {
        Seen::Before(Some(rotation)) => rotation.apply(x),
        Seen::Before(None) | Seen::All => x,
    };
    let shared = |x: Tensor<B, 4>| {
        let group = n_heads / n_kv_heads;
        let x = x.unsqueeze_dim::<5>(2).repeat_dim(2, group);
        x.reshape([batch, n_heads, seq, d_head])
    };
    let queries = turn(split(0, n_heads));
    let keys = shared(turn(split(heads.z_width(), n_kv_heads)));
    let values = shared(split(heads.z_width() + heads.kv_width(), n_kv_heads));
    let scores = queries.matmul(keys.swap_dims(2, 3)) * (d_head as f64).sqrt().recip();
    let scores = match seen {
        Seen::All => scores,
        Seen::Before(_) => {
            let future = Tensor::<B, 2, Bool>::tril_mask([seq, seq], 0, &scores.device());
            scores.mask_fill(future.unsqueeze::<4>(), f32::NEG_INFINITY)
        }
    };
    let z = activation::softmax(scores, 3).matmul(values);
    z.swap_dims(1, 2).reshape([rows, heads.z_width()])
}

/// `out += x`.
pub(crate) fn add<B: DeviceBackend>(x: &Dense<B>, out: &mut Dense<B>) {
    out.add(x.tensor());
}

/// `out = x / √(mean(x²) + eps) · weight`, row by row.
pub(crate) fn rms_norm<B: DeviceBackend>(
    x: &Dense<B>,
    weight: &Vector<B>,
    eps: f32,
    out: &mut Dense<B>,
) {
    let x = x.tensor();
    let scale = (x.clone().powi_scalar(2).mean_dim(1) + eps).sqrt();
    out.set(x / scale * weight.0.clone());
}

/// `out = (x - mean(x)) / √(var(x) + eps) · weight + bias`, row by row, with the biased variance.
pub(crate) fn layer_norm<B: DeviceBackend>(
    x: &Dense<B>,
    (weight, bias): (&Vector<B>, &Vector<B>),
    eps: f32,
    out: &mut Dense<B>,
) {
    let x = x.tensor();
    let centred = x.clone() - x.mean_dim(1);
    let scale = (centred.clone().powi_scalar(2).mean_dim(1) + eps).sqrt();
    out.set(centred / scale * weight.0.clone() + bias.0.clone());
}

/// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
fn gelu_tanh<B: DeviceBackend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let inner = x.clone() + x.clone().powi_scalar(3) * 0.044_715;
    let slope = (2.0 / std::f64::consts::PI).sqrt();
    ((inner * slope).tanh() + 1.0) * x * 0.5
}

fn on_device<B: DeviceBackend>(host: &HostMatrix, place: Placement<'_>) -> Tensor<B, 2> {
    let (inputs, outputs) = (host.inputs, host.outputs);
    let weight = match host.layout {
        Layout::InOut => place.device.tensor(host.weight.clone(), [inputs, outputs]),
        Layout::OutIn => place
            .device
            .tensor(host.weight.clone(), [outputs, inputs])
            .transpose(),
    };
    match place.dtype {
        Dtype::F32 => weight,
        Dtype::Bf16 => weight.cast(DType::BF16),
    }
}

fn row<B: DeviceBackend>(values: &[f32], place: Placement<'_>) -> Tensor<B, 2> {
    place.device.tensor(values.to_vec(), [1, values.len()])
}

fn bytes<B: DeviceBackend>(tensor: &Tensor<B, 2>) -> usize {
    tensor.shape().num_elements() * tensor.dtype().size()
}

#[cfg(not(feature = "cuda"))]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{Backend, host_view},
        kernels::cpu::ops,
    };

    fn noise(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) * 7919 + 13) % 1009) as f32 / 500.0 - 1.0)
            .collect()
    }

    fn matrix(inputs: usize, outputs: usize, layout: Layout, seed: usize) -> HostMatrix {
        let (weight, bias) = (
            noise(inputs * outputs, seed),
            Some(noise(outputs, seed + 1)),
        );
        HostMatrix {
            weight,
            bias,
            inputs,
            outputs,
            layout,
        }
    }

    /// The values that both kinds of operations give.
    struct Both {
        device: Device,
        portable: Dense<Backend>,
        cpu: ops::Dense,
    }

    impl Both {
        fn new(rows: usize, width: usize) -> Self {
            let device = Device::new(0).unwrap();
            let tensor = device.from_host(noise(rows * width, 3), [rows, width]);
            Self {
                portable: Dense::from_tensor(&tensor),
                cpu: ops::Dense::from_tensor(&tensor),
                device,
            }
        }

        fn place(&self) -> Placement<'_> {
            Placement {
                device: &self.device,
                dtype: Dtype::F32,
            }
        }

        #[track_caller]
        fn agree(&self) {
            let (a, b) = (
                self.portable.to_tensor(&self.device),
                self.cpu.to_tensor(&self.device),
            );
            assert_eq!(a.dims(), b.dims());
            for (a, b) in host_view(&a).values().iter().zip(host_view(&b).values()) {
                assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} {b}");
            }
        }
    }

    #[test]
    fn products_agree() {
        for (then, layout) in [
            (Then::Store, Layout::InOut),
            (Then::Add, Layout::OutIn),
            (Then::GeluTanh, Layout::OutIn),
            (Then::Gelu, Layout::OutIn),
        ] {
            let (x, mut out) = (Both::new(5, 12), Both::new(5, 40));
            let host = matrix(12, 40, layout, 7);
            Matrix::new(&host, x.place()).product(&x.portable, then, &mut out.portable);
            ops::Matrix::new(&host, x.place()).product(&x.cpu, then, &mut out.cpu);
            out.agree();
        }
        let (x, mut out) = (Both::new(5, 12), Both::new(5, 40));
        let (gate, up) = (
            matrix(12, 40, Layout::OutIn, 1),
            matrix(12, 40, Layout::OutIn, 2),
        );
        Matrix::gated(&gate, &up, x.place()).product(
            &x.portable,
            Then::SiluGate,
            &mut out.portable,
        );
        ops::Matrix::gated(&gate, &up, x.place()).product(&x.cpu, Then::SiluGate, &mut out.cpu);
        out.agree();
    }

    #[test]
    fn norms_and_sums_agree() {
        let (x, mut out) = (Both::new(7, 20), Both::new(7, 20));
        let (w, b) = (noise(20, 1), noise(20, 2));
        let of = |values: &[f32]| {
            (
                Vector::new(values.to_vec(), x.place()),
                ops::Vector::new(values.to_vec(), x.place()),
            )
        };
        let ((w, cpu_w), (b, cpu_b)) = (of(&w), of(&b));
        rms_norm(&x.portable, &w, 1e-5, &mut out.portable);
        ops::rms_norm(&x.cpu, &cpu_w, 1e-5, &mut out.cpu);
        out.agree();
        layer_norm(&x.portable, (&w, &b), 1e-5, &mut out.portable);
        ops::layer_norm(&x.cpu, (&cpu_w, &cpu_b), 1e-5, &mut out.cpu);
        out.agree();
        add(&x.portable, &mut out.portable);
        ops::add(&x.cpu, &mut out.cpu);
        out.agree();
        assert_eq!((w.bytes(), cpu_w.bytes()), (80, 80));
    }

    #[test]
    fn tables_agree() {
        let mut x = Both::new(4, 6);
        let values = noise(50 * 6, 9);
        let (table, cpu) = (
            Table::new(values.clone(), 6, x.place()),
            ops::Table::new(values, 6, x.place()),
        );
        table.lookup(&[3, 49, 0], &mut x.portable);
        cpu.lookup(&[3, 49, 0], &mut x.cpu);
        x.agree();
        table.lookup_add(&[1, 2, 2], &mut x.portable);
        cpu.lookup_add(&[1, 2, 2], &mut x.cpu);
        x.agree();
        x.portable = Dense::from_tensor(&table.unembed(&x.portable, &x.device));
        x.cpu = ops::Dense::from_tensor(&cpu.unembed(&x.cpu, &x.device));
        x.agree();
        // The columns of the CPU's lie in panels of 32.
        assert_eq!((table.bytes(), cpu.bytes()), (4 * 50 * 6, 4 * 64 * 6));
    }

    #[test]
    fn attention_agrees() {
        let heads = Heads {
            n_heads: 6,
            n_kv_heads: 2,
            d_head: 8,
        };
        let ids = [0; 64];
        let tokens = PackedTokens::new([&ids[..5], &ids[..5], &ids[..1], &ids[..0], &ids[..40]]);
        let angle = |i: usize| (i / 4) as f32 * 0.2f32.powi((i % 4) as i32);
        let (cos, sin): (Vec<f32>, Vec<f32>) = (0..40 * 4)
            .map(|i| (angle(i).cos(), angle(i).sin()))
            .unzip();
        for turn in [false, true] {
            let x = Both::new(51, heads.qkv_width());
            let mut out = Both::new(51, heads.z_width());
            let rotation = Rotation::new(cos.clone(), sin.clone(), 4, &x.device);
            let cpu_rotation = ops::Rotation::new(cos.clone(), sin.clone(), 4, &x.device);
            let setting = (heads, turn.then_some(&rotation));
            attention(
                &x.portable,
                setting,
                &tokens,
                &mut AttentionScratch,
                &mut out.portable,
            );
            let setting = (heads, turn.then_some(&cpu_rotation));
            ops::attention(
                &x.cpu,
                setting,
                &tokens,
                &mut ops::AttentionScratch::default(),
                &mut out.cpu,
            );
            out.agree();
            full_attention(
                &x.portable,
                heads,
                &tokens,
                &mut AttentionScratch,
                &mut out.portable,
            );
            ops::full_attention(
                &x.cpu,
                heads,
                &tokens,
                &mut ops::AttentionScratch::default(),
                &mut out.cpu,
            );
            out.agree();
        }
    }

    #[test]
    fn half_precision_stays_near() {
        let (x, mut out) = (Both::new(5, 12), Both::new(5, 40));
        let host = matrix(12, 40, Layout::OutIn, 7);
        let place = Placement {
            device: &x.device,
            dtype: Dtype::Bf16,
        };
        let half = Matrix::new(&host, place);
        assert_eq!(half.bytes(), 12 * 40 * 2 + 40 * 4);
        half.product(&x.portable, Then::Store, &mut out.portable);
        ops::Matrix::new(&host, x.place()).product(&x.cpu, Then::Store, &mut out.cpu);
        let (a, b) = (
            out.portable.to_tensor(&x.device),
            out.cpu.to_tensor(&x.device),
        );
        for (a, b) in host_view(&a).values().iter().zip(host_view(&b).values()) {
            assert!((a - b).abs() < 0.05, "{a} {b}");
        }
    }
}
