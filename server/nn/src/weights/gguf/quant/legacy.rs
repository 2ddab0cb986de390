//! Quantizations in blocks of 32 weights with one half-precision scale `d`, and in the `_1` forms a minimum `m`.
//!
//! Low halves of bytes hold weights 0 to 15, high halves weights 16 to 31.
#![expect(
    clippy::indexing_slicing,
    reason = "blocks are arrays, and every offset is a constant of their layout"
)]

use super::{SMALL, half_at};

/// `d · (q − 8)`; `d: f16, q: u4[32]`.
pub(super) fn q4_0(block: &[u8; 18], out: &mut [f32; SMALL]) {
    let d = half_at(block, 0);
    for i in 0..16 {
        let byte = block[2 + i];
        out[i] = d * f32::from((byte & 0x0f) as i8 - 8);
        out[i + 16] = d * f32::from((byte >> 4) as i8 - 8);
    }
}

/// `d · q + m`; `d: f16, m: f16, q: u4[32]`.
pub(super) fn q4_1(block: &[u8; 20], out: &mut [f32; SMALL]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for i in 0..16 {
        let byte = block[4 + i];
        out[i] = d * f32::from(byte & 0x0f) + m;
        out[i + 16] = d * f32::from(byte >> 4) + m;
    }
}

/// `d · (q − 16)`; `d: f16`, the fifth bits of `q: u1[32]`, the low four `u4[32]`.
pub(super) fn q5_0(block: &[u8; 22], out: &mut [f32; SMALL]) {
    let d = half_at(block, 0);
    let fifth = fifth_bits(block, 2);
    for i in 0..16 {
        let byte = block[6 + i];
        out[i] = d * f32::from(five_bits(byte & 0x0f, fifth, i) as i8 - 16);
        out[i + 16] = d * f32::from(five_bits(byte >> 4, fifth, i + 16) as i8 - 16);
    }
}

/// `d · q + m`; `d: f16, m: f16`, the fifth bits of `q: u1[32]`, the low four `u4[32]`.
pub(super) fn q5_1(block: &[u8; 24], out: &mut [f32; SMALL]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    let fifth = fifth_bits(block, 4);
    for i in 0..16 {
        let byte = block[8 + i];
        out[i] = d * f32::from(five_bits(byte & 0x0f, fifth, i)) + m;
        out[i + 16] = d * f32::from(five_bits(byte >> 4, fifth, i + 16)) + m;
    }
}

/// `d · q`; `d: f16, q: i8[32]`.
pub(super) fn q8_0(block: &[u8; 34], out: &mut [f32; SMALL]) {
    let d = half_at(block, 0);
    for (out, &q) in out.iter_mut().zip(&block[2..]) {
        *out = f32::from(q as i8) * d;
    }
}

fn fifth_bits(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn five_bits(low: u8, fifth: u32, weight: usize) -> u8 {
    low | (((fifth >> weight) & 1) as u8) << 4
}
