use harness::Result;
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::FutureRecord,
};

use crate::support::records;

/// A record as it stands on the broker, to the byte. A null differs from nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(there, _)| there == name)?;
        value.as_deref()
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter();
        let headers = headers.flat_map(|headers| headers.iter());
        Self {
            partition: message.partition(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// Everything in a topic.
pub async fn read(brokers: &str, topic: &str) -> Result<Vec<Stored>> {
    records::read_as(brokers, topic, Stored::of).await
}

/// Writes records, each to its partition.
pub async fn write(brokers: &str, topic: &str, records: &[Stored]) -> Result<()> {
    let records = records.iter().map(|stored| {
        let headers = stored.headers.iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            let value = value.as_deref();
            headers.insert(Header { key, value })
        });
        FutureRecord {
            topic,
            partition: Some(stored.partition),
            payload: stored.value.as_deref(),
            key: stored.key.as_deref(),
            timestamp: None,
            headers: Some(headers),
        }
    });
    records::send(brokers, records).await
}
