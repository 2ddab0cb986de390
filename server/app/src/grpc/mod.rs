//! The gRPC surface: one folder for each service, one file for each RPC, all of the same shape: parse the request, reporting
//! everything that is wrong with it at once; call the engine, the database or a cache; build the reply.
//!
//! What surrounds a call is in [`layers`], what becomes of a failure in [`error`].

mod activation;
mod cache;
mod convert;
pub mod error;
mod explanation;
mod job;
mod known;
mod latents;
pub(crate) mod layers;
mod model;
mod page;
mod parse;
mod provider;
mod sae;
mod server;

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

use futures::Stream;
use latentd_domain::Reason;
use latentd_files::Interrupt;
use latentd_proto::{DESCRIPTORS, v1 as pb};
use tonic::{Request, Response, Status, codec::CompressionEncoding, service::Routes};
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};

pub(crate) use self::cache::remove_files;
use self::{error::Error, layers::Context, parse::Violations};
use crate::app::Shared;

/// A streaming reply.
type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Every service, with health and reflection.
pub(crate) fn routes<H: HealthService>(
    app: &Shared,
    health: HealthServer<H>,
) -> Result<Routes, tonic_reflection::server::Error> {
    let max = app.config.limits.max_message_bytes;
    // Requests may be compressed. Replies are not: most are floats, which compress badly, and clients ask for it by default.
    macro_rules! service {
        ($server:path, $service:expr) => {{
            use $server as Server;
            Server::new($service)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(max)
                .max_encoding_message_size(max)
        }};
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let app = || Arc::clone(app);
    let mut routes = Routes::builder();
    routes
        .add_service(service!(
            pb::server_service_server::ServerServiceServer,
            server::Service(app())
        ))
        .add_service(service!(
            pb::model_service_server::ModelServiceServer,
            model::Service(app())
        ))
        .add_service(service!(
            pb::sae_service_server::SaeServiceServer,
            sae::Service(app())
        ))
        .add_service(service!(
            pb::activation_service_server::ActivationServiceServer,
            activation::Service(app())
        ))
        .add_service(service!(
            pb::cache_service_server::CacheServiceServer,
            cache::Service(app())
        ))
        .add_service(service!(
            pb::job_service_server::JobServiceServer,
            job::Service(app())
        ))
        .add_service(service!(
            pb::explanation_service_server::ExplanationServiceServer,
            explanation::Service(app())
        ))
        .add_service(service!(
            pb::provider_service_server::ProviderServiceServer,
            provider::Service(app())
        ))
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes.routes())
}

/// Runs the handler of a unary call.
async fn unary<M, R, F>(
    app: &Shared,
    mut request: Request<M>,
    handle: impl FnOnce(Shared, Context, M) -> F,
) -> Result<Response<R>, Status>
where
    F: Future<Output = Result<R, Error>>,
{
    let context = Context::take(&mut request);
    match handle(Arc::clone(app), context, request.into_inner()).await {
        Ok(reply) => Ok(Response::new(reply)),
        Err(error) => Err(known::listed(app, error).await.into()),
    }
}

/// Runs the handler of a call whose reply is a stream; what it refuses is refused before the stream begins.
async fn streaming<M, S, T, F>(
    app: &Shared,
    mut request: Request<M>,
    handle: impl FnOnce(Shared, Context, M) -> F,
) -> Result<Response<Streaming<T>>, Status>
where
    S: Stream<Item = Result<T, Status>> + Send + 'static,
    F: Future<Output = Result<S, Error>>,
{
    let context = Context::take(&mut request);
    match handle(Arc::clone(app), context, request.into_inner()).await {
        Ok(replies) => Ok(Response::new(Box::pin(replies))),
        Err(error) => Err(known::listed(app, error).await.into()),
    }
}

/// Runs work that blocks on a thread where it may, within the current span. A panic there is a defect like any other.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.unwrap_or_else(|panic| Err(Error::internal(format!("blocking work failed: {panic}"))))
}

/// Fails if the configuration does not let requests name one of these paths, given with the fields that they are in.
pub(crate) async fn check_named(app: &Shared, paths: Vec<(String, PathBuf)>) -> Result<(), Error> {
    let app = Arc::clone(app);
    blocking(move || {
        let mut violations = Violations::default();
        for (field, path) in paths {
            if !app.config.paths.may_be_named(&path) {
                let description = format!(
                    "{} lies in none of the folders that the server's configuration lists in `paths.roots`",
                    path.display()
                );
                violations.add(field, Reason::PathNotAllowed, description);
            }
        }
        violations.check()
    })
    .await
}

/// [`blocking`] for work that can take long: it is told to stop when the deadline passes or the caller leaves.
pub(crate) async fn blocking_until<T: Send + 'static>(
    deadline: Option<std::time::Instant>,
    work: impl FnOnce(&Interrupt) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (interrupt, _guard) = Interrupt::guarded(deadline);
    blocking(move || work(&interrupt)).await
}

/// The status that a stream ends with when the server shuts down.
fn shutting_down() -> Status {
    Error::new(Reason::ShuttingDown, "the server is shutting down").into()
}
