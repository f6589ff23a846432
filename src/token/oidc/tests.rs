use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use openssl::{
    asn1::Asn1Time,
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{
        X509, X509NameBuilder,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};
use serde_json::json;

use super::*;

/// What an endpoint was asked.
#[derive(Clone, Debug)]
struct Asked {
    authorization: Option<String>,
    form: HashMap<String, String>,
}

type Answer = fn(&Asked) -> Response;

/// A token endpoint that answers as it is told, and keeps what it was asked.
#[derive(Clone)]
struct Endpoint {
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Answer,
}

impl Endpoint {
    fn new(answer: Answer) -> Self {
        let asked = Arc::default();
        Self { asked, answer }
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/token", post(take))
            .with_state(self.clone())
    }

    /// Serves it without TLS, and returns its URL.
    async fn serve(&self) -> String {
        let (listener, address) = listener().await;
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/token")
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn listener() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn take(
    State(endpoint): State<Endpoint>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let asked = Asked {
        authorization: authorization.map(str::to_owned),
        form,
    };
    endpoint.asked.lock().expect("no panic").push(asked.clone());
    (endpoint.answer)(&asked)
}

fn granted(_: &Asked) -> Response {
    Json(json!({ "access_token": "a.b.c", "expires_in": 600 })).into_response()
}

fn login(endpoint: String, proof: Proof) -> Oidc {
    Oidc {
        endpoint,
        client_id: "me & you".into(),
        proof,
        scopes: vec!["openid".into(), "kafka".into()],
        extensions: [("logicalCluster".to_owned(), "lkc-1".to_owned())].into(),
        ca: None,
        skip_verify: false,
    }
}

fn by_secret(endpoint: String) -> Oidc {
    login(endpoint, Proof::Secret(Secret::new("hunter2:%".into())))
}

#[tokio::test]
async fn a_secret_goes_into_the_header_and_scopes_into_the_form() {
    let endpoint = Endpoint::new(granted);
    let client = Client::new(&by_secret(endpoint.serve().await)).expect("a client");
    let before = SystemTime::now();
    let token = client.fetch().await.expect("a token");
    assert_eq!(token.value.expose_secret(), "a.b.c");
    assert_eq!(token.extensions["logicalCluster"], "lkc-1");
    let lives = token.expires.duration_since(before).expect("the future");
    assert!((600..660).contains(&lives.as_secs()), "{lives:?}");
    let [asked] = &endpoint.asked()[..] else {
        panic!("{:?}", endpoint.asked());
    };
    // "me+%26+you:hunter2%3A%25": both are encoded before they are joined.
    let basic = "Basic bWUrJTI2K3lvdTpodW50ZXIyJTNBJTI1";
    assert_eq!(asked.authorization.as_deref(), Some(basic));
    assert_eq!(asked.form["grant_type"], "client_credentials");
    assert_eq!(asked.form["scope"], "openid kafka");
    assert!(!asked.form.contains_key("client_secret"));
}

#[tokio::test]
async fn a_provider_that_wants_the_secret_in_the_body_is_remembered() {
    let endpoint = Endpoint::new(|asked| {
        let given = asked.form.get("client_secret").map(String::as_str);
        if asked.authorization.is_none() && given == Some("hunter2:%") {
            return granted(asked);
        }
        (
            StatusCode::UNAUTHORIZED,
            Json(json!({ "error": "invalid_client" })),
        )
            .into_response()
    });
    let client = Client::new(&by_secret(endpoint.serve().await)).expect("a client");
    client.fetch().await.expect("a token");
    client.fetch().await.expect("a token");
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 3, "header, body, body: {asked:?}");
    assert_eq!(asked[2].form["client_id"], "me & you");
}

#[tokio::test]
async fn a_refusal_names_the_endpoint_and_never_the_secret() {
    let endpoint = Endpoint::new(|asked| {
        let secret = asked.form.get("client_secret").cloned().unwrap_or_default();
        let description = format!("no client with the secret {secret}");
        let error = json!({ "error": "invalid_client", "error_description": description });
        (StatusCode::UNAUTHORIZED, Json(error)).into_response()
    });
    let url = endpoint.serve().await;
    let client = Client::new(&by_secret(url.clone())).expect("a client");
    let failed = client.fetch().await.expect_err("no token");
    assert_eq!(failed.kind, Kind::Refused);
    for part in [
        url.as_str(),
        "401 Unauthorized: invalid_client",
        "oidcClientSecret",
    ] {
        assert!(failed.text.contains(part), "{part} is not in: {failed}");
    }
    assert!(!failed.text.contains("hunter2"), "{failed}");
}

/// A part of a secret would not be known as one.
#[tokio::test]
async fn a_secret_that_a_long_answer_repeats_is_masked_before_it_is_cut() {
    let endpoint = Endpoint::new(|asked| {
        let basic = asked.authorization.clone().unwrap_or_default();
        let sent = basic.trim_start_matches("Basic ").to_owned();
        let sent = asked.form.get("client_secret").cloned().unwrap_or(sent);
        let error = "e".repeat(296) + &sent;
        (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
    });
    let client = Client::new(&by_secret(endpoint.serve().await)).expect("a client");
    let failed = client.fetch().await.expect_err("no token");
    // The beginnings of the secret and of its Basic form.
    for part in ["ehunt", "ebWUr"] {
        assert!(!failed.text.contains(part), "{part} is in: {failed}");
    }
    assert!(failed.text.contains("eee…"), "{failed}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_secret() {
    let elsewhere = Endpoint::new(granted);
    let target = elsewhere.serve().await;
    let (listener, address) = listener().await;
    let router = Router::new().route(
        "/token",
        post(move || async move { axum::response::Redirect::temporary(&target) }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    let login = by_secret(format!("http://{address}/token"));
    let client = Client::new(&login).expect("a client");
    let failed = client.fetch().await.expect_err("no token");
    for part in ["307", "oidcTokenEndpoint is the token endpoint itself"] {
        assert!(failed.text.contains(part), "{part} is not in: {failed}");
    }
    let asked = elsewhere.asked();
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_cause() {
    let (listener, address) = listener().await;
    drop(listener);
    let url = format!("http://user:hunter2@{address}/token?key=hunter2");
    let client = Client::new(&by_secret(url)).expect("a client");
    assert!(client.note().expect("a note").contains("without TLS"));
    let failed = client.fetch().await.expect_err("no token");
    assert_eq!(failed.kind, Kind::Unreachable);
    let begins = format!("no token from http://{address}/token: ");
    assert!(failed.text.starts_with(&begins), "{failed}");
    assert!(failed.text.contains("refused"), "{failed}");
    assert!(!failed.text.contains("hunter2"), "{failed}");
}

#[tokio::test]
async fn an_assertion_goes_with_audience_and_resource() {
    let key = Rsa::generate(2048)
        .and_then(|key| key.private_key_to_pem())
        .expect("a key");
    let endpoint = Endpoint::new(granted);
    let proof = |audience: Option<&str>| Proof::PrivateKeyJwt {
        key: Secret::new(String::from_utf8(key.clone()).expect("PEM is text")),
        kid: None,
        audience: audience.map(str::to_owned),
        resource: Some("kafka".into()),
    };
    let url = endpoint.serve().await;
    for audience in [None, Some("idp")] {
        let client = Client::new(&login(url.clone(), proof(audience))).expect("a client");
        client.fetch().await.expect("a token");
    }
    let asked = endpoint.asked();
    for (asked, audience) in asked.iter().zip([None, Some("idp")]) {
        let given = |name: &str| asked.form.get(name).map(String::as_str);
        assert_eq!(given("client_id"), Some("me & you"));
        assert_eq!(given("client_assertion_type"), Some(ASSERTION_TYPE));
        assert_eq!(given("audience"), audience);
        assert_eq!(given("resource"), Some("kafka"));
        assert_eq!(given("scope"), Some("openid kafka"));
        assert_eq!(
            (given("client_secret"), &asked.authorization),
            (None, &None)
        );
        let claims = given("client_assertion").and_then(|made| made.split('.').nth(1));
        let claims = base64::Engine::decode(
            &base64::prelude::BASE64_URL_SAFE_NO_PAD,
            claims.expect("a JWT"),
        );
        let claims: serde_json::Value =
            serde_json::from_slice(&claims.expect("base64")).expect("JSON");
        assert_eq!(claims["aud"], audience.unwrap_or(&url));
    }
    assert_eq!(asked.len(), 2);
}

#[test]
fn settings_that_cant_be_used_are_named() {
    let good = by_secret("https://idp.test/token".into());
    let with = |change: fn(&mut Oidc)| {
        let mut login = good.clone();
        change(&mut login);
        let failed = Client::new(&login).err().expect("refused");
        assert_eq!(failed.kind, Kind::Setting);
        failed.text
    };
    assert!(Client::new(&good).is_ok());
    assert!(with(|login| login.endpoint = "idp.test/token".into()).contains("oidcTokenEndpoint"));
    assert!(with(|login| login.endpoint = "ftp://idp.test".into()).contains("oidcTokenEndpoint"));
    assert!(with(|login| login.ca = Some("nothing".into())).contains("caCert"));
}

/// A certificate for 127.0.0.1 that signs itself, with its key.
fn certificate() -> (X509, PKey<Private>) {
    let key = Rsa::generate(2048).and_then(PKey::from_rsa).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "idp").expect("a name");
    let name = name.build();
    let mut made = X509::builder().expect("a certificate");
    made.set_version(2).expect("version 3");
    made.set_subject_name(&name).expect("a subject");
    made.set_issuer_name(&name).expect("an issuer");
    made.set_pubkey(&key).expect("a key");
    let days = |days| Asn1Time::days_from_now(days).expect("a time");
    made.set_not_before(&days(0)).expect("a beginning");
    made.set_not_after(&days(2)).expect("an end");
    let names = SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .build(&made.x509v3_context(None, None));
    made.append_extension(names.expect("names"))
        .expect("an extension");
    let ca = BasicConstraints::new().critical().ca().build();
    made.append_extension(ca.expect("a CA"))
        .expect("an extension");
    made.sign(&key, MessageDigest::sha256()).expect("signed");
    (made.build(), key)
}

#[tokio::test]
async fn an_endpoint_with_a_ca_of_its_own_is_trusted_by_ca_cert_only() {
    let (certificate, key) = certificate();
    let pem = certificate.to_pem().expect("PEM");
    let identity =
        native_tls::Identity::from_pkcs8(&pem, &key.private_key_to_pem_pkcs8().expect("PEM"));
    let acceptor = native_tls::TlsAcceptor::new(identity.expect("an identity"));
    let acceptor = tokio_native_tls::TlsAcceptor::from(acceptor.expect("an acceptor"));
    let endpoint = Endpoint::new(granted);
    let (listener, address) = listener().await;
    let router = endpoint.router();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = hyper_util::service::TowerToHyperService::new(router);
                let io = hyper_util::rt::TokioIo::new(stream);
                let executor = hyper_util::rt::TokioExecutor::new();
                let server = hyper_util::server::conn::auto::Builder::new(executor);
                let _ = server.serve_connection(io, service).await;
            });
        }
    });
    let unknown = by_secret(format!("https://{address}/token"));
    let ca = Some(String::from_utf8(pem).expect("PEM is text"));
    let trusted = Oidc {
        ca,
        ..unknown.clone()
    };
    let unchecked = Oidc {
        skip_verify: true,
        ..unknown.clone()
    };

    let client = Client::new(&unknown).expect("a client");
    assert_eq!(client.note(), None);
    let failed = client.fetch().await.expect_err("not trusted");
    assert_eq!(failed.kind, Kind::Unreachable);
    for part in ["certificate verify failed", "caCert"] {
        assert!(failed.text.contains(part), "{part} is not in: {failed}");
    }
    assert!(endpoint.asked().is_empty(), "nothing was sent");
    for login in [trusted, unchecked] {
        Client::new(&login)
            .expect("a client")
            .fetch()
            .await
            .expect("a token");
    }
}
