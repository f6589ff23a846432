//! `dlq show`: single dead letters, as a person can read them.

use std::io::Write;

use serde_json::{Value, json};

use super::{Connection, Failed, Selection, browser, format, letter};
use crate::connect::Output;
use crate::model::Record;

/// Shows the records of a selection, partition by partition, at most so many.
///
/// # Errors
/// When Kafka or the output refuses.
pub async fn show(
    connection: &Connection,
    topic: &str,
    selection: &Selection,
    limit: usize,
    output: Output,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let browser = browser(connection, &Selection::default().progress_group(topic)).await?;
    let reading = || Failed::kafka(format!("reading {topic}"));
    let mut shown = 0;
    for (partition, low, high) in browser.ends(topic).await.map_err(reading())? {
        let range = selection.range(partition, low, high);
        let range = range.map(|(first, end)| (partition, first, end));
        let mut records = browser.read(topic, range).map_err(reading())?;
        while let Some(record) = records.next().await.map_err(reading())? {
            if !selection.holds(&record) {
                continue;
            }
            if shown == limit {
                tracing::warn!("there are more; --limit shows more than {limit}");
                return Ok(());
            }
            shown += 1;
            match output {
                Output::Text => out.write_all(text(&record).as_bytes())?,
                Output::Json => writeln!(out, "{}", json(&record))?,
            }
        }
    }
    if shown == 0 {
        tracing::warn!("{topic} holds no such record");
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
    for header in &record.headers {
        let name = format::line(Some(header.name.as_bytes()));
        let value = format::line(header.value.as_deref());
        let width = width.unwrap_or_default();
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
    use crate::dlq::tests::letter;

    #[test]
    fn a_record_is_shown_in_lines() {
        let record = letter(&[("__dlq.errors.topic", b"orders"), ("x", b"\x1b[0m")]);
        let wanted = "orders.dlq/0@5\n  time   1970-01-01T00:00:01.000Z\n  key    hex:6bff\n  \
                      header __dlq.errors.topic  orders\n  \
                      header x                   \\u{1b}[0m\n  value  JSON\n    {}\n\n";
        assert_eq!(text(&record), wanted);
    }

    #[test]
    fn a_record_as_json_has_all_of_it() {
        let mut record = letter(&[("x", b"1")]);
        record.value = None;
        let wanted = json!({
            "topic": "orders.dlq", "partition": 0, "offset": 5, "time": "1970-01-01T00:00:01.000Z",
            "key": {"hex": "6bff"}, "headers": [{"name": "x", "value": "1"}], "value": null,
        });
        assert_eq!(json(&record), wanted);
    }
}
