//! Kafka's protocol over one connection: a request, its answer, and in between nothing.

mod broken;
mod layout;
mod ranges;
mod seen;
mod versions;

use std::{io, net::SocketAddr, time::Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, RequestHeader, ResponseHeader},
    protocol::{Decodable as _, Encodable as _, HeaderVersion, Request, StrBytes},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout_at,
};

pub(super) use broken::Broken;
pub(super) use ranges::Ranges;
pub(super) use seen::Answered;
pub use seen::Seen;
pub(super) use versions::ranges_of;

/// The largest answer that is read, in bytes: the metadata of 100,000 partitions is some
/// 10 MiB.
const LARGEST: usize = 64 * 1024 * 1024;

/// How much is read at a time, in bytes.
const ROOM: usize = 4096;

/// The first correlation id. What no broker wrote, an echo for one, does not have it in
/// its place by chance.
const FIRST: i32 = 0x5244_4b01;

/// How much of what came is shown, in characters.
const SHOWN: usize = 200;

/// What bytes go through: a socket, or TLS over one.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection to a broker.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// What came and was not read yet: an answer may come in parts, and too late.
    buffer: BytesMut,
    /// The other end.
    pub(super) peer: SocketAddr,
    /// What the broker serves; empty until it was asked.
    pub(super) ranges: Ranges,
    client_id: StrBytes,
    next: i32,
    unanswered: Option<(i16, String)>,
}

impl Wire {
    pub(super) fn new(stream: impl Stream + 'static, peer: SocketAddr, client_id: &str) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: BytesMut::new(),
            peer,
            ranges: Ranges::default(),
            client_id: StrBytes::from_string(client_id.to_owned()),
            next: FIRST,
            unanswered: None,
        }
    }

    /// Asks, in the newest version that both know.
    pub(super) async fn ask<R: Request>(
        &mut self,
        request: &R,
        until: Instant,
    ) -> Result<Answered<R::Response>, Broken> {
        self.ask_below(request, i16::MAX, until).await
    }

    /// The same, in no newer version than this.
    pub(super) async fn ask_below<R: Request>(
        &mut self,
        request: &R,
        newest: i16,
        until: Instant,
    ) -> Result<Answered<R::Response>, Broken> {
        let version = self.ranges.common::<R>(newest);
        let version = version.ok_or(Broken::Unserved { key: R::KEY })?;
        let answer = self.ask_in(request, version, until).await;
        if let Err(broken) = &answer {
            let first = || (R::KEY, broken.to_string());
            self.unanswered.get_or_insert_with(first);
        }
        answer
    }

    /// The first request that was served and not answered since this was last asked for: its
    /// name, and what came instead.
    pub(super) fn unanswered(&mut self) -> Option<String> {
        let (key, broken) = self.unanswered.take()?;
        Some(format!("it was asked {}, and {broken}", name(key)))
    }

    /// The same, in just this version, whatever the broker says it serves.
    pub(super) async fn ask_in<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        until: Instant,
    ) -> Result<Answered<R::Response>, Broken> {
        let mut body = self.ask_for_bytes(request, version, until).await?;
        let header = R::Response::header_version(version);
        let nonsense = |error: String| Broken::Nonsense(error);
        ResponseHeader::decode(&mut body, header).map_err(|error| nonsense(error.to_string()))?;
        if !layout::is_whole(R::KEY, version, body.clone()) {
            return Err(nonsense("it ends before what it announces".into()));
        }
        let value =
            R::Response::decode(&mut body, version).map_err(|error| nonsense(error.to_string()))?;
        Ok(Answered { value, version })
    }

    /// The answer with its header, as it came; it is one to this request.
    async fn ask_for_bytes<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        until: Instant,
    ) -> Result<Bytes, Broken> {
        let id = self.next;
        self.next = id.wrapping_add(1);
        let frame = frame(request, version, id, &self.client_id)?;
        let mut answer = self.exchange(&frame, until).await?;
        while is_late(&answer, id) {
            answer = self.exchange(&[], until).await?;
        }
        expect(answer, id)
    }

    /// Sends bytes as they are, with their length before them, and reads an answer so.
    pub(super) async fn exchange(&mut self, frame: &[u8], until: Instant) -> Result<Bytes, Broken> {
        let exchanged = async {
            self.stream.write_all(frame).await?;
            self.stream.flush().await?;
            loop {
                if let Some(answer) = self.whole() {
                    return Ok::<_, io::Error>(answer);
                }
                self.buffer.reserve(ROOM);
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return match self.buffer.len() {
                        1..4 => Ok(Err(Broken::Garbage(self.buffer.split().freeze()))),
                        _ => Err(io::ErrorKind::UnexpectedEof.into()),
                    };
                }
            }
        };
        match timeout_at(until.into(), exchanged).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Broken::Silent),
        }
    }

    /// The first answer in what came, if all of it is there.
    fn whole(&mut self) -> Option<Result<Bytes, Broken>> {
        let length = i32::from_be_bytes(self.buffer.first_chunk().copied()?);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= LARGEST);
        let Some(length) = length else {
            let came = self.buffer.len().min(SHOWN);
            return Some(Err(Broken::Garbage(self.buffer.split_to(came).freeze())));
        };
        if self.buffer.len() < 4 + length {
            return None;
        }
        self.buffer.advance(4);
        Some(Ok(self.buffer.split_to(length).freeze()))
    }
}

/// A request as it goes over the wire.
fn frame<R: Request>(
    request: &R,
    version: i16,
    id: i32,
    client_id: &StrBytes,
) -> Result<BytesMut, Broken> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(id)
        .with_client_id(Some(client_id.clone()));
    let mut bytes = BytesMut::new();
    bytes.put_i32(0);
    header
        .encode(&mut bytes, R::header_version(version))
        .and_then(|()| request.encode(&mut bytes, version))
        .map_err(|error| Broken::Nonsense(error.to_string()))?;
    let length = i32::try_from(bytes.len() - 4).unwrap_or(i32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Whether it answers a request before this one, for which nobody waits any more.
fn is_late(body: &Bytes, id: i32) -> bool {
    let mut first = body.clone();
    first
        .try_get_i32()
        .is_ok_and(|of| (FIRST..id).contains(&of))
}

/// The answer to this very request.
fn expect(body: Bytes, id: i32) -> Result<Bytes, Broken> {
    let mut first = body.clone();
    if first.remaining() >= 4 && first.get_i32() == id {
        Ok(body)
    } else {
        Err(Broken::Garbage(body.slice(..body.len().min(256))))
    }
}

/// The name of a request.
pub(super) fn name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("request {key}"), |key| format!("{key:?}"))
}

/// What came, as text that may be shown: its beginning, without what moves a cursor.
pub(super) fn shown(bytes: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(bytes.as_ref());
    let plain = text
        .chars()
        .map(|one| if one.is_control() { '.' } else { one });
    plain.take(SHOWN).collect()
}
