//! LoadSae: reads an SAE from disk, tests it, makes it resident and remembers it.

use std::path::PathBuf;

use latentd_domain::{ModelId, Reason, SaeName};
use latentd_engine::SaeOptions;
use latentd_proto::v1 as pb;

use crate::{
    app::Shared,
    grpc::{check_named, convert, error::Error, layers::Context, parse::Violations},
    residency,
};

pub(super) async fn handle(
    app: Shared,
    _: Context,
    request: pb::LoadSaeRequest,
) -> Result<pb::Sae, Error> {
    let Parsed {
        name,
        path,
        options,
    } = parse(&request)?;
    check_named(&app, vec![("path".to_owned(), path.clone())]).await?;
    let entry = residency::load_sae(&app, name, path, options).await?;
    Ok(convert::sae(&entry))
}

#[derive(Debug)]
struct Parsed {
    name: SaeName,
    path: PathBuf,
    options: SaeOptions,
}

fn parse(request: &pb::LoadSaeRequest) -> Result<Parsed, Error> {
    let mut violations = Violations::default();
    let model: Option<ModelId> = violations.parsed("parent", &request.parent);
    // Any model will do to check the SAE's own id.
    let id = violations.parsed::<SaeName>("sae_id", &format!("m/{}", request.sae_id));
    let path = violations.path("path", &request.path);
    let factor = request.norm_scaling_factor;
    if factor.is_some_and(|factor| !(factor.is_finite() && factor > 0.0)) {
        violations.invalid("norm_scaling_factor", "must be a positive number");
    }
    let hook_point = (!request.hook_point.is_empty()).then(|| request.hook_point.parse());
    let hook_point = match hook_point.transpose() {
        Ok(hook_point) => hook_point,
        Err(error) => {
            let error: latentd_domain::HookPointError = error;
            violations.add("hook_point", Reason::UnknownHookPoint, error.to_string());
            None
        }
    };
    let name = model
        .zip(id)
        .and_then(|(model, id)| SaeName::new(model, id.id()).ok());
    let options = SaeOptions {
        norm_scaling_factor: factor,
        hook_point,
    };
    violations.finish(name.zip(path).map(|(name, path)| Parsed {
        name,
        path,
        options,
    }))
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn every_bad_field_is_reported() {
        let request = pb::LoadSaeRequest {
            parent: String::new(),
            sae_id: "a/b".to_owned(),
            path: String::new(),
            norm_scaling_factor: Some(f32::NAN),
            hook_point: "nowhere".to_owned(),
        };
        let status = tonic::Status::from(parse(&request).unwrap_err());
        let fields = status.get_details_bad_request().unwrap().field_violations;
        let names: Vec<&str> = fields
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "parent",
                "sae_id",
                "path",
                "norm_scaling_factor",
                "hook_point"
            ]
        );
        assert_eq!(fields[4].reason, "UNKNOWN_HOOK_POINT");
    }

    #[test]
    fn a_good_request_is_read() {
        let request = pb::LoadSaeRequest {
            parent: "models/m".to_owned(),
            sae_id: "l9".to_owned(),
            path: "/srv/sae".to_owned(),
            norm_scaling_factor: Some(0.5),
            hook_point: "layers.9".to_owned(),
        };
        let parsed = parse(&request).unwrap();
        assert_eq!(parsed.name.to_string(), "models/m/saes/l9");
        assert_eq!(parsed.options.hook_point.unwrap().layer, 9);
    }
}
