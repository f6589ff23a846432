use std::sync::atomic::AtomicUsize;

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use rdkafka::client::DefaultClientContext;
use rdkafka::{admin::AdminClient, producer::BaseProducer};
use redact::Secret;
use serde_json::{Value, json};

use super::*;
use crate::{
    kafka::{create, logged_in::LoggedIn},
    metadata::{
        librdkafka, resolve,
        security::{Oidc, Proof},
    },
};

/// How long a state may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives tokens, and refuses as often as it is told before.
#[derive(Clone, Default)]
struct Endpoint {
    asked: Arc<AtomicUsize>,
    refuses: Arc<AtomicUsize>,
    /// It answers nothing while this is held.
    held: Arc<tokio::sync::Mutex<()>>,
}

impl Endpoint {
    /// Settings that log in here.
    async fn serve(&self, client: &str) -> Settings {
        let router = Router::new()
            .route("/", post(answer))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let given = [("brokers", "127.0.0.1:1"), ("authType", "none")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut settings = resolve(&given.into()).expect("settings").settings;
        settings.security.login = Login::Oidc(Box::new(Oidc {
            endpoint: format!("http://{address}/"),
            client_id: client.to_owned(),
            proof: Proof::Secret(Secret::new("secret".into())),
            scopes: Vec::new(),
            extensions: [("logicalCluster".to_owned(), "lkc-1".to_owned())].into(),
            ca: None,
            skip_verify: false,
        }));
        settings
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(State(endpoint): State<Endpoint>) -> (StatusCode, Json<Value>) {
    endpoint.asked.fetch_add(1, Ordering::Relaxed);
    drop(endpoint.held.lock().await);
    let less = |left: usize| left.checked_sub(1);
    let refuses = &endpoint.refuses;
    if refuses
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
    {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null));
    }
    (
        StatusCode::OK,
        Json(json!({ "access_token": "a.b.c", "expires_in": 600 })),
    )
}

fn client(settings: &Settings) -> Result<LoggedIn<BaseProducer>, Cause> {
    let context = rdkafka::producer::DefaultProducerContext;
    create(settings, librdkafka::producer(settings, 64_000), context)
}

fn seats(session: &Session) -> usize {
    let tokens = session.0.as_ref().expect("a login with tokens");
    tokens.shared.lock().clients.len()
}

#[tokio::test]
async fn equal_logins_share_a_token_and_others_do_not() {
    let endpoint = Endpoint::default();
    let settings = endpoint.serve("one").await;
    let name = Arc::from("todo");
    let first = Session::open(&settings, &name).expect("a session");
    first.ready(PATIENCE).await.expect("a token");
    let second = Session::open(&settings.clone(), &name).expect("a session");
    second.ready(PATIENCE).await.expect("a token");
    assert_eq!(endpoint.asked(), 1);

    let mut other = settings.clone();
    if let Login::Oidc(login) = &mut other.security.login {
        login.proof = Proof::Secret(Secret::new("another".into()));
    }
    let other = Session::open(&other, &name).expect("a session");
    other.ready(PATIENCE).await.expect("a token");
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn clients_come_and_go_and_the_last_ends_the_session() {
    let endpoint = Endpoint::default();
    let settings = endpoint.serve("two").await;
    let session = Session::open(&settings, &Arc::from("todo")).expect("a session");
    session.ready(PATIENCE).await.expect("a token");
    let producer = client(&settings).expect("a client").shared();
    let again = producer.clone();
    let context = DefaultClientContext;
    let admin: LoggedIn<AdminClient<_>> =
        create(&settings, librdkafka::client(&settings), context).expect("a client");
    assert_eq!(seats(&session), 2);
    drop((producer, admin));
    assert_eq!(seats(&session), 1, "a handle is left");

    // A client keeps the session alive.
    drop(session);
    let session = Session::open(&settings, &Arc::from("todo")).expect("a session");
    session.ready(PATIENCE).await.expect("a token");
    assert_eq!(endpoint.asked(), 1);
    drop(again.into_inner());
    assert_eq!(seats(&session), 0);
    drop(session);
    let refused = client(&settings).err().expect("nobody fetches tokens");
    assert!(refused.text.contains("nobody fetches"), "{refused}");
}

#[tokio::test]
async fn what_failed_is_tried_again_and_its_cause_told() {
    let endpoint = Endpoint::default();
    endpoint.refuses.store(1, Ordering::Relaxed);
    let settings = endpoint.serve("three").await;
    let session = Session::open(&settings, &Arc::from("todo")).expect("a session");
    let failed = session.ready(PATIENCE).await.expect_err("no token");
    assert_eq!(failed.kind, Kind::Unreachable);
    assert!(failed.text.contains("503"), "{failed}");
    // Clients may be made all the same: they wait.
    let _client = client(&settings).expect("a client");
    session.ready(PATIENCE).await.expect("a token");
    assert!(endpoint.asked() > 1);
}

fn end_token(session: &Session) {
    let tokens = session.0.as_ref().expect("a login with tokens");
    let mut state = tokens.shared.lock();
    state.token.as_mut().expect("a token").expires = SystemTime::UNIX_EPOCH;
}

fn is_known(settings: &Settings) -> bool {
    find(&sessions(), &settings.security.login).is_some()
}

#[tokio::test]
async fn a_source_that_is_slow_is_waited_for_by_the_next_session() {
    let endpoint = Endpoint::default();
    let held = endpoint.held.lock().await;
    let settings = endpoint.serve("five").await;
    let name = Arc::from("todo");
    let session = Session::open(&settings, &name).expect("a session");
    let failed = session.ready(Duration::ZERO).await.expect_err("too early");
    assert!(failed.text.contains("can be reached"), "{failed}");
    session.linger();
    drop(session);
    assert!(is_known(&settings), "it fetches on");
    drop(held);
    let session = Session::open(&settings, &name).expect("a session");
    session.ready(PATIENCE).await.expect("a token");
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn a_token_that_ended_unnoticed_is_fetched_anew_when_it_is_wanted() {
    let endpoint = Endpoint::default();
    let settings = endpoint.serve("six").await;
    let session = Session::open(&settings, &Arc::from("todo")).expect("a session");
    session.ready(PATIENCE).await.expect("a token");
    end_token(&session);
    session.ready(PATIENCE).await.expect("another token");
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn what_failed_before_is_told_while_the_next_try_lasts() {
    let endpoint = Endpoint::default();
    endpoint.refuses.store(1000, Ordering::Relaxed);
    let settings = endpoint.serve("seven").await;
    let session = Session::open(&settings, &Arc::from("todo")).expect("a session");
    session.ready(PATIENCE).await.expect_err("no token");
    let _held = endpoint.held.lock().await;
    let failed = session.ready(Duration::ZERO).await.expect_err("no token");
    assert!(failed.text.contains("503"), "{failed}");
}

#[test]
fn a_renewal_is_due_by_either_clock() {
    let (begun, minute) = (SystemTime::now(), Duration::from_secs(60));
    let (second, due) = (Duration::from_secs(1), begun + 10 * minute);
    assert_eq!(left(10 * minute, due, begun), LOOK);
    assert_eq!(left(second, due, begun), second);
    assert_eq!(left(10 * minute, due, due - second), second);
    // It was suspended meanwhile.
    assert_eq!(left(9 * minute, due, due + minute), Duration::ZERO);
    // The clock was set back.
    assert_eq!(left(Duration::ZERO, due, begun), Duration::ZERO);
}

#[tokio::test]
async fn a_login_without_tokens_needs_no_session() {
    let mut settings = Endpoint::default().serve("four").await;
    settings.security.login = Login::None;
    let session = Session::open(&settings, &Arc::from("todo")).expect("a session");
    session
        .ready(Duration::ZERO)
        .await
        .expect("nothing to wait for");
    assert!(client(&settings).is_ok());
}
