//! What an app receives: all from one seed, written by a client of the tests.

use harness::{DaprdBuild, ledger::Rolls};
use serde_json::json;

use super::{Meant, stored::Stored};

/// A record, and what the two are to differ in.
pub struct Written {
    pub stored: Stored,
    pub meant: Option<Meant>,
    /// For what only the component can cope with: HTTP headers that the app gets,
    /// and names of those that it does not.
    pub expected: Vec<(&'static str, Option<&'static str>)>,
}

type Headers = Vec<(String, Option<Vec<u8>>)>;

const PARTITIONS: usize = 6;

fn written(
    partition: usize,
    key: Option<&[u8]>,
    value: Option<Vec<u8>>,
    headers: Headers,
) -> Written {
    Written {
        stored: Stored {
            partition: i32::try_from(partition % PARTITIONS).expect("a partition"),
            key: key.map(<[u8]>::to_vec),
            value,
            headers,
        },
        meant: None,
        expected: Vec::new(),
    }
}

fn header(name: &str, value: &[u8]) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.to_vec()))
}

/// 200 records for a subscription with `rawPayload`.
pub fn raw(rolls: Rolls) -> Vec<Written> {
    let keys: [Option<&[u8]>; 7] = [
        None,
        Some(b""),
        Some(b"k1"),
        Some("schl\u{fc}ssel".as_bytes()),
        Some(b" spaced "),
        Some(b"tab\tkey"),
        Some(b"100%+&"),
    ];
    let headers: [(&str, Option<&[u8]>); 20] = [
        ("signs", Some(b"-_.~*'()!+ %20")),
        ("trace", Some(b"t")),
        ("Trace", Some(b"T")),
        ("trace", Some(b"the last")),
        ("empty", Some(b"")),
        ("null", None),
        ("gr", Some("gr\u{fc}n \u{65e5}".as_bytes())),
        ("__key", Some(b"header's")),
        ("__offset", Some(b"-1")),
        ("__topic", Some(b"header's")),
        ("partitionKey", Some(b"pk")),
        ("pubsubName", Some(b"header's")),
        ("content-type", Some(b"text/plain")),
        ("Content-Length", Some(b"3")),
        ("data-bin", Some(b"x")),
        ("traceid", Some(b"t")),
        ("valueSchemaType", Some(b"Avro")),
        ("excluded-one", Some(b"x")),
        ("is-hidden", Some(b"x")),
        ("odd!#$&'*.^_`|~name", Some(b"tab\tand \"quote\"")),
    ];
    let mut all: Vec<_> = (0..200)
        .map(|n| {
            let roll = |bound: usize, what: &str| {
                usize::try_from(rolls.below(bound as u64, (what, n))).expect("an index")
            };
            let value = match roll(7, "value") {
                0 => None,
                1 => Some(Vec::new()),
                2 => Some((0..=255).collect()),
                3 => Some(vec![b'x'; 100_000]),
                4 => Some(b"null".to_vec()),
                _ => Some(json!({ "n": n }).to_string().into_bytes()),
            };
            let first = roll(headers.len(), "first header");
            let some = (0..roll(6, "headers")).map(|more| {
                let (name, value) = headers[(first + more) % headers.len()];
                (name.to_owned(), value.map(<[u8]>::to_vec))
            });
            written(n, keys[roll(keys.len(), "key")], value, some.collect())
        })
        .collect();
    for (n, large) in [1 << 20, 3 << 20].into_iter().enumerate() {
        all.push(written(
            n,
            Some(b"large"),
            Some(vec![b'x'; large]),
            Vec::new(),
        ));
    }
    let many = (0..60).map(|n| header(&format!("h{n}"), b"v"));
    all.push(written(
        2,
        Some(b"many"),
        Some(b"{}".to_vec()),
        many.collect(),
    ));
    for n in 0..4 {
        let mut record = written(
            n,
            Some(b"k"),
            Some(b"{}".to_vec()),
            vec![header("bytes", b"\xff\xfe")],
        );
        record.meant = Some(Meant::NotUtf8Value);
        all.push(record);
        let mut record = written(n, Some(b"\xff\xfe"), Some(b"{}".to_vec()), Vec::new());
        record.meant = Some(Meant::NotUtf8Key);
        all.push(record);
    }
    all
}

/// Records for a subscription that reads `CloudEvents`: what is no JSON object there
/// the built-in refuses for ever, and so does the component.
pub fn events(daprd: DaprdBuild) -> Vec<Written> {
    let values: [Option<&[u8]>; 6] = [
        None,
        Some(b"null"),
        Some(b" {\"specversion\":\"1.0\",\"data\":1} "),
        Some(b"{}"),
        Some("{\"data\":\"gr\u{fc}n <&>\",\"id\":\"own\"}".as_bytes()),
        Some(b"{\"data\":12345678901234567890,\"traceid\":\"t\"}"),
    ];
    let binary = (daprd != DaprdBuild::V1_16_5).then(binary_event);
    let structured = (0..24).map(|n| {
        let value = values[n % values.len()].map(<[u8]>::to_vec);
        let mut headers = vec![header("color", b"c")];
        if n % values.len() > 2 {
            headers.push(header("traceid", b"of-the-header"));
        }
        written(n, Some(b"k"), value, headers)
    });
    structured.chain(binary).collect()
}

/// A `CloudEvent` in Kafka's binary mode, which daprd reads since 1.17 if its content type says
/// that the data is binary: its attributes are headers (the `CloudEvents` Kafka protocol binding).
fn binary_event() -> Written {
    let headers = vec![
        header("content-type", b"application/octet-stream"),
        header("ce_specversion", b"1.0"),
        header("ce_id", b"binary-1"),
        header("ce_source", b"/another/program"),
        header("ce_type", b"com.example.made"),
    ];
    written(0, Some(b"k"), Some(b"\x00\xff no JSON".to_vec()), headers)
}

/// Records that the built-in refuses for ever, or that end its daprd.
pub fn odd() -> Vec<Written> {
    let of = |key: &[u8], value: Option<&[u8]>, headers: Headers, expected| {
        let mut record = written(0, Some(key), value.map(<[u8]>::to_vec), headers);
        record.expected = expected;
        record
    };
    let json = Some(&b"{}"[..]);
    vec![
        // A Java Long as key.
        of(
            b"\0\0\0\0\0\0\0\x07",
            json,
            Vec::new(),
            vec![("__key.base64", Some("AAAAAAAAAAc=")), ("__key", None)],
        ),
        of(
            b"a\nb",
            json,
            Vec::new(),
            vec![("__key.base64", Some("YQpi")), ("__key", None)],
        ),
        of(
            b"k",
            json,
            vec![header("control", b"a\0b"), header("fine", b"x")],
            vec![("control", None), ("fine", Some("x")), ("__key", Some("k"))],
        ),
        of(
            b"k",
            json,
            vec![
                header("odd name", b"x"),
                header("", b"x"),
                header("gr\u{fc}n", b"x"),
                header("fine", b"x"),
            ],
            vec![("odd name", None), ("fine", Some("x"))],
        ),
        of(
            b"k",
            json,
            vec![header("twice", b"fine"), header("twice", b"\x7f")],
            vec![("twice", None)],
        ),
        of(
            b"k",
            None,
            vec![header("traceid", b"t"), header("fine", b"x")],
            vec![("fine", Some("x"))],
        ),
        of(
            b"k",
            Some(b" null "),
            vec![header("tracestate", b"t"), header("fine", b"x")],
            vec![("fine", Some("x"))],
        ),
    ]
}
