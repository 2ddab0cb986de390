//! How examples are drawn: `ExamplePlan`, with its defaults.

use latentd_domain::autointerp::{ExamplePlan, NonActivatingSource, TrainSampler};
use latentd_proto::v1::{self as pb, example_plan as plan};

use crate::{config::Limits, grpc::parse::Violations};

/// Reads the field `examples`; absent, it is all defaults. `train_sampler` is that of the explainer. Where nobody scores, nothing is
/// held back for scorers.
pub(super) fn parse(
    violations: &mut Violations,
    message: Option<pb::ExamplePlan>,
    train_sampler: TrainSampler,
    (limits, scored): (&Limits, bool),
) -> ExamplePlan {
    let default = ExamplePlan::default();
    let message = message.unwrap_or_default();
    let or = |given: u32, default| if given == 0 { default } else { given as usize };
    let n_train = or(message.n_train, default.n_train);
    let n_test = or(message.n_test, default.n_test);
    let n_non_activating = or(message.n_non_activating, default.n_non_activating);
    let (n_test, n_non_activating) = if scored {
        (n_test, n_non_activating)
    } else {
        (0, 0)
    };
    let min_examples = message.min_examples.map_or_else(
        || ExamplePlan::default_min(n_train, n_test),
        |min| min as usize,
    );
    let plan = ExamplePlan {
        n_train,
        n_test,
        n_non_activating,
        n_quantiles: or(message.n_quantiles, default.n_quantiles),
        train_sampler: sampler(violations, message.train_sampler).unwrap_or(train_sampler),
        ratio_top: message.ratio_top.unwrap_or(default.ratio_top),
        non_activating: non_activating(violations, message.non_activating),
        window: or(message.window, default.window),
        centring: violations.centring("examples.centring", message.centring),
        min_examples,
        seed: message.seed,
    };
    check(violations, &plan, limits);
    plan
}

fn check(violations: &mut Violations, plan: &ExamplePlan, limits: &Limits) {
    let max_examples = (limits.max_examples as u64, "max_examples");
    for (field, count) in [
        ("examples.n_train", plan.n_train),
        ("examples.n_test", plan.n_test),
        ("examples.n_non_activating", plan.n_non_activating),
        ("examples.n_quantiles", plan.n_quantiles),
    ] {
        violations.at_most(field, count as u64, max_examples);
    }
    let max_window = (limits.max_window as u64, "max_window");
    violations.at_most("examples.window", plan.window as u64, max_window);
    violations.within("examples.ratio_top", plan.ratio_top, 0.0..=1.0);
    let most = plan.n_train + plan.n_test;
    if plan.min_examples > most {
        let description = format!(
            "{} is more than the {most} that n_train and n_test ask for",
            plan.min_examples
        );
        violations.invalid("examples.min_examples", description);
    }
}

fn sampler(violations: &mut Violations, value: i32) -> Option<TrainSampler> {
    match violations.choice("examples.train_sampler", value, "Sampler") {
        plan::Sampler::Unspecified => None,
        plan::Sampler::Quantiles => Some(TrainSampler::Quantiles),
        plan::Sampler::Top => Some(TrainSampler::Top),
        plan::Sampler::Random => Some(TrainSampler::Random),
        plan::Sampler::Mix => Some(TrainSampler::Mix),
    }
}

fn non_activating(violations: &mut Violations, value: i32) -> NonActivatingSource {
    use plan::NonActivating as From;
    match violations.choice("examples.non_activating", value, "NonActivating") {
        From::Unspecified | From::RandomWindows => NonActivatingSource::RandomWindows,
        From::NeighboursCoOccurrence => NonActivatingSource::NeighboursCoOccurrence,
        From::NeighboursEncoder => NonActivatingSource::NeighboursEncoder,
        From::NeighboursDecoder => NonActivatingSource::NeighboursDecoder,
        From::SimilarText => NonActivatingSource::SimilarText,
    }
}
