//! The k-quantizations: blocks of 256 weights, whose sub-blocks of 16 or 32 have quantized scales of their own.
#![expect(
    clippy::indexing_slicing,
    reason = "blocks are arrays, and every offset is a constant of their layout"
)]

use super::{SUPER, half_at};

/// `d·s · q − dmin·m`; `s, m: u4[16]` for sub-blocks of 16, `q: u2[256]`, `d: f16, dmin: f16`.
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; SUPER]) {
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(block[sub] & 0x0f);
        let min = dmin * f32::from(block[sub] >> 4);
        for (i, out) in out.iter_mut().enumerate() {
            *out = scale * f32::from(two_bits(&block[16..80], sub * 16 + i)) - min;
        }
    }
}

/// `d·s · q`; third bits of `q: u1[256]` (0 means −4), low bits `u2[256]`, `s: i6[16]` less 32 for sub-blocks of 16,
/// `d: f16`.
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; SUPER]) {
    let d = half_at(block, 108);
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let low = (block[96 + sub % 8] >> (4 * (sub / 8))) & 0x0f;
        let high = (block[104 + sub % 4] >> (2 * (sub / 4))) & 0x03;
        let scale = d * f32::from((low | high << 4) as i8 - 32);
        for (i, out) in out.iter_mut().enumerate() {
            let weight = sub * 16 + i;
            let third = (block[weight % 32] >> (weight / 32)) & 1;
            let q = two_bits(&block[32..96], weight) as i8 - if third == 0 { 4 } else { 0 };
            *out = scale * f32::from(q);
        }
    }
}

/// `d·s · q − dmin·m`; `d: f16, dmin: f16`, `s, m: u6[8]` for sub-blocks of 32, `q: u4[256]`.
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; SUPER]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_and_min(&block[4..16], sub);
        let (scale, min) = (d * scale, dmin * min);
        let bytes = &block[16 + sub / 2 * 32..][..32];
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = scale * f32::from(four_bits(byte, sub % 2)) - min;
        }
    }
}

/// As [`q4_k`], with fifth bits of `q: u1[256]` before the low four.
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; SUPER]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for (sub, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_and_min(&block[4..16], sub);
        let (scale, min) = (d * scale, dmin * min);
        let bytes = &block[48 + sub / 2 * 32..][..32];
        for ((out, &byte), &fifths) in out.iter_mut().zip(bytes).zip(&block[16..48]) {
            let q = four_bits(byte, sub % 2) | ((fifths >> sub) & 1) << 4;
            *out = scale * f32::from(q) - min;
        }
    }
}

/// `d·s · (q − 32)`; low four bits of `q: u4[256]`, high two `u2[256]`, `s: i8[16]` for sub-blocks of 16, `d: f16`.
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; SUPER]) {
    let d = half_at(block, 208);
    for (sub, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(block[192 + sub] as i8);
        for (i, out) in out.iter_mut().enumerate() {
            let weight = sub * 16 + i;
            let low = four_bits(block[weight / 128 * 64 + weight % 64], weight % 128 / 64);
            let q = low | two_bits(&block[128..192], weight) << 4;
            *out = scale * f32::from(q as i8 - 32);
        }
    }
}

/// Two bits of weight `weight`: each 32 bytes hold 128 weights, 32 at a time from the low bits up.
fn two_bits(bytes: &[u8], weight: usize) -> u8 {
    (bytes[weight / 128 * 32 + weight % 32] >> (weight % 128 / 32 * 2)) & 0x03
}

fn four_bits(byte: u8, half: usize) -> u8 {
    (byte >> (4 * half)) & 0x0f
}

/// The six-bit scale and minimum of sub-block `sub` in ggml's twelve bytes (`get_scale_min_k4`).
fn scale_and_min(packed: &[u8], sub: usize) -> (f32, f32) {
    let (scale, min) = if sub < 4 {
        (packed[sub] & 0x3f, packed[sub + 4] & 0x3f)
    } else {
        let low = packed[sub + 4];
        (
            low & 0x0f | (packed[sub - 4] >> 6) << 4,
            low >> 4 | (packed[sub] >> 6) << 4,
        )
    };
    (f32::from(scale), f32::from(min))
}
