use std::{
    net::TcpListener,
    thread::{self, JoinHandle},
};

use harness::Authority;
use openssl::{
    pkey::PKey,
    ssl::{NameType, SslAcceptor},
};

use super::*;

/// Long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose certificate is for `elsewhere.test`: where it is, whom to trust, and
/// the name that its one client asks for.
fn server() -> (SocketAddr, Tls, JoinHandle<Option<String>>) {
    let authority = Authority::new("test").unwrap();
    let identity = authority.server(&["elsewhere.test"]).unwrap();
    let certificate = X509::from_pem(identity.certificate.as_bytes()).unwrap();
    let key = PKey::private_key_from_pem(identity.key.as_bytes()).unwrap();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    acceptor.set_private_key(&key).unwrap();
    // Written after the handshake, they would meet a client that has gone.
    acceptor.set_num_tickets(0).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let stream = acceptor.accept(stream).unwrap();
        let name = stream.ssl().servername(NameType::HOST_NAME);
        name.map(str::to_owned)
    });
    let tls = Tls {
        ca: Some(authority.pem),
        ..Tls::default()
    };
    (address, tls, asked)
}

#[test]
fn an_address_without_a_certificate_is_not_the_last_one_asked() {
    let hangs_up = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = hangs_up.local_addr().unwrap();
    let hanging_up = thread::spawn(move || drop(hangs_up.accept()));
    let (address, tls, asked) = server();
    let end = Instant::now() + PATIENCE;
    let said = at_any(&tls, "broker.test", &[dead, address], end).expect("an objection");
    assert!(
        said.contains("it has elsewhere.test, not broker.test"),
        "{said}"
    );
    assert_eq!(asked.join().unwrap().as_deref(), Some("broker.test"));
    hanging_up.join().unwrap();
}

#[test]
fn an_address_is_no_name_to_ask_for() {
    let (address, tls, asked) = server();
    let end = Instant::now() + PATIENCE;
    let said = objections(&tls, &address.to_string(), end).expect("an objection");
    assert!(said.contains("not 127.0.0.1"), "{said}");
    assert_eq!(asked.join().unwrap(), None);
}
