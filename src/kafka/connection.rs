//! What librdkafka says of a broker connection.

/// The failure of a broker connection in a line of librdkafka's log, without the
/// thread that found it: `[thrd:a:9092/bootstrap]: a:9092/bootstrap: Connect to …`.
pub(super) fn failure<'a>(facility: &str, line: &'a str) -> Option<&'a str> {
    let failed = ["FAIL", "ERROR"].contains(&facility) && !line.contains("brokers are down");
    let text = line.split_once("]: ").map_or(line, |(_, text)| text);
    failed.then_some(text)
}

/// The longest name of a host that there can be, with its port.
const LONGEST: usize = 253 + 6;

/// Which broker a failure is about: its address, and its node id if it has one. It stands
/// first as `sasl_ssl://a:9092/1`, `a:9092/bootstrap`, or behind the name of what it is
/// needed for, as in `GroupCoordinator: a:9092: …`.
pub(super) fn broker(failure: &str) -> Option<(&str, Option<i32>)> {
    failure.split(": ").take(2).find_map(|part| {
        let node = part.split_once("://").map_or(part, |(_, rest)| rest);
        let (address, id) = node.split_once('/').unwrap_or((node, ""));
        let (host, port) = address.rsplit_once(':')?;
        let is_one = !host.is_empty()
            && address.len() <= LONGEST
            && !host.contains(char::is_whitespace)
            && port.parse::<u16>().is_ok();
        is_one.then(|| (address, id.parse().ok()))
    })
}

#[cfg(test)]
mod tests;
