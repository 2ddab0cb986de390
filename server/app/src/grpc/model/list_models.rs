//! ListModels: resident models, by name.

use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, page::Page, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListModelsRequest,
) -> Result<pb::ListModelsResponse, Error> {
    let page = parse(&request, app.config.limits.max_page_size)?;
    let catalog = app.engine.catalog();
    let (models, next_page_token) = page.cut(catalog.models.values(), |entry| entry.id.to_string());
    let models = models
        .into_iter()
        .map(|entry| convert::model(entry))
        .collect();
    Ok(pb::ListModelsResponse {
        models,
        next_page_token,
    })
}

fn parse(request: &pb::ListModelsRequest, max: usize) -> Result<Page, Error> {
    let mut violations = Violations::default();
    let page = Page::parse(&mut violations, request.page_size, &request.page_token, max);
    violations.check().map(|()| page)
}
