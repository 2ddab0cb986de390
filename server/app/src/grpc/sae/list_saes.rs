//! ListSaes: resident SAEs, by name, of one model or of all.

use latentd_domain::ModelId;
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{convert, error::Error, layers::Context, page::Page, parse::Violations},
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::ListSaesRequest,
) -> Result<pb::ListSaesResponse, Error> {
    let (model, page) = parse(&request, app.config.limits.max_page_size)?;
    let catalog = app.engine.catalog();
    if let Some(model) = model
        .as_ref()
        .filter(|&model| !catalog.models.contains_key(model))
    {
        return Err(latentd_engine::Error::UnknownModel {
            model: model.clone(),
        }
        .into());
    }
    let of_model =
        |name: &latentd_domain::SaeName| model.as_ref().is_none_or(|id| id == name.model());
    let entries = catalog.saes.values().filter(|entry| of_model(&entry.name));
    // The catalog is ordered by name, and so are the tokens: the order of parts, not of the joined text.
    let (saes, next_page_token) = page.cut(entries, |entry| key(&entry.name));
    let saes = saes.into_iter().map(|entry| convert::sae(entry)).collect();
    Ok(pb::ListSaesResponse {
        saes,
        next_page_token,
    })
}

/// Sorts as the names do: a space sorts before everything that an id may hold.
fn key(name: &latentd_domain::SaeName) -> String {
    format!("{} {}", name.model().id(), name.id())
}

fn parse(request: &pb::ListSaesRequest, max: usize) -> Result<(Option<ModelId>, Page), Error> {
    let mut violations = Violations::default();
    let parent = if request.parent == "models/-" {
        ""
    } else {
        &request.parent
    };
    let model = violations.optional("parent", parent);
    let page = Page::parse(&mut violations, request.page_size, &request.page_token, max);
    violations.check().map(|()| (model, page))
}
