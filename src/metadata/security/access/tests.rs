use std::collections::HashMap;

use harness::Authority;

use crate::metadata::{Problems, Resolved, resolve};

fn with(ca: &str, skip: &str) -> Result<Resolved, Problems> {
    let pairs = [
        ("brokers", "a:9092"),
        ("authType", "certificate"),
        ("caCert", ca),
        ("skipVerify", skip),
    ];
    let pairs: HashMap<_, _> = pairs.map(|(key, value)| (key.into(), value.into())).into();
    resolve(&pairs)
}

#[test]
fn an_authority_whose_time_is_over_is_taken_if_nothing_is_verified() {
    let old = Authority::new("test").and_then(|test| test.expired_client("old"));
    let old = old.unwrap().certificate;
    let refused = with(&old, "false").expect_err("it is over").to_string();
    assert!(refused.contains("expired at Jan  1"), "{refused}");
    let notes = with(&old, "true").expect("it is not looked at").notes;
    let told = |note: &String| note.contains("caCert: expired") && note.contains("skipVerify");
    assert!(notes.iter().any(told), "{notes:?}");
    let unreadable = with(&old.replace("MII", "XXX"), "true").expect_err("librdkafka reads it");
    assert!(
        unreadable.to_string().contains("can't be read"),
        "{unreadable}"
    );
}
