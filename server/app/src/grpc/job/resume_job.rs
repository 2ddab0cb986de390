//! ResumeJob: lets a paused job go on, with a larger budget where one is given.

use latentd_domain::JobId;
use latentd_proto::v1 as pb;
use latentd_store::pauses::Raise;

use crate::{
    app::Shared,
    grpc::{
        convert, error::Error, explanation::request::budget, layers::Context, parse::Violations,
    },
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ResumeJobRequest,
) -> Result<pb::Job, Error> {
    let (id, raise) = parse(&request)?;
    Ok(convert::job(app.store.jobs().resume(&id, raise).await?))
}

fn parse(request: &pb::ResumeJobRequest) -> Result<(JobId, Raise), Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let raise = Raise {
        calls: budget::some(request.budget_calls),
        tokens: budget::some(request.budget_tokens),
        micros: budget::micros(&mut violations, "budget_dollars", request.budget_dollars),
    };
    violations.finish(id.map(|id| (id, raise)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_leave_the_budget_as_it_is() {
        let request = pb::ResumeJobRequest {
            name: "jobs/j".to_owned(),
            budget_calls: 7,
            budget_dollars: 0.5,
            ..pb::ResumeJobRequest::default()
        };
        let (_, raise) = parse(&request).unwrap();
        let expected = Raise {
            calls: Some(7),
            tokens: None,
            micros: Some(500_000),
        };
        assert_eq!(raise, expected);
        let negative = pb::ResumeJobRequest {
            budget_dollars: -1.0,
            ..request
        };
        assert!(parse(&negative).is_err());
    }
}
