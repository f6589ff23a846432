//! `dlq show`: single dead letters, as a person can read them.

use std::{collections::VecDeque, io::Write};

use serde_json::{Value, json};

use super::{Connection, Failed, Selection, browser, format, letter, store};
use crate::connect::Output;
use crate::model::Record;

/// Header names are padded to at most so many characters: others write them, and a name can be as
/// long as a record.
const NAME_WIDTH: usize = 40;

/// What to show, and how.
#[derive(Clone, Debug)]
pub struct Show {
    /// Which records.
    pub selection: Selection,
    /// At most so many, from the beginning of the first partition.
    pub limit: usize,
    /// Instead the newest of each partition: so many.
    pub last: Option<usize>,
    /// How they are written.
    pub output: Output,
}

/// Shows the records of a selection, partition by partition.
///
/// # Errors
/// When Kafka or the output refuses.
pub async fn show(
    connection: &Connection,
    topic: &str,
    show: &Show,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let Show {
        selection,
        limit,
        last,
        output,
    } = show;
    let browser = browser(connection, &store::group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    let mut shown = 0;
    for (partition, low, high) in browser.ends(topic).await.map_err(reading())? {
        let range = selection.range(partition, low, high);
        let range = range.map(|(first, end)| (partition, first, end));
        let mut newest = VecDeque::new();
        let mut records = browser.read(topic, range).map_err(reading())?;
        while let Some(record) = records.next().await.map_err(reading())? {
            if !selection.holds(&record) {
                continue;
            }
            if let Some(last) = last {
                newest.push_back(record);
                if newest.len() > *last {
                    newest.pop_front();
                }
                continue;
            }
            if shown == *limit {
                tracing::warn!("there are more; --limit shows more than {limit}");
                return Ok(());
            }
            shown += 1;
            write(&record, *output, out)?;
        }
        for record in newest {
            shown += 1;
            write(&record, *output, out)?;
        }
    }
    if shown == 0 {
        tracing::warn!("{topic} holds no such record");
    }
    Ok(())
}

fn write(record: &Record, output: Output, out: &mut impl Write) -> Result<(), Failed> {
    match output {
        Output::Text => out.write_all(text(record).as_bytes())?,
        Output::Json => writeln!(out, "{}", json(record))?,
    }
    Ok(())
}

/// A record in lines, with an empty one at the end.
fn text(record: &Record) -> String {
    let (kind, value) = format::value(record.value.as_deref());
    let time = record.timestamp.and_then(letter::rfc3339);
    let mut lines = vec![
        format!("{}@{}", record.at, record.offset),
        format!("  time   {}", time.as_deref().unwrap_or("none")),
        format!("  key    {}", format::line(record.key.as_deref())),
    ];
    let width = record.headers.iter().map(|header| header.name.len()).max();
    let width = width.unwrap_or_default().min(NAME_WIDTH);
    for header in &record.headers {
        let name = format::line(Some(header.name.as_bytes()));
        let value = format::line(header.value.as_deref());
        lines.push(format!("  header {name:width$}  {value}"));
    }
    lines.push(format!("  value  {kind}"));
    lines.extend(value.lines().map(|line| format!("    {line}")));
    lines.join("\n") + "\n\n"
}

fn json(record: &Record) -> Value {
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|header| json!({"name": header.name, "value": format::json(header.value.as_deref())}))
        .collect();
    json!({
        "type": "record",
        "topic": &*record.at.topic,
        "partition": record.at.partition,
        "offset": record.offset.0,
        "time": record.timestamp.and_then(letter::rfc3339),
        "key": format::json(record.key.as_deref()),
        "headers": headers,
        "value": format::json(record.value.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::tests::{any_record, letter};

    proptest::proptest! {
        #[test]
        fn any_record_can_be_shown(record in any_record()) {
            let shown = text(&record);
            proptest::prop_assert!(shown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            json(&record).to_string();
        }
    }

    #[test]
    fn a_record_is_shown_in_lines() {
        let record = letter(&[("__dlq.errors.topic", b"orders"), ("x", b"\x1b[0m")]);
        let wanted = "orders.dlq/0@5\n  time   1970-01-01T00:00:01.000Z\n  key    hex:6bff\n  \
                      header __dlq.errors.topic  orders\n  \
                      header x                   \\u{1b}[0m\n  value  JSON\n    {}\n\n";
        assert_eq!(text(&record), wanted);
    }

    /// A formatter's width above 65,535 panics.
    #[test]
    fn a_header_name_may_be_as_long_as_a_record() {
        let mut record = letter(&[("x", b"1")]);
        record.headers[0].name = "n".repeat(100_000);
        record.headers.extend(letter(&[("y", b"2")]).headers);
        let shown = text(&record);
        let short = shown
            .lines()
            .find(|line| line.trim_start().starts_with("header y"));
        assert!(short.is_some_and(|line| line.len() < 100), "{short:?}");
    }

    #[test]
    fn a_record_as_json_has_all_of_it() {
        let mut record = letter(&[("x", b"1")]);
        record.value = None;
        let wanted = json!({
            "type": "record",
            "topic": "orders.dlq", "partition": 0, "offset": 5, "time": "1970-01-01T00:00:01.000Z",
            "key": {"hex": "6bff"}, "headers": [{"name": "x", "value": "1"}], "value": null,
        });
        assert_eq!(json(&record), wanted);
    }
}
