//! Elementary functions in a form that compilers turn into vector code: no calls, no branches, no tables.
//!
//! Each is a plain function of one value; inside `pulp`'s dispatch the loops around it use the machine's widest vectors. All
//! that lies between the dispatch and one of these must be inlined always: elsewhere `mul_add` is a call of a library
//! function that takes a hundred times as long.

/// `e^x`, within 2 units in the last place where the result is a normal number. Below -87.3 it is 0, above 88.7 infinity.
///
/// Cody and Waite's reduction by multiples of ln 2 and the polynomial of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Adding and subtracting 1.5 · 2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.0);
    let n = clamped.mul_add(LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, clamped));
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let e = p.mul_add(r * r, r) + 1.0;
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    let value = e * power;
    if x < -87.3 {
        0.0
    } else if x > 88.0 {
        // Past 88 the exponent no longer fits; the step from there to overflow is 0.7 wide.
        f32::INFINITY
    } else {
        value
    }
}

/// `x / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// GELU in its tanh form, `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`: GPT-2's `gelu_new`.
///
/// `1 + tanh(u) = 2 / (1 + e^-2u)`, so it is SiLU of another argument.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    /// 2 · √(2/π)
    const SLOPE: f32 = 1.595_769_2;
    let u = SLOPE * (x * x * x).mul_add(0.044_715, x);
    x / (1.0 + exp(-u))
}

/// GELU itself, `x · Φ(x)` with the normal distribution's Φ: BERT's `gelu`.
///
/// Φ by formula 26.2.17 of Abramowitz and Stegun, within 1e-7 of the truth.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    /// 1 / √(2π)
    const DENSITY: f32 = 0.398_942_3;
    let size = x.abs();
    let t = 1.0 / size.mul_add(0.231_641_9, 1.0);
    let mut p = 1.330_274_4_f32;
    p = p.mul_add(t, -1.821_256);
    p = p.mul_add(t, 1.781_477_9);
    p = p.mul_add(t, -0.356_563_78);
    p = p.mul_add(t, 0.319_381_53);
    let tail = DENSITY * exp(-0.5 * x * x) * (p * t);
    x * if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            assert!(
                (f64::from(exp(x)) / exact - 1.0).abs() < 3e-7,
                "{x}: {} {exact}",
                exp(x)
            );
            x += 0.0137;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(1000.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_is_the_integral_of_its_density() {
        // Simpson's rule from 0 on: Φ(x) = 1/2 + ∫ φ.
        let density = |u: f64| (-0.5 * u * u).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (step, mut half) = (0.005, 0.0);
        for i in 0..2000 {
            let u = f64::from(i) * step;
            let exact = |x: f64, phi: f64| x * phi;
            for (x, phi) in [(u, 0.5 + half), (-u, 0.5 - half)] {
                let error = (f64::from(gelu(x as f32)) - exact(x, phi)).abs();
                assert!(error < 6e-7 * x.abs().max(1.0), "{x}: off by {error}");
            }
            half += step / 6.0 * (density(u) + 4.0 * density(u + step / 2.0) + density(u + step));
        }
    }

    #[test]
    fn silu_and_gelu_match_their_definitions() {
        for i in -200..200 {
            let x = i as f32 * 0.1;
            let wide = f64::from(x);
            let exact = wide / (1.0 + (-wide).exp());
            assert!(
                (f64::from(silu(x)) - exact).abs() < 1e-6 * exact.abs().max(1.0),
                "{x}"
            );
            let u = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            let exact = 0.5 * wide * (1.0 + u.tanh());
            assert!(
                (f64::from(gelu_tanh(x)) - exact).abs() < 2e-6 * exact.abs().max(1.0),
                "{x}"
            );
        }
        assert_eq!(silu(-200.0), -0.0);
        assert_eq!(gelu(-30.0), -0.0);
        assert_eq!(gelu_tanh(-30.0), -0.0);
    }
}
