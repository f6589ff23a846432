use std::net::Ipv4Addr;

use super::*;
use crate::metadata::resolve;

fn settings(given: &[(&str, &str)]) -> Settings {
    let brokers = [("brokers", "kafka:9092")];
    let given = brokers.iter().chain(given);
    let given = given.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    resolve(&given.collect()).unwrap().settings
}

fn by_password<'a>(mechanism: &'a str, disable_tls: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("authType", "password"),
        ("saslMechanism", mechanism),
        ("saslUsername", "app"),
        ("saslPassword", "secret"),
        ("disableTls", disable_tls),
    ]
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn only_a_password_that_leaves_the_machine_in_plain_text_is_warned_of() {
    let away = IpAddr::from(Ipv4Addr::new(10, 0, 0, 7));
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    let mapped = IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
    let of =
        |mechanism, tls, peer| readable(&settings(&by_password(mechanism, tls)).security, peer);
    assert!(of("PLAINTEXT", "true", away));
    assert!(!of("PLAINTEXT", "true", here));
    assert!(!of("PLAINTEXT", "true", mapped));
    assert!(!of("PLAINTEXT", "false", away));
    assert!(!of("SHA-256", "true", away));
    let finding = plain_text(&names(&["PLAIN", "SCRAM-SHA-256"]));
    assert_eq!(
        finding.fix.set,
        [("saslMechanism".into(), "SHA-256".to_owned())]
    );
    assert!(plain_text(&names(&["PLAIN"])).fix.set.is_empty());
}

#[test]
fn what_is_offered_decides_the_fix() {
    let keys = |fix: Fix| -> Vec<_> { fix.set.into_iter().map(|(key, _)| key).collect() };
    let none = settings(&[("authType", "none")]);
    let aws = fixes::log_in(&none, &names(&["OAUTHBEARER", "AWS_MSK_IAM"]));
    assert_eq!(keys(aws), ["authType", "awsRegion", "disableTls"]);
    let token = fixes::log_in(&none, &names(&["OAUTHBEARER"]));
    assert_eq!(token.set[0], ("authType".into(), "oidc".to_owned()));
    assert!(keys(fixes::log_in(&none, &names(&["GSSAPI"]))).is_empty());
    let password = settings(&by_password("PLAINTEXT", "true"));
    let other = fixes::log_in(&password, &names(&["SCRAM-SHA-512", "SCRAM-SHA-256"]));
    assert_eq!(other.set, [("saslMechanism".into(), "SHA-512".to_owned())]);
}

#[test]
fn without_a_login_the_listeners_tls_stays() {
    let fix = fixes::no_login(&settings(&by_password("SHA-512", "false")));
    assert_eq!(fix.set[0], ("authType".into(), "certificate".to_owned()));
    assert_eq!(fix.set[1].0, "caCert");
    let fix = fixes::no_login(&settings(&by_password("SHA-512", "true")));
    assert_eq!(fix.set, [("authType".into(), "none".to_owned())]);
}
