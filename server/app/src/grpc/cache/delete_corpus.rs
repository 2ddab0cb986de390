//! DeleteCorpus: an uploaded corpus goes before its time.

use latentd_domain::CorpusId;
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::DeleteCorpusRequest,
) -> Result<pb::DeleteCorpusResponse, Error> {
    let mut violations = Violations::default();
    let id: Option<CorpusId> = violations.parsed("name", &request.name);
    let id = violations.finish(id)?;
    let freed_bytes = app.corpora.delete(&id, &app.store).await?;
    Ok(pb::DeleteCorpusResponse { freed_bytes })
}
