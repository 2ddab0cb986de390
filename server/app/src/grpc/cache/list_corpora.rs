//! ListCorpora: what was uploaded to this server and is still there.

use latentd_cache::FoundCorpus;
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{error::Error, layers::Context, page::Page, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListCorporaRequest,
) -> Result<pb::ListCorporaResponse, Error> {
    let mut violations = Violations::default();
    let page = Page::parse(
        &mut violations,
        request.page_size,
        &request.page_token,
        app.config.limits.max_page_size,
    );
    violations.check()?;
    let found = app.corpora.list().await?;
    let (found, next_page_token) = page.cut(found, |corpus| corpus.id.id().to_owned());
    let message = |corpus: FoundCorpus| pb::UploadedCorpus {
        name: corpus.id.to_string(),
        documents: None,
        size_bytes: corpus.bytes,
        expire_time: Some((corpus.used + app.corpora.keep).into()),
    };
    Ok(pb::ListCorporaResponse {
        corpora: found.into_iter().map(message).collect(),
        next_page_token,
    })
}
