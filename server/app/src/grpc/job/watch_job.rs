//! WatchJob: the events of a job until it ends, resumable from any of them. A short outage of the database is waited out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use latentd_proto::v1 as pb;
use latentd_store::events::{JobEvent, Watch};
use tonic::Status;

use crate::{
    app::{App, Shared},
    grpc::{convert, error::Error, layers::Context, parse::Violations, shutting_down},
};

/// How long the database may be away before a watch ends with DATABASE_UNAVAILABLE.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause before the database is asked again.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::WatchJobRequest,
) -> Result<impl Stream<Item = Result<pb::JobEvent, Status>>, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("name", &request.name);
    let watch = app
        .store
        .events()
        .watch(&violations.finish(id)?, request.after_event_id)
        .await?;
    Ok(stream::unfold(Some(watch), move |watch| {
        let app = Arc::clone(&app);
        async move {
            let mut watch = watch?;
            match next(&app, &mut watch).await {
                Ok(Some(event)) => Some((Ok(convert::job_event(event)), Some(watch))),
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        }
    }))
}

async fn next(app: &App, watch: &mut Watch) -> Result<Option<JobEvent>, Status> {
    let mut away_since = None;
    loop {
        let next = tokio::select! {
            () = app.life.draining() => return Err(shutting_down()),
            next = watch.next() => next,
        };
        match next {
            Ok(event) => return Ok(event),
            Err(latentd_store::Error::DatabaseUnavailable(_))
                if away_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(Error::from(error).into()),
        }
    }
}
