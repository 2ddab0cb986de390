//! LoadModel: reads a model from disk, makes it resident and remembers it.

use std::path::PathBuf;

use latentd_domain::{Dtype, ModelId};
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{check_named, convert, error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::LoadModelRequest,
) -> Result<pb::Model, Error> {
    let Parsed { id, path, dtype } = parse(&request)?;
    check_named(&app, vec![("path".to_owned(), path.clone())]).await?;
    let entry = residency::load_model(&app, id, path, dtype).await?;
    Ok(convert::model(&entry))
}

#[derive(Debug)]
struct Parsed {
    id: ModelId,
    path: PathBuf,
    dtype: Option<Dtype>,
}

fn parse(request: &pb::LoadModelRequest) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let id = violations.parsed("model_id", &request.model_id);
    let path = violations.path("path", &request.path);
    let dtype = (!request.dtype.is_empty()).then(|| convert::dtype(&request.dtype));
    if dtype == Some(None) {
        violations.invalid("dtype", format!("`{}` is not f32 or bf16", request.dtype));
    }
    let parsed = id.zip(path).map(|(id, path)| Parsed {
        id,
        path,
        dtype: dtype.flatten(),
    });
    violations.finish(parsed)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::LoadModelRequest {
            model_id: "A B".to_owned(),
            path: String::new(),
            dtype: "f8".to_owned(),
        };
        let status = tonic::Status::from(parse(&request).unwrap_err());
        let fields = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields.len(), 3, "{fields:?}");
    }
}
