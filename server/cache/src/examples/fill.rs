//! Turns windows into examples: token ids, and the activation of the latent on each token.

use latentd_domain::Example;

use super::{Source, draw::Drawn, window::Window};
use crate::Error;

/// The examples of windows, in their order.
///
/// Fails with `CacheCorrupt` if a window does not have its peak where the candidate said.
pub(crate) fn examples(source: &Source<'_>, drawn: Vec<Drawn>) -> Result<Vec<Example>, Error> {
    let windows: Vec<Window> = drawn.iter().map(|drawn| drawn.window).collect();
    let mut out: Vec<Example> = drawn
        .into_iter()
        .map(|drawn| silent(source, drawn))
        .collect();
    scan(source, &windows, |window, token, activation| {
        let example = out.get_mut(window);
        if let Some(place) = example.and_then(|example| example.activations.get_mut(token)) {
            *place = activation;
        }
    });
    let peaks = |example: &Example| match example.peak_index {
        Some(index) => {
            let strongest = example
                .activations
                .iter()
                .all(|&activation| activation <= example.peak);
            strongest && example.activations.get(index as usize) == Some(&example.peak)
        }
        None => true,
    };
    match out.iter().find(|&example| !peaks(example)) {
        Some(example) => {
            let detail = format!(
                "latent {} is not sorted around row {}",
                source.latent, example.row
            );
            Err(Error::corrupt(source.dir, detail))
        }
        None => Ok(out),
    }
}

/// The examples of windows of which only the place is known, in their order: their peaks are found.
pub(crate) fn given(source: &Source<'_>, windows: &[Window]) -> Vec<Example> {
    let mut out: Vec<Example> = windows
        .iter()
        .map(|&window| silent(source, Drawn::from(window)))
        .collect();
    scan(source, windows, |window, token, activation| {
        let Some(example) = out.get_mut(window) else {
            return;
        };
        if let Some(place) = example.activations.get_mut(token) {
            *place = activation;
        }
        let token = token as u32;
        // Of equally strong tokens the first is the peak.
        let before = example.peak_index.is_none_or(|index| token < index);
        if activation > example.peak || activation == example.peak && before {
            (example.peak, example.peak_index) = (activation, Some(token));
        }
    });
    out
}

/// The example of a window, its activations still 0.
fn silent(source: &Source<'_>, drawn: Drawn) -> Example {
    let Drawn { window, group, bin } = drawn;
    let row = u64::from(window.row);
    let fires = window.peak != 0.0;
    Example {
        document: source.tokens.document(row),
        row,
        start: window.start,
        ids: source.text(&window).to_vec(),
        activations: vec![0.0; window.len as usize],
        peak: window.peak,
        peak_index: fires.then(|| window.peak_position - window.start),
        quantile: group,
        bin,
    }
}

/// Calls `hit(window, token of the window, activation)` for each firing token in `windows`.
///
/// One pass over the latent's tokens in each shard that has windows, with a table of the shard's rows.
pub(crate) fn scan(
    source: &Source<'_>,
    windows: &[Window],
    mut hit: impl FnMut(usize, usize, f32),
) {
    let mut order: Vec<(u32, u32, usize)> = windows
        .iter()
        .enumerate()
        .map(|(at, window)| (window.row, window.start, at))
        .collect();
    order.sort_unstable();
    let mut rest = order.as_slice();
    // For each row of a shard, the number of its first window, from 1; 0 where it has none.
    let mut first_window: Vec<u32> = Vec::new();
    for shard in source.shards {
        let rows = shard.rows();
        let (here, later) =
            rest.split_at(rest.partition_point(|&(row, ..)| u64::from(row) < rows.end));
        rest = later;
        if here.is_empty() {
            continue;
        }
        let row_at = |row: u32| u64::from(row).wrapping_sub(rows.start) as usize;
        first_window.clear();
        first_window.resize((rows.end - rows.start) as usize, 0);
        for (at, &(row, ..)) in here.iter().enumerate().rev() {
            if let Some(first) = first_window.get_mut(row_at(row)) {
                *first = at as u32 + 1;
            }
        }
        let postings = shard.postings(source.latent);
        for (at, &row) in postings.rows().iter().enumerate() {
            let first = first_window.get(row_at(row)).copied().unwrap_or(0);
            if first == 0 {
                continue;
            }
            let Some(position) = postings.position(at) else {
                continue;
            };
            let of_row = here.get(first as usize - 1..).unwrap_or_default();
            for &(_, start, window) in of_row.iter().take_while(|&&(other, ..)| other == row) {
                let len = windows.get(window).map_or(0, |window| window.len);
                if let Some(token) = position.checked_sub(start).filter(|&token| token < len) {
                    hit(
                        window,
                        token as usize,
                        postings.activation(at).unwrap_or_default(),
                    );
                }
            }
        }
    }
}

/// Whether the source's latent fires in each of the windows: one pass over its tokens in the shards that they lie in.
pub(crate) fn fires(source: &Source<'_>, windows: &[Window]) -> Vec<bool> {
    let mut fires = vec![false; windows.len()];
    scan(source, windows, |window, _, _| {
        if let Some(fires) = fires.get_mut(window) {
            *fires = true;
        }
    });
    fires
}
