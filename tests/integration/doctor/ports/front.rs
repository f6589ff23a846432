//! A port that behaves as a test wants it, and otherwise when the test has mended it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use harness::{Identity, Result};
use openssl::{
    pkey::PKey,
    ssl::{
        SniError, Ssl, SslAcceptor, SslAcceptorBuilder, SslAlert, SslConnector, SslMethod,
        SslVerifyMode, SslVersion,
    },
    x509::X509,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_openssl::SslStream;

/// What a port does.
#[derive(Clone)]
pub enum Does {
    /// Hands everything on to another port.
    Forward(String),
    /// The same, but ends TLS and begins it again.
    Secure(SslAcceptor, String),
    /// Takes connections and says nothing.
    Nothing,
    /// Closes them.
    Close,
    /// Says this to whatever comes.
    Say(&'static [u8]),
    /// The same by TLS.
    SayByTls(SslAcceptor, &'static [u8]),
    /// Answers HTTP: path and what comes for it, with its head.
    Http(&'static [(&'static str, &'static str)]),
    /// The same by TLS.
    Https(SslAcceptor, &'static [(&'static str, &'static str)]),
}

/// A port, until it is dropped.
pub struct Front {
    /// Where it is.
    pub address: String,
    does: Arc<Mutex<Does>>,
    serving: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Front {
    /// Opens one, as `localhost`.
    pub async fn new(does: Does) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("localhost:{}", listener.local_addr()?.port());
        let does = Arc::new(Mutex::new(does));
        let shared = does.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let does = shared.lock().unwrap_or_else(PoisonError::into_inner);
                tokio::spawn(serve(does.clone(), stream));
            }
        });
        Ok(Self {
            address,
            does,
            serving,
        })
    }

    /// From now on it does this.
    pub fn mend(&self, does: Does) {
        *self.does.lock().unwrap_or_else(PoisonError::into_inner) = does;
    }
}

/// How one connection ends is no matter to a test.
async fn serve(does: Does, mut stream: TcpStream) {
    let _ = match does {
        Does::Forward(to) => forward(stream, &to).await,
        Does::Secure(acceptor, to) => secure(&acceptor, stream, &to).await,
        Does::Nothing => read_all(&mut stream).await,
        Does::Close => Ok(()),
        Does::Say(words) => say(stream, words).await,
        Does::SayByTls(acceptor, words) => say_by_tls(&acceptor, stream, words).await,
        Does::Http(pages) => http(&mut stream, pages).await,
        Does::Https(acceptor, pages) => https(&acceptor, stream, pages).await,
    };
}

async fn forward(mut stream: TcpStream, to: &str) -> Result<()> {
    let mut behind = TcpStream::connect(to).await?;
    copy_bidirectional(&mut stream, &mut behind).await?;
    Ok(())
}

async fn say_by_tls(acceptor: &SslAcceptor, stream: TcpStream, words: &[u8]) -> Result<()> {
    let mut stream = accept(acceptor, stream).await?;
    stream.write_all(words).await?;
    // Until whoever listens has gone.
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}

async fn accept(acceptor: &SslAcceptor, stream: TcpStream) -> Result<SslStream<TcpStream>> {
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
    Pin::new(&mut stream).accept().await?;
    Ok(stream)
}

async fn secure(acceptor: &SslAcceptor, stream: TcpStream, to: &str) -> Result<()> {
    let mut stream = accept(acceptor, stream).await?;
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    let ssl = connector.build().configure()?.into_ssl("localhost")?;
    let mut behind = SslStream::new(ssl, TcpStream::connect(to).await?)?;
    Pin::new(&mut behind).connect().await?;
    copy_bidirectional(&mut stream, &mut behind).await?;
    Ok(())
}

async fn read_all(stream: &mut TcpStream) -> Result<()> {
    let mut some = [0; 1024];
    while stream.read(&mut some).await? > 0 {}
    Ok(())
}

async fn say(mut stream: TcpStream, words: &[u8]) -> Result<()> {
    // The client begins; and closing with something unread would be a reset.
    stream.readable().await?;
    stream.write_all(words).await?;
    stream.shutdown().await?;
    read_all(&mut stream).await
}

async fn http(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    pages: &[(&str, &str)],
) -> Result<()> {
    let mut some = vec![0; 1024];
    let read = stream.read(&mut some).await?;
    let asked = String::from_utf8_lossy(some.get(..read).unwrap_or_default());
    let path = asked.split(' ').nth(1).unwrap_or_default();
    let page = pages.iter().find(|(there, _)| *there == path);
    let answer = match page {
        _ if !asked.starts_with("GET ") => "HTTP/1.1 400 Bad Request\r\n\r\n",
        Some((_, page)) => page,
        None => "HTTP/1.1 404 Not Found\r\nServer: Seastar httpd\r\n\r\n",
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    while stream.read(&mut some).await? > 0 {}
    Ok(())
}

async fn https(acceptor: &SslAcceptor, stream: TcpStream, pages: &[(&str, &str)]) -> Result<()> {
    http(&mut accept(acceptor, stream).await?, pages).await
}

/// A TLS server with this certificate, and these behind it.
pub fn server(identity: &Identity, chain: &[&str]) -> Result<SslAcceptor> {
    Ok(builder(identity, chain)?.build())
}

/// One that speaks nothing newer than TLS 1.1.
pub fn old_server(identity: &Identity) -> Result<SslAcceptor> {
    let mut acceptor = builder(identity, &[])?;
    acceptor.set_min_proto_version(None)?;
    acceptor.set_max_proto_version(Some(SslVersion::TLS1_1))?;
    acceptor.set_cipher_list("ALL:@SECLEVEL=0")?;
    Ok(acceptor.build())
}

/// One that requires a client's certificate from this authority, in TLS up to a version.
pub fn mutual_server(
    identity: &Identity,
    authority: &str,
    newest: SslVersion,
) -> Result<SslAcceptor> {
    let mut acceptor = builder(identity, &[])?;
    acceptor.set_max_proto_version(Some(newest))?;
    let authority = X509::from_pem(authority.as_bytes())?;
    acceptor.cert_store_mut().add_cert(authority)?;
    acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    Ok(acceptor.build())
}

/// One that knows nobody by the name that it is asked for, and says so.
pub fn strange_server(identity: &Identity) -> Result<SslAcceptor> {
    let mut acceptor = builder(identity, &[])?;
    acceptor.set_servername_callback(|_, alert| {
        *alert = SslAlert::UNRECOGNIZED_NAME;
        Err(SniError::ALERT_FATAL)
    });
    Ok(acceptor.build())
}

fn builder(identity: &Identity, chain: &[&str]) -> Result<SslAcceptorBuilder> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let certificate = X509::from_pem(identity.certificate.as_bytes())?;
    acceptor.set_certificate(&certificate)?;
    for above in chain {
        acceptor.add_extra_chain_cert(X509::from_pem(above.as_bytes())?)?;
    }
    let key = PKey::private_key_from_pem(identity.key.as_bytes())?;
    acceptor.set_private_key(&key)?;
    Ok(acceptor)
}

/// A port whose queue of connections is full: one more is not even answered.
pub struct Full {
    listener: TcpListener,
    /// Where it is.
    pub address: String,
    waiting: Vec<TcpStream>,
}

impl Full {
    /// Opens it at this address; port 0 is any port.
    pub async fn new(address: &str) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(address.parse()?)?;
        let listener = socket.listen(1)?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        let patience = Duration::from_secs(1);
        while let Ok(connected) = timeout(patience, TcpStream::connect(address)).await {
            waiting.push(connected?);
        }
        Ok(Self {
            listener,
            address: address.to_string(),
            waiting,
        })
    }

    /// From now on it hands everything on.
    pub fn mend(self, to: String) -> JoinHandle<()> {
        drop(self.waiting);
        tokio::spawn(async move {
            while let Ok((stream, _)) = self.listener.accept().await {
                tokio::spawn(serve(Does::Forward(to.clone()), stream));
            }
        })
    }
}
