use std::{collections::HashMap, sync::Arc};

use axum::{Router, extract::State, routing::post};
use redact::Secret;
use tokio::sync::Mutex;

use super::*;
use crate::metadata::security::AwsKeys;

fn login(keys: Option<AwsKeys>) -> Aws {
    Aws {
        region: "eu-central-1".into(),
        keys,
        role: None,
        session_name: "todo".into(),
    }
}

fn keys(token: Option<&str>) -> AwsKeys {
    let secret = |text: &str| Secret::new(text.to_owned());
    AwsKeys {
        access: secret("AKIDEXAMPLE"),
        secret: secret("hunter2"),
        token: token.map(secret),
    }
}

/// The URL that a token is, and its parameters.
fn opened(token: &Token) -> (Url, HashMap<String, String>) {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(token.value.expose_secret())
        .expect("base64 without padding");
    let url = Url::parse(std::str::from_utf8(&bytes).expect("text")).expect("a URL");
    let pairs = url.query_pairs().into_owned().collect();
    (url, pairs)
}

#[tokio::test]
async fn a_token_is_a_presigned_request_that_counts_for_900_seconds() {
    let signer = Signer::new(&login(Some(keys(Some("session"))))).expect("a signer");
    let before = SystemTime::now();
    let token = signer.fetch().await.expect("a token");
    let lives = token.expires.duration_since(before).expect("the future");
    assert!((900..960).contains(&lives.as_secs()), "{lives:?}");
    assert!(token.extensions.is_empty());

    let (url, pairs) = opened(&token);
    assert_eq!(url.scheme(), "https");
    assert_eq!(url.host_str(), Some("kafka.eu-central-1.amazonaws.com"));
    assert_eq!(url.path(), "/");
    for (name, value) in [
        ("Action", "kafka-cluster:Connect"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", "host"),
        ("X-Amz-Security-Token", "session"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    let date = &pairs["X-Amz-Date"];
    assert!(date.len() == 16 && date.ends_with('Z'), "{date}");
    let scope = format!(
        "AKIDEXAMPLE/{}/eu-central-1/kafka-cluster/aws4_request",
        &date[..8]
    );
    assert_eq!(pairs["X-Amz-Credential"], scope);
    let signature = &pairs["X-Amz-Signature"];
    assert!(signature.len() == 64 && signature.bytes().all(|c| c.is_ascii_hexdigit()));
    assert!(pairs["User-Agent"].starts_with("dapr-rdkafka/"));
    assert!(!url.as_str().contains("hunter2"));
}

/// The signature of Amazon's own signer for Go (aws-msk-iam-sasl-signer-go v1.0.1) for
/// the same keys, region and time.
#[test]
fn the_signature_is_that_of_amazons_signer() {
    let now = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
    for (session, signature) in [(None, GO_PLAIN), (Some("session/+=token"), GO_SESSION)] {
        let session = session.map(str::to_owned);
        let keys = Credentials::new("AKIDEXAMPLE", "hunter2", session, None, "test");
        let value = signed(&keys, "eu-central-1", now).expect("signed");
        let (_, pairs) = opened(&Token {
            value,
            principal: String::new(),
            expires: now,
            extensions: std::collections::BTreeMap::new(),
        });
        assert_eq!(pairs["X-Amz-Date"], "20250615T150640Z");
        assert_eq!(pairs["X-Amz-Signature"], signature);
    }
}

const GO_PLAIN: &str = "3b8d59b716d474f445fee01f2286861e485a62e331249530075d66a17b939568";
const GO_SESSION: &str = "3d64388b0d4bbf14dbd5c1687df98c297b51fbe09a849ab6b6506ca842c59e7d";

#[test]
fn a_region_that_is_none_is_refused() {
    let region = "evil.example/".to_owned();
    let refused = Signer::new(&Aws {
        region,
        ..login(None)
    })
    .err()
    .expect("refused");
    assert_eq!(refused.kind, Kind::Setting);
    assert!(refused.text.contains("awsRegion"), "{refused}");
}

#[tokio::test]
async fn keys_count_alone_and_that_is_told() {
    let role = Some("arn:aws:iam::123456789012:role/todo".to_owned());
    let both = Aws {
        role,
        ..login(Some(keys(None)))
    };
    let signer = Signer::new(&both).expect("a signer");
    assert!(signer.note().expect("a note").contains("is not assumed"));
    let (_, pairs) = opened(&signer.fetch().await.expect("a token"));
    assert!(pairs["X-Amz-Credential"].starts_with("AKIDEXAMPLE/"));
    assert!(!pairs.contains_key("X-Amz-Security-Token"));
}

#[tokio::test]
async fn keys_that_are_over_are_refused_with_the_time() {
    let signer = Signer::new(&login(None)).expect("a signer");
    let end = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
    let keys = Credentials::new("AKIDEXAMPLE", "hunter2", None, Some(end), "test");
    let provider = SharedCredentialsProvider::new(keys);
    assert!(signer.provider.set(provider).is_ok(), "before it is asked");
    let failed = signer.fetch().await.expect_err("no token");
    assert_eq!(failed.kind, Kind::Refused);
    let told = "these AWS credentials expired at 2025-06-15T15:06:40Z";
    assert!(failed.text.contains(told), "{failed}");
}

#[test]
fn a_token_that_cant_be_sent_is_not_shown() {
    let signer = Signer::new(&login(None)).expect("a signer");
    let quoted = "`hunter2\n` could not be used as a header value for the auth token. bad";
    let failed = signer.failed(&CredentialsError::invalid_configuration(quoted));
    assert!(!failed.text.contains("hunter2"), "{failed}");
    assert!(failed.text.contains("for the auth token. bad"), "{failed}");
}

/// STS's answer to `AssumeRole`.
const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><AssumedRoleUser><AssumedRoleId>A:todo</AssumedRoleId>
<Arn>arn:aws:sts::123456789012:assumed-role/todo/todo</Arn></AssumedRoleUser><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>hunter3</SecretAccessKey>
<SessionToken>of-the-role</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"#;

/// STS's answer to whoever may not assume it.
const DENIED: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
<Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message>
</Error><RequestId>1</RequestId></ErrorResponse>"#;

const ROLE: &str = "arn:aws:iam::123456789012:role/todo";

/// A signer that assumes the role at this STS.
async fn assuming(sts: Router) -> Signer {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, sts).await });
    let keys = Credentials::new("AKIDEXAMPLE", "hunter2", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .http_client(connector::client().expect("a client"))
        .credentials_provider(keys)
        .endpoint_url(format!("http://{address}"))
        .load()
        .await;
    let with_role = Aws {
        role: Some(ROLE.into()),
        ..login(None)
    };
    let signer = Signer::new(&with_role).expect("a signer");
    let provider = signer.assuming(ROLE, &config).await;
    assert!(signer.provider.set(provider).is_ok(), "before it is asked");
    signer
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_named() {
    let denied = || async { (axum::http::StatusCode::FORBIDDEN, DENIED) };
    let signer = assuming(Router::new().route("/", post(denied))).await;
    let failed = signer.fetch().await.expect_err("no token");
    assert_eq!(failed.kind, Kind::Refused);
    for part in [ROLE, "AccessDenied", "not authorized", "trust policy"] {
        assert!(failed.text.contains(part), "{part} is not in: {failed}");
    }
    assert!(!failed.text.contains("hunter2"), "{failed}");
}

#[tokio::test]
async fn a_role_is_assumed_by_its_name_and_session() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let sts = Router::new()
        .route(
            "/",
            post(
                |State(asked): State<Arc<Mutex<Vec<String>>>>, body: String| async move {
                    asked.lock().await.push(body);
                    ([("content-type", "text/xml")], ASSUMED)
                },
            ),
        )
        .with_state(asked.clone());
    let signer = assuming(sts).await;
    let token = signer.fetch().await.expect("a token");
    let (_, pairs) = opened(&token);
    assert!(
        pairs["X-Amz-Credential"].starts_with("ASIAROLE/"),
        "{pairs:?}"
    );
    assert_eq!(pairs["X-Amz-Security-Token"], "of-the-role");
    let asked = asked.lock().await.join("\n");
    for part in ["Action=AssumeRole", "role%2Ftodo", "RoleSessionName=todo"] {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
}
