//! ListJobs: jobs, newest first, by state and kind.

use latentd_proto::v1 as pb;
use latentd_store::jobs::{Filter, JobState};

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, page::store_page, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListJobsRequest,
) -> Result<pb::ListJobsResponse, Error> {
    let filter = Filter {
        states: states(&request.states)?,
        kind: request.kind,
    };
    let page = store_page(
        request.page_size,
        request.page_token,
        app.config.limits.max_page_size,
    )?;
    let listed = app.store.jobs().list(&filter, &page).await?;
    Ok(pb::ListJobsResponse {
        jobs: listed.items.into_iter().map(convert::job).collect(),
        next_page_token: listed.next_page_token,
    })
}

fn states(values: &[i32]) -> Result<Vec<JobState>, Error> {
    let mut violations = Violations::default();
    let mut states = Vec::new();
    for (index, &value) in values.iter().enumerate() {
        let state = JobState::ALL
            .into_iter()
            .find(|&state| convert::job_state(state) as i32 == value);
        match state {
            Some(state) if states.contains(&state) => {}
            Some(state) => states.push(state),
            None => violations.invalid(
                format!("states[{index}]"),
                format!("{value} is no state of a job"),
            ),
        }
    }
    violations.check().map(|()| states)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_and_refused() {
        let running = pb::JobState::Running as i32;
        assert_eq!(states(&[running, running]).unwrap(), [JobState::Running]);
        assert!(states(&[0]).is_err());
        assert!(states(&[99]).is_err());
    }
}
