use bytes::BytesMut;
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable as _, Encodable as _, HeaderVersion as _, Request},
};
use tokio::net::TcpStream;

use super::connection::{read, write};
use crate::Result;

/// Asks a broker or a lab something, in plaintext, in just this version.
///
/// # Errors
/// When no answer comes, or none of this kind.
pub async fn ask<R: Request>(address: &str, request: &R, version: i16) -> Result<R::Response> {
    let mut stream = TcpStream::connect(address).await?;
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version);
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes, R::header_version(version))?;
    request.encode(&mut bytes, version)?;
    write(&mut stream, &bytes).await?;
    let mut answer = read(&mut stream).await?;
    ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
    Ok(R::Response::decode(&mut answer, version)?)
}
