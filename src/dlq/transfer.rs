//! `dlq export` and `dlq import`: dead letters as lines of JSON, without loss, so that one can be
//! edited.

use std::{
    io::{BufRead, Write},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Connection, Failed, Selection, browser, store};
use crate::{
    kafka::{Confirmation, Outgoing, SendError, Sender},
    model::{Header, Record},
};

/// Records that are on their way at once.
const RECORDS: usize = 200;

/// A dead letter in a file. Where it was is for people, and is not read again.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    key: Option<Content>,
    value: Option<Content>,
    #[serde(default)]
    headers: Vec<LineHeader>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LineHeader {
    name: String,
    value: Option<Content>,
}

/// Bytes: as text where they are UTF-8, so that they can be edited.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Text(String),
    Base64(String),
}

impl Content {
    fn of(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    fn bytes(self) -> Result<Bytes, String> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Base64(text) => match STANDARD.decode(text) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(format!("base64: {error}")),
            },
        }
    }
}

impl Line {
    fn of(record: &Record) -> Self {
        let headers = record.headers.iter().map(|header| LineHeader {
            name: header.name.clone(),
            value: header.value.as_ref().map(Content::of),
        });
        Self {
            topic: Some(record.at.topic.to_string()),
            partition: Some(record.at.partition),
            offset: Some(record.offset.0),
            key: record.key.as_ref().map(Content::of),
            value: record.value.as_ref().map(Content::of),
            headers: headers.collect(),
        }
    }

    fn outgoing(self, topic: &str) -> Result<Outgoing, String> {
        let headers = self.headers.into_iter().map(|header| {
            let value = header.value.map(Content::bytes).transpose()?;
            Ok(Header {
                name: header.name,
                value,
            })
        });
        Ok(Outgoing {
            topic: topic.to_owned(),
            partition: None,
            key: self.key.map(Content::bytes).transpose()?,
            value: self.value.map(Content::bytes).transpose()?,
            headers: headers.collect::<Result<_, String>>()?,
            timestamp: None,
        })
    }
}

/// Writes the records of a selection, a line each.
///
/// # Errors
/// When Kafka or the output refuses.
pub async fn export(
    connection: &Connection,
    topic: &str,
    selection: &Selection,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let browser = browser(connection, &store::group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    let ends = browser.ends(topic).await.map_err(reading())?;
    let ranges = ends.into_iter().filter_map(|(partition, low, high)| {
        let (first, end) = selection.range(partition, low, high)?;
        Some((partition, first, end))
    });
    let mut records = browser.read(topic, ranges).map_err(reading())?;
    while let Some(record) = records.next().await.map_err(reading())? {
        if selection.holds(&record) {
            let line = serde_json::to_string(&Line::of(&record)).map_err(std::io::Error::other)?;
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Writes exported records to a dead-letter topic, as new dead letters. Their keys choose the
/// partition. All lines are read before the first is written.
///
/// # Errors
/// When a line can't be read: nothing is written then. When Kafka refuses: the text says how many
/// were written.
pub async fn import(
    connection: &Connection,
    topic: &str,
    lines: impl BufRead,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let mut records = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let number = number + 1;
        let wrong = |problem: String| {
            Failed::Usage(format!("line {number}: {problem}; nothing was imported"))
        };
        let line: Line = serde_json::from_str(&line?).map_err(|error| wrong(error.to_string()))?;
        records.push(line.outgoing(topic).map_err(wrong)?);
    }
    // A topic that does not exist must not be created by writing to it.
    let browser = browser(connection, &store::group(topic)).await?;
    let looking = Failed::kafka(format!("looking at {topic}"));
    browser.partitions(topic).await.map_err(looking)?;
    let name: Arc<str> = connection.name.clone();
    let sender = Sender::new(&connection.settings, name)
        .map_err(Failed::kafka("making a Kafka producer"))?;
    let mut written = 0;
    for batch in records.chunks(RECORDS) {
        let sent: Vec<_> = batch.iter().map(|record| sender.send(record)).collect();
        for confirmation in sent {
            confirmed(confirmation).await.map_err(|error| {
                Failed::Partly(format!("{written} were written to {topic}, then: {error}"))
            })?;
            written += 1;
        }
    }
    Ok(writeln!(out, "{written} written to {topic}")?)
}

async fn confirmed(sent: Result<Confirmation, SendError>) -> Result<(), SendError> {
    sent?.confirmed().await.map(drop)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dlq::tests::any_record;

    proptest! {
        #[test]
        fn what_is_exported_is_imported_as_it_was(record in any_record()) {
            let line = serde_json::to_string(&Line::of(&record)).expect("it is JSON");
            prop_assert!(!line.contains('\n'));
            let read: Line = serde_json::from_str(&line).expect("it is read");
            let sent = read.outgoing("orders.dlq").expect("it can be sent");
            prop_assert_eq!((sent.key, sent.value, sent.headers), (record.key, record.value, record.headers));
        }

        #[test]
        fn no_line_breaks_it(line in "(\\{\"key\":(null|\\{\"base64\":\")?)?.{0,30}") {
            if let Ok(line) = serde_json::from_str::<Line>(&line) {
                let _ = line.outgoing("orders.dlq");
            }
        }
    }
}
