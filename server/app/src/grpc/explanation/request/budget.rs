//! What a job may spend: `Budget`, in which 0 means no limit.

use latentd_domain::autointerp::Budget;
use latentd_proto::v1 as pb;

use crate::grpc::parse::Violations;

/// Most dollars of a budget: their millionths stay exact in a double.
const MAX_DOLLARS: f64 = 1e9;

/// Reads the field `budget`.
pub(super) fn parse(violations: &mut Violations, message: Option<pb::Budget>) -> Budget {
    let message = message.unwrap_or_default();
    Budget {
        calls: some(message.calls),
        tokens: some(message.tokens),
        micros: micros(violations, "budget.dollars", message.dollars),
    }
}

/// A limit; 0 is none.
pub(in crate::grpc) fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

/// Dollars as millionths; 0 is no limit.
pub(in crate::grpc) fn micros(
    violations: &mut Violations,
    field: &str,
    dollars: f64,
) -> Option<i64> {
    violations.within(field, dollars, 0.0..=MAX_DOLLARS);
    // The smallest limit is a millionth: a budget that was given is never taken for none.
    (dollars > 0.0).then(|| ((dollars * 1e6).round() as i64).max(1))
}
