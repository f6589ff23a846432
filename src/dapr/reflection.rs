//! What daprd asks a socket when it starts: which services are there.

use std::path::Path;

use tonic::{Request, transport::Endpoint};
use tonic_reflection::pb::v1alpha::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::server::SERVICE;

/// Why daprd would not take what listens on a socket for a pub/sub component.
#[derive(Debug, thiserror::Error)]
pub enum NoComponent {
    /// It speaks no gRPC, or has no reflection of the version that daprd asks for.
    #[error("it does not answer gRPC reflection v1alpha, which daprd asks ({0})")]
    NoReflection(String),
    /// It serves something else.
    #[error("it serves {0} and not {SERVICE}")]
    OtherServices(String),
}

/// Asks as daprd's discovery does (dapr/dapr v1.16.5,
/// `pkg/components/pluggable/discovery.go`): reflection v1alpha, all services. It has no
/// bound in time, as daprd's question has none.
///
/// # Errors
/// When daprd would not find a pub/sub component there.
pub async fn ask(socket: &Path) -> Result<(), NoComponent> {
    let unanswered = |error: &dyn std::error::Error| NoComponent::NoReflection(innermost(error));
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()));
    let endpoint = endpoint.map_err(|error| unanswered(&error))?;
    let channel = endpoint.connect().await;
    let mut client = ServerReflectionClient::new(channel.map_err(|error| unanswered(&error))?);
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = client.server_reflection_info(Request::new(tokio_stream::once(list)));
    let mut answers = asked
        .await
        .map_err(|error| unanswered(&error))?
        .into_inner();
    let answer = answers
        .message()
        .await
        .map_err(|error| unanswered(&error))?;
    let Some(MessageResponse::ListServicesResponse(list)) =
        answer.and_then(|answer| answer.message_response)
    else {
        return Err(NoComponent::NoReflection("its answer is no list".into()));
    };
    let names: Vec<_> = list.service.into_iter().map(|it| it.name).collect();
    if names.iter().any(|name| name == SERVICE) {
        return Ok(());
    }
    Err(NoComponent::OtherServices(names.join(", ")))
}

/// The cause that says most: tonic's own words are "transport error".
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
