//! Clients of librdkafka, and how they are given tokens.

use std::{
    ffi::CString,
    ops::Deref,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use rdkafka::{
    ClientContext,
    admin::AdminClient,
    bindings,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, StreamConsumer},
    producer::{BaseProducer, FutureProducer, Producer as _, ProducerContext},
    types::{RDKafka, RDKafkaRespErr},
};

use super::{Cause, oauth};
use crate::{metadata::security::Login, token::Token};

/// A client that is given tokens as long as it lives, if its login needs them.
///
/// Each of its handles keeps librdkafka's client alive, and the seat goes first: so a
/// client that has a seat is alive.
#[derive(Clone)]
pub(super) struct LoggedIn<T> {
    // Fields are dropped in this order.
    seat: Option<Arc<Seat>>,
    client: T,
}

impl<T: HasNative> LoggedIn<T> {
    /// Gives a fresh client the login's token.
    ///
    /// # Errors
    /// When the login needs tokens and nobody fetches them.
    pub(super) fn new(client: T, login: &Login) -> Result<Self, Cause> {
        let seat = oauth::seat(login, Native(client.native()))?.map(Arc::new);
        Ok(Self { seat, client })
    }

    /// The same, as one that can be shared.
    pub(super) fn shared(self) -> LoggedIn<Arc<T>> {
        self.map(Arc::new)
    }
}

impl<T> LoggedIn<T> {
    /// The same client behind another handle, which must keep it alive.
    pub(super) fn map<U>(self, handle: impl FnOnce(T) -> U) -> LoggedIn<U> {
        LoggedIn {
            seat: self.seat,
            client: handle(self.client),
        }
    }

    /// The client alone, which gets no new token any more.
    pub(super) fn into_inner(self) -> T {
        drop(self.seat);
        self.client
    }
}

impl<T> Deref for LoggedIn<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.client
    }
}

/// A client's place among those that are given tokens; it is left when this is dropped.
pub(super) struct Seat {
    tokens: Arc<oauth::Tokens>,
    number: u64,
}

impl Seat {
    pub(super) fn new(tokens: Arc<oauth::Tokens>, client: Native) -> Self {
        let number = tokens.join(client);
        Self { tokens, number }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.tokens.leave(self.number);
    }
}

/// Whoever has one of librdkafka's clients, and keeps it alive.
pub(super) trait HasNative {
    fn native(&self) -> *mut RDKafka;
}

impl<C: ClientContext> HasNative for AdminClient<C> {
    fn native(&self) -> *mut RDKafka {
        self.inner().native_ptr()
    }
}

impl<C: ProducerContext> HasNative for BaseProducer<C> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

impl<C: ClientContext + 'static> HasNative for FutureProducer<C> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

impl<C: ConsumerContext> HasNative for BaseConsumer<C> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

impl<C: ConsumerContext + 'static> HasNative for StreamConsumer<C> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

/// One of librdkafka's clients, which lives as long as its [`Seat`].
pub(super) struct Native(*mut RDKafka);

// SAFETY: librdkafka's functions may be called from any thread (rdkafka.h, "Threads").
unsafe impl Send for Native {}

impl Native {
    /// Sets the token that the client logs in with from now on. Asks nobody.
    pub(super) fn give(&self, token: &Token) {
        let c = |text: &str| CString::new(text).unwrap_or_default();
        let (value, principal) = (c(token.value.expose_secret()), c(&token.principal));
        let texts: Vec<_> = token
            .extensions
            .iter()
            .flat_map(|(name, value)| [c(name), c(value)])
            .collect();
        let mut extensions: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        let expires = token.expires.duration_since(UNIX_EPOCH);
        let expires = expires.as_ref().map_or(0, Duration::as_millis);
        let mut why = [0; 512];
        // SAFETY: the client is alive, since it has a seat (see `LoggedIn`). All texts are
        // C strings that outlive the call, which copies what it keeps; the array has as
        // many elements as it is told, and the buffer for the error its length. rdkafka's
        // own way (0.39) leaves the extensions out.
        let error = unsafe {
            bindings::rd_kafka_oauthbearer_set_token(
                self.0,
                value.as_ptr(),
                i64::try_from(expires).unwrap_or(i64::MAX / 1000),
                principal.as_ptr(),
                extensions.as_mut_ptr(),
                extensions.len(),
                why.as_mut_ptr(),
                why.len(),
            )
        };
        // Its text may show the token. What it checks, `token` has checked already.
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            tracing::error!(
                "librdkafka did not take a token ({error:?}); it goes on with the one before"
            );
        }
    }

    /// Tells the client why it gets no token; it says so in its errors.
    pub(super) fn refuse(&self, why: &str) {
        let why = CString::new(why).unwrap_or_default();
        // SAFETY: the client is alive, since it has a seat (see `LoggedIn`), and the text
        // is a C string that outlives the call, which copies it.
        let error =
            unsafe { bindings::rd_kafka_oauthbearer_set_token_failure(self.0, why.as_ptr()) };
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            tracing::error!("librdkafka was not told why it has no token ({error:?})");
        }
    }
}
