//! An identity provider, and a Kafka that takes its tokens only.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use harness::{Kafka, Result, free_port};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    sign::{Signer, Verifier},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Each client's secret.
pub const SECRET: &str = "planted-client-secret";

/// How long Kafka lets a connection go without a new login.
const REAUTHENTICATE: &str = "3000";

/// Signs what the provider gives, and what clients assert.
#[derive(Clone)]
pub struct Key(PKey<Private>);

impl Key {
    pub fn new() -> Result<Self> {
        Ok(Self(PKey::from_rsa(Rsa::generate(2048)?)?))
    }

    pub fn pem(&self) -> Result<String> {
        Ok(String::from_utf8(self.0.private_key_to_pem_pkcs8()?)?)
    }

    /// Claims as a signed JWT.
    fn sign(&self, claims: &Value) -> Result<String> {
        let header = json!({ "alg": "RS256", "kid": "idp", "typ": "JWT" });
        let [header, claims] = [&header, claims].map(|part| BASE64.encode(part.to_string()));
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0)?;
        let signature = signer.sign_oneshot_to_vec(format!("{header}.{claims}").as_bytes())?;
        Ok(format!("{header}.{claims}.{}", BASE64.encode(signature)))
    }

    /// A JWT's claims, if this key signed it.
    fn verify(&self, jwt: &str) -> Option<Value> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let mut verifier = Verifier::new(MessageDigest::sha256(), &self.0).ok()?;
        let signature = BASE64.decode(signature).ok()?;
        let holds = verifier.verify_oneshot(&signature, signed.as_bytes());
        let claims = BASE64.decode(signed.split_once('.')?.1).ok()?;
        holds.ok()?.then(|| serde_json::from_slice(&claims).ok())?
    }

    /// The public half, as brokers ask for it.
    fn jwks(&self) -> Value {
        let rsa = self.0.rsa().expect("an RSA key");
        let number = |number: &openssl::bn::BigNumRef| BASE64.encode(number.to_vec());
        let (n, e) = (number(rsa.n()), number(rsa.e()));
        json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "idp", "n": n, "e": e }] })
    }
}

/// How the provider behaves, and what it was asked.
struct Told {
    signs: Key,
    /// The key of clients that assert who they are.
    client: Key,
    lives: AtomicU64,
    granted: AtomicU64,
    asked: Mutex<Vec<HashMap<String, String>>>,
    url: String,
}

/// An identity provider. It ends with its handle.
pub struct Idp {
    told: Arc<Told>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Idp {
    /// One whose tokens are signed by this key.
    pub async fn start(signs: Key) -> Result<Self> {
        // A port of its own, so that it can go and come back.
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let told = Arc::new(Told {
            signs,
            client: Key::new()?,
            lives: AtomicU64::new(600),
            granted: AtomicU64::default(),
            asked: Mutex::default(),
            url: format!("http://{address}/token"),
        });
        let server = serve(address, told.clone()).await?;
        Ok(Self {
            told,
            address,
            server,
        })
    }

    /// The token endpoint.
    pub fn url(&self) -> &str {
        &self.told.url
    }

    /// The key that clients assert with.
    pub fn client_key(&self) -> &Key {
        &self.told.client
    }

    /// How long tokens live from now on.
    pub fn tokens_live(&self, life: Duration) {
        self.told.lives.store(life.as_secs(), Ordering::Relaxed);
    }

    /// How many tokens were given.
    pub fn granted(&self) -> u64 {
        self.told.granted.load(Ordering::Relaxed)
    }

    /// What it was asked, the last first.
    pub fn asked(&self) -> Option<HashMap<String, String>> {
        let asked = self.told.asked.lock();
        asked
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .cloned()
    }

    /// Nobody listens any more.
    pub fn down(&self) {
        self.server.abort();
    }

    /// It listens again.
    pub async fn up(&mut self) -> Result<()> {
        self.server = serve(self.address, self.told.clone()).await?;
        Ok(())
    }

    /// A component's metadata that logs in here with a secret.
    pub fn by_secret(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("authType", "oidc"),
            ("disableTls", "true"),
            ("oidcTokenEndpoint", self.url()),
            ("oidcClientID", "todo"),
            ("oidcClientSecret", SECRET),
        ]
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(address: SocketAddr, told: Arc<Told>) -> Result<JoinHandle<()>> {
    let router = Router::new()
        .route("/token", post(token))
        .route(
            "/jwks",
            get(|State(told): State<Arc<Told>>| async move { Json(told.signs.jwks()) }),
        )
        .route(
            "/html",
            post(|| async { axum::response::Html("<p>Sign in, please</p>") }),
        )
        .with_state(told);
    let listener = TcpListener::bind(address).await?;
    Ok(tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    }))
}

