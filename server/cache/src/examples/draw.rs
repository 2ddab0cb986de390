//! Draws windows from the population of a latent: by quantile, by interval, or at random. Pure.

use std::ops::Range;

use latentd_domain::ExampleQuery;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::window::Window;

/// A window that was drawn, and from where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) window: Window,
    /// Quantile or interval; 0 is the strongest.
    pub(crate) group: Option<u32>,
    /// Ends of the interval.
    pub(crate) bin: Option<(f32, f32)>,
}

impl From<Window> for Drawn {
    fn from(window: Window) -> Self {
        Self {
            window,
            group: None,
            bin: None,
        }
    }
}

/// `count` windows anywhere in the population, in the order in which they were drawn.
pub(crate) fn random(population: &[Window], count: usize, rng: &mut ChaCha8Rng) -> Vec<Drawn> {
    let drawn = index::sample(rng, population.len(), count.min(population.len()));
    drawn
        .iter()
        .filter_map(|at| population.get(at).copied())
        .map(Drawn::from)
        .collect()
}

/// `count` windows from slices of equal count, strongest slice first, and by falling peak inside each.
pub(crate) fn quantiles(
    population: &[Window],
    query: &ExampleQuery,
    rng: &mut ChaCha8Rng,
) -> Vec<Drawn> {
    let groups = query.groups.max(1);
    let size = (population.len() / groups).max(1);
    let mut out = Vec::new();
    for (group, slice) in population.chunks_exact(size).take(groups).enumerate() {
        let drawn = sample(slice, share(query.count, groups, group), rng);
        out.extend(drawn.map(|window| Drawn {
            window,
            group: Some(group as u32),
            bin: None,
        }));
    }
    out
}

/// `count` windows from the intervals of equal width that 0 to `max` is cut into, strongest interval first, and by
/// falling peak inside each. An interval holds its lower end; the strongest one both.
pub(crate) fn bins(
    population: &[Window],
    max: f32,
    query: &ExampleQuery,
    rng: &mut ChaCha8Rng,
) -> Vec<Drawn> {
    let groups = query.groups.clamp(1, u32::MAX as usize);
    let mut out = Vec::new();
    // The population falls by peak, so each interval is a run of it.
    for slice in population.chunk_by(|a, b| bin(a.peak, max, groups) == bin(b.peak, max, groups)) {
        let Some(group) = slice.first().map(|window| bin(window.peak, max, groups)) else {
            continue;
        };
        let Range { start, end } = interval(group, max, groups);
        let drawn = sample(slice, share(query.count, groups, group), rng);
        out.extend(drawn.map(|window| Drawn {
            window,
            group: Some(group as u32),
            bin: Some((start, end)),
        }));
    }
    out
}

/// Group `group`'s part of `count`: what does not divide goes to the strongest.
fn share(count: usize, groups: usize, group: usize) -> usize {
    count / groups + usize::from(group < count % groups)
}

/// `count` of the windows, without replacement, in their order.
fn sample<'a>(
    windows: &'a [Window],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> impl Iterator<Item = Window> + use<'a> {
    let mut drawn = index::sample(rng, windows.len(), count.min(windows.len())).into_vec();
    drawn.sort_unstable();
    drawn.into_iter().filter_map(|at| windows.get(at).copied())
}

/// The interval, counted from the strongest, in which `peak` lies.
fn bin(peak: f32, max: f32, groups: usize) -> usize {
    let weakest_first = (f64::from(peak) / f64::from(max) * groups as f64) as usize;
    let group = groups - 1 - weakest_first.min(groups - 1);
    // Ends are rounded to f32, which can move them over a peak.
    let Range { start, end } = interval(group, max, groups);
    if peak < start {
        (group + 1).min(groups - 1)
    } else if peak >= end {
        group.saturating_sub(1)
    } else {
        group
    }
}

/// Ends of interval `group`, counted from the strongest.
fn interval(group: usize, max: f32, groups: usize) -> Range<f32> {
    let end = |from_weakest: usize| (f64::from(max) * from_weakest as f64 / groups as f64) as f32;
    end(groups - 1 - group)..end(groups - group)
}

#[cfg(test)]
mod tests {
    use latentd_domain::{Centring, ExampleMode};
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn population(n: usize) -> Vec<Window> {
        (0..n)
            .map(|row| Window {
                row: row as u32,
                start: 0,
                len: 1,
                peak_position: 0,
                peak: (n - row) as f32,
            })
            .collect()
    }

    fn query(count: usize, groups: usize) -> ExampleQuery {
        let mode = ExampleMode::Quantile;
        ExampleQuery {
            mode,
            count,
            groups,
            window: 1,
            centring: Centring::Peak,
            seed: 0,
        }
    }

    #[test]
    fn quantiles_are_slices_of_equal_count() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        // 23 windows in 5 slices of 4: the weakest three belong to none.
        let drawn = quantiles(&population(23), &query(20, 5), &mut rng);
        let groups: Vec<_> = drawn
            .iter()
            .map(|d| (d.window.row, d.group.unwrap()))
            .collect();
        assert_eq!(
            groups,
            (0..20).map(|row| (row, row / 4)).collect::<Vec<_>>()
        );
        // Fewer windows than slices: one each.
        let drawn = quantiles(&population(3), &query(20, 10), &mut rng);
        assert_eq!(
            drawn.iter().map(|d| d.group.unwrap()).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        // What does not divide goes to the strongest.
        let drawn = quantiles(&population(30), &query(7, 3), &mut rng);
        let of = |group| drawn.iter().filter(|d| d.group == Some(group)).count();
        assert_eq!((of(0), of(1), of(2)), (3, 2, 2));
        assert!(quantiles(&[], &query(20, 10), &mut rng).is_empty());
    }

    proptest! {
        #[test]
        fn a_peak_lies_in_its_interval(max in 1e-6..1e6_f32, part in 0.0..=1.0_f32, groups in 1..50_usize) {
            let peak = (max * part).max(f32::MIN_POSITIVE);
            let group = bin(peak, max, groups);
            let Range { start, end } = interval(group, max, groups);
            prop_assert!(start <= peak && (peak < end || group == 0 && peak <= end), "{} {} {}", start, peak, end);
            prop_assert_eq!(interval(0, max, groups).end, max);
        }

        #[test]
        fn the_same_seed_draws_the_same(seed: u64, n in 0..50_usize, count in 0..60_usize) {
            let draw = || random(&population(n), count, &mut ChaCha8Rng::seed_from_u64(seed));
            let drawn = draw();
            prop_assert_eq!(&drawn, &draw());
            let rows: std::collections::HashSet<u32> = drawn.iter().map(|d| d.window.row).collect();
            prop_assert_eq!(rows.len(), count.min(n));
        }
    }
}
