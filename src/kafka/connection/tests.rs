use super::*;

#[test]
fn a_failure_names_its_broker() {
    for (line, expected) in [
        (
            "[thrd:a:9092/bootstrap]: a:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed",
            Some(("a:9092", None)),
        ),
        (
            "[thrd:sasl_ssl://a.b.:9092/12]: sasl_ssl://a.b.:9092/12: SASL authentication error",
            Some(("a.b.:9092", Some(12))),
        ),
        (
            "[thrd:GroupCoordinator]: GroupCoordinator: localhost:9092: Disconnected",
            Some(("localhost:9092", None)),
        ),
        (
            "[thrd:[::1]:9092/3]: [::1]:9092/3: Disconnected",
            Some(("[::1]:9092", Some(3))),
        ),
        ("[thrd:main]: something else: at all", None),
        ("[thrd:main]: a b:1: no host", None),
        ("a:99999/1: no port", None),
    ] {
        let failure = failure("FAIL", line).expect("a failure");
        assert_eq!(broker(failure), expected, "{line}");
    }
    assert_eq!(failure("FAIL", "[thrd:a]: 2/2 brokers are down"), None);
    assert_eq!(failure("CONFWARN", "[thrd:a]: a:1/1: no"), None);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text: String) {
        let _ = broker(&text);
    }
}
