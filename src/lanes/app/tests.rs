use axum::{Router, http::HeaderMap as Headers, response::Redirect, routing::get};
use tokio::net::TcpListener;

use super::*;

#[test]
fn a_url_is_an_apps_and_holds_no_password() {
    for (text, url) in [
        (
            "http://localhost:8080",
            "http://localhost:8080/dapr/subscribe",
        ),
        ("https://localhost/", "https://localhost/dapr/subscribe"),
        ("http://[::1]:80/own/path?a=b", "http://[::1]/own/path?a=b"),
    ] {
        let parsed = text.parse::<AppUrl>().map(|url| url.to_string());
        assert_eq!(parsed, Ok(url.to_owned()));
    }
    for wrong in [
        "",
        "localhost:8080",
        "8080",
        "ftp://localhost",
        "unix:///tmp/app.sock",
        "http://",
        "http://user@localhost",
        "http://:s3cret@localhost",
        "http://localhost/#a",
    ] {
        let error = wrong.parse::<AppUrl>().expect_err(wrong);
        assert!(error.starts_with("expected the app's address"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// An app that answers in one way on each path.
async fn app() -> String {
    let list = r#"[{"pubsubname":"todo","topic":"a","route":"/a"}]"#;
    let with_token = move |headers: Headers| async move {
        let knows = headers
            .get(TOKEN_HEADER)
            .is_some_and(|token| token == "secret");
        if knows {
            Ok(list)
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    };
    let routes = Router::new()
        .route("/dapr/subscribe", get(move || async move { list }))
        .route("/token", get(with_token))
        .route(
            "/redirect",
            get(|| async { Redirect::temporary("/dapr/subscribe") }),
        )
        .route("/large", get(|| async { vec![b' '; 50 << 20] }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route(
            "/broken",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route("/page", get(|| async { "<html>" }))
        .route(
            "/bytes",
            get(|| async { b"[{\"topic\": \"\xff\"}]".to_vec() }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

#[tokio::test]
async fn an_answer_is_a_list_of_subscriptions_or_an_error_that_names_the_url() {
    let app = app().await;
    let ask = async |path: &str, token| {
        let url: AppUrl = format!("{app}{path}").parse().expect("a URL");
        subscriptions(&url, token).await
    };
    for (path, token) in [
        ("", None),
        ("/dapr/subscribe", None),
        ("/token", Some("secret")),
    ] {
        let read = ask(path, token).await.expect("a list");
        assert_eq!((read.len(), &*read[0].topic), (1, "a"));
    }
    for (path, token, problem) in [
        (
            "/none",
            None,
            "answers 404 Not Found: the app has no programmatic subscriptions",
        ),
        (
            "/empty",
            None,
            "answers 204 No Content: the app has no programmatic subscriptions",
        ),
        (
            "/token",
            None,
            "answers 401 Unauthorized: set APP_API_TOKEN",
        ),
        (
            "/token",
            Some("sec\nret"),
            "is not asked: APP_API_TOKEN has characters",
        ),
        (
            "/redirect",
            None,
            "answers 307 Temporary Redirect: daprd follows no redirect",
        ),
        ("/large", None, "answers with more than 1048576 bytes"),
        (
            "/broken",
            None,
            "answers 500 Internal Server Error: expected 200 OK",
        ),
        (
            "/page",
            None,
            "does not answer with a list of subscriptions: it is not JSON",
        ),
        (
            "/bytes",
            None,
            "does not answer with a list of subscriptions: it is not JSON",
        ),
    ] {
        let error = ask(path, token).await.expect_err(path);
        assert!(
            error.starts_with(&format!("{app}{path} {problem}")),
            "{error}"
        );
        assert!(
            !error.contains("ret\"") && !error.contains("sec\n"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let url: AppUrl = format!("http://127.0.0.1:{port}").parse().expect("a URL");
    let error = subscriptions(&url, None).await.expect_err("nobody listens");
    let expected = format!("http://127.0.0.1:{port}/dapr/subscribe does not answer: ");
    assert!(
        error.starts_with(&expected) && error.contains("refused"),
        "{error}"
    );
}
