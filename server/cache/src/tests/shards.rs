//! Shards: the same bytes however their rows came, and refusal of what cannot be stored.

use latentd_domain::{ActivationDtype, SparseActivations};
use proptest::prelude::*;

use super::dense::{Dense, dense};
use crate::{Error, ShardBuilder, ShardSpec, ShardSummary};

/// Writes the shard of all rows, added one by one in this order, latents forwards or backwards.
fn write(model: &Dense, order: &[u64], backwards: bool) -> (ShardSummary, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/shard");
    let rows = model.rows().len() as u64;
    let mut shard = ShardBuilder::new(model.shard_spec(0..rows));
    for &row in order {
        let mut activations = model.encode(&[row]);
        if backwards {
            let mut reversed = SparseActivations::default();
            for token in 0..activations.rows() {
                let (latents, values) = activations.row(token);
                latents
                    .iter()
                    .zip(values)
                    .rev()
                    .for_each(|(&latent, &value)| reversed.push(latent, value));
                reversed.end_row();
            }
            activations = reversed;
        }
        shard
            .add_row(row, &activations, 0..activations.rows())
            .unwrap();
    }
    (shard.write(&path).unwrap(), fs_err::read(&path).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_rows_does_not_show(model in dense(), rotation in 0..100_usize) {
        let mut order: Vec<u64> = (0..model.rows().len() as u64).collect();
        let forwards = write(&model, &order, false);
        order.reverse();
        let middle = rotation.checked_rem(order.len()).unwrap_or(0);
        order.rotate_left(middle);
        let shuffled = write(&model, &order, true);
        prop_assert_eq!(&forwards.0.digest, &blake3::hash(&forwards.1).to_hex().to_string());
        prop_assert_eq!(forwards.0.bytes, forwards.1.len() as u64);
        prop_assert_eq!(forwards, shuffled);
    }
}

fn builder(context_length: usize) -> ShardBuilder {
    let dtype = ActivationDtype::F32;
    ShardBuilder::new(ShardSpec {
        d_sae: 4,
        dtype,
        context_length,
        rows: 10..12,
    })
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let one = |latent, activation| {
        let mut out = SparseActivations::default();
        out.push(latent, activation);
        out.end_row();
        out
    };
    let refused =
        |result: Result<(), Error>| assert!(matches!(result, Err(Error::InvalidBuild { .. })));
    refused(builder(4).add_row(9, &one(0, 1.0), 0..1));
    refused(builder(4).add_row(12, &one(0, 1.0), 0..1));
    refused(builder(4).add_row(10, &one(4, 1.0), 0..1));
    refused(builder(4).add_row(10, &one(0, f32::NAN), 0..1));
    refused(builder(4).add_row(10, &one(0, f32::INFINITY), 0..1));
    refused(builder(4).add_row(10, &one(0, 1.0), 0..2));
    let mut twice = builder(4);
    twice.add_row(10, &one(0, 1.0), 0..1).unwrap();
    refused(twice.add_row(10, &one(0, 1.0), 0..1));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shard");
    assert!(matches!(
        twice.write(&path),
        Err(Error::InvalidBuild { .. })
    ));
    assert!(!path.exists());

    // What does not fire is no error: it is left out.
    let mut shard = builder(4);
    shard.add_row(10, &one(0, 0.0), 0..1).unwrap();
    shard.add_row(11, &one(0, -1.0), 0..1).unwrap();
    assert_eq!(shard.write(&path).unwrap().entries, 0);
}

#[test]
fn long_rows_have_wide_positions() {
    for (context_length, dtype) in [(65_535, "U16"), (65_536, "U32")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let mut activations = SparseActivations::default();
        for position in 0..context_length {
            if position + 1 == context_length {
                activations.push(2, 1.0);
            }
            activations.end_row();
        }
        for stored in [ActivationDtype::F16, ActivationDtype::F32] {
            let spec = ShardSpec {
                d_sae: 4,
                dtype: stored,
                context_length,
                rows: 0..1,
            };
            let mut shard = ShardBuilder::new(spec.clone());
            shard.add_row(0, &activations, 0..context_length).unwrap();
            assert_eq!(shard.write(&path).unwrap().entries, 1);
            let bytes = fs_err::read(&path).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            assert_eq!(
                format!("{:?}", tensors.tensor("position").unwrap().dtype()),
                dtype
            );
            let read = crate::shard::Shard::open(&path, spec, 1).unwrap();
            let firing = read.postings(2).get(0).unwrap();
            assert_eq!(
                (firing.position as usize, firing.activation),
                (context_length - 1, 1.0)
            );
        }
    }
}
