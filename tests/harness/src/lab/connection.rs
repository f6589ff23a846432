use std::io;

use bytes::{Buf as _, Bytes};
use kafka_protocol::{
    messages::{ApiKey, ProduceRequest, RequestHeader},
    protocol::{Decodable as _, HeaderVersion as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Asked, Behaviour, Shape, ranges::API_VERSIONS, rewrite};
use crate::Result;

/// More than any test sends.
const LARGEST: usize = 64 * 1024 * 1024;

/// What the lab's clients speak: TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Serves one connection to its end.
pub(super) async fn serve(shape: &Shape, client: TcpStream) -> Result<()> {
    client.set_nodelay(true)?;
    let mut client: Box<dyn Stream> = match &shape.acceptor {
        None => Box::new(client),
        Some(acceptor) => {
            let ssl = openssl::ssl::Ssl::new(acceptor.context())?;
            let mut stream = tokio_openssl::SslStream::new(ssl, client)?;
            if let Err(error) = std::pin::Pin::new(&mut stream).accept().await {
                hang_up(stream.get_mut()).await?;
                return Err(error.into());
            }
            Box::new(stream)
        }
    };
    match shape.options.behaviour {
        Behaviour::Broker | Behaviour::CloseAfterVersions => broker(shape, client).await,
        Behaviour::Hangup => hang_up(&mut client).await,
        Behaviour::CloseAtFirst => read(&mut client).await.map(drop),
        Behaviour::Garbage => reply(client, &[0xfe; 64]).await,
        Behaviour::Http => {
            let answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
                          Content-Length: 12\r\nConnection: close\r\n\r\nBad Request\n";
            reply(client, answer.as_bytes()).await
        }
        Behaviour::Silent => {
            // Until the client gives up.
            let mut sink = tokio::io::sink();
            tokio::io::copy(&mut client, &mut sink).await?;
            Ok(())
        }
    }
}

/// Answers whatever comes first with these bytes.
async fn reply(mut client: Box<dyn Stream>, bytes: &[u8]) -> Result<()> {
    client.read_u8().await?;
    client.write_all(bytes).await?;
    hang_up(&mut client).await
}

/// Says that no more comes, and waits for the other end to go: if bytes were left unread,
/// the system would reset the connection, and throw away what was written.
async fn hang_up(client: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized)) -> Result<()> {
    client.shutdown().await?;
    tokio::io::copy(client, &mut tokio::io::sink()).await?;
    Ok(())
}

/// One request after the other, as a broker serves a connection.
async fn broker(shape: &Shape, mut client: Box<dyn Stream>) -> Result<()> {
    let mut kafka = TcpStream::connect(&shape.kafka).await?;
    kafka.set_nodelay(true)?;
    let mut byte = [0];
    loop {
        let request = tokio::select! {
            request = read(&mut client) => request?,
            // It says nothing unasked: it has gone.
            _ = kafka.peek(&mut byte) => return Ok(()),
        };
        let mut first = request.clone();
        let (key, version) = (first.try_get_i16()?, first.try_get_i16()?);
        let correlation = first.try_get_i32()?;
        let asked = Asked { key, version };
        let closes = shape.options.behaviour == Behaviour::CloseAfterVersions;
        let ranges = shape.options.ranges.as_ref();
        let served = !closes && ranges.is_none_or(|ranges| ranges.serves(key, version));
        let cut = key != API_VERSIONS && !served;
        shape.note(asked, cut);
        if cut {
            return Ok(());
        }
        let answer = match ranges {
            Some(ranges) if key == API_VERSIONS => ranges.answer(version, correlation)?,
            _ => {
                write(&mut kafka, &request).await?;
                if unanswered(key, version, request) {
                    continue;
                }
                rewrite::answer(shape, key, version, read(&mut kafka).await?)?
            }
        };
        if answer.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(shape.options.delay).await;
        write(&mut client, &answer).await?;
    }
}

/// Whether a broker says nothing to this: records for which no acknowledgement is wanted.
fn unanswered(key: i16, version: i16, mut request: Bytes) -> bool {
    if key != ApiKey::Produce as i16 {
        return false;
    }
    let header = RequestHeader::decode(&mut request, ProduceRequest::header_version(version));
    let produce = header.and_then(|_| ProduceRequest::decode(&mut request, version));
    produce.is_ok_and(|produce| produce.acks == 0)
}

/// A message without its length.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> Result<Bytes> {
    let length = usize::try_from(stream.read_i32().await?)?;
    if length > LARGEST {
        return Err(io::Error::from(io::ErrorKind::InvalidData).into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes.into())
}

/// A message with its length before it.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin + ?Sized),
    bytes: &[u8],
) -> Result<()> {
    let length = i32::try_from(bytes.len())?;
    let frame = [&length.to_be_bytes()[..], bytes].concat();
    stream.write_all(&frame).await?;
    Ok(stream.flush().await?)
}