async fn token(
    State(told): State<Arc<Told>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let expected = base64::prelude::BASE64_STANDARD.encode(format!("todo:{SECRET}"));
    let proven = match form.get("client_assertion") {
        Some(assertion) => told.client.verify(assertion).is_some_and(|claims| {
            claims["iss"] == "todo"
                && claims["aud"] == *told.url
                && claims["exp"].as_u64() > Some(now)
        }),
        None => basic.and_then(|basic| basic.strip_prefix("Basic ")) == Some(&*expected),
    };
    let scope = form.get("scope").cloned().unwrap_or_default();
    told.asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(form);
    if !proven {
        let error = json!({ "error": "invalid_client", "error_description": "no such client" });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    let lives = told.lives.load(Ordering::Relaxed);
    told.granted.fetch_add(1, Ordering::Relaxed);
    let claims = json!({
        "sub": "todo", "iss": "idp", "aud": "kafka", "iat": now, "exp": now + lives, "scope": scope,
    });
    match told.signs.sign(&claims) {
        // A connection that is kept would outlive `down`.
        Ok(token) => (
            [(header::CONNECTION, "close")],
            Json(json!({ "access_token": token, "expires_in": lives, "token_type": "Bearer" })),
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A Kafka with a listener that takes tokens only, and looks who signed them.
pub struct TokenKafka {
    kafka: Kafka,
    /// The listener that takes tokens.
    pub address: String,
    /// Signs what it takes.
    pub key: Key,
    /// It asks this one for the key.
    _idp: Idp,
}

impl TokenKafka {
    pub async fn start() -> Result<Self> {
        let key = Key::new()?;
        let idp = Idp::start(key.clone()).await?;
        let jwks = idp.url().replace("/token", "/jwks");
        let [plain, tokens, controller] = [free_port()?, free_port()?, free_port()?];
        let [plain, tokens, controller] =
            [plain, tokens, controller].map(|port| format!("127.0.0.1:{port}"));
        let advertised = format!("PLAINTEXT://{plain},TOKENS://{tokens}");
        let mechanism = "listener.name.tokens.oauthbearer";
        let class = "org.apache.kafka.common.security.oauthbearer";
        let of = |name: &str| format!("{mechanism}.{name}");
        let mut kafka = Kafka::start_with(&[
            (
                "listeners",
                &format!("{advertised},CONTROLLER://{controller}"),
            ),
            ("advertised.listeners", &advertised),
            ("controller.quorum.voters", &format!("1@{controller}")),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TOKENS:SASL_PLAINTEXT",
            ),
            ("inter.broker.listener.name", "PLAINTEXT"),
            (
                "listener.name.tokens.sasl.enabled.mechanisms",
                "OAUTHBEARER",
            ),
            (
                &of("sasl.jaas.config"),
                &format!("{class}.OAuthBearerLoginModule required;"),
            ),
            (
                &of("sasl.server.callback.handler.class"),
                &format!("{class}.OAuthBearerValidatorCallbackHandler"),
            ),
            (&of("sasl.oauthbearer.jwks.endpoint.url"), &jwks),
            // Without it, or with the mechanism in its name as the others have it, Kafka
            // 4.1.1 takes tokens whoever signed them.
            (
                "listener.name.tokens.sasl.oauthbearer.jwt.validator.class",
                &format!("{class}.BrokerJwtValidator"),
            ),
            (&of("sasl.oauthbearer.expected.audience"), "kafka"),
            (&of("connections.max.reauth.ms"), REAUTHENTICATE),
        ])
        .await?;
        kafka.address = plain;
        Ok(Self {
            kafka,
            address: tokens,
            key,
            _idp: idp,
        })
    }

    /// The listener without a login.
    pub fn plain(&self) -> &str {
        &self.kafka.address
    }
}
