//! Tokens for the clients that log in with one (SASL's OAUTHBEARER).
//!
//! A [`Session`] has one task that fetches the token and renews it, and gives it to
//! every client of that login. It sets tokens by librdkafka's own function: rdkafka's
//! callback (0.39) knows no SASL extensions, and gives no token until someone polls.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Cause, Kind,
    logged_in::{Native, Seat},
};
use crate::{
    doctor,
    metadata::{Settings, security::Login},
    telemetry::events::{TokenFailed, TokenRenewed},
    token::{self, Failed, Source, Token},
};

/// The part of its life after which a token is renewed: librdkafka's own measure.
const RENEW_AFTER: f64 = 0.8;

/// The least time between two fetches.
const PACE: Duration = Duration::from_secs(1);

/// The most time until a failed fetch is tried again: it leaves room to go on within
/// 10 s of the provider's return, a login and reconnects included, which `make ledger` judges.
const LONGEST: Duration = Duration::from_secs(5);

/// How long the task may sleep without a look at the wall clock: a machine that was
/// suspended finds its tokens over.
const LOOK: Duration = Duration::from_secs(30);

/// How long a session outlives an Init that failed. daprd tries Init again, which finds
/// then what took too long for the first.
const LINGERS: Duration = Duration::from_secs(60);

/// The logins that tokens are kept for in this process. Component instances that log in
/// alike share one, as do the clients that are made for a moment.
static SESSIONS: Mutex<Vec<Weak<Tokens>>> = Mutex::new(Vec::new());

/// Keeps a login's token fresh, as long as this lives or a client that logs in by it.
/// Cheap to clone; of no effect for logins without tokens.
#[derive(Clone)]
pub struct Session(Option<Arc<Tokens>>);

/// One login's token and who uses it.
pub(super) struct Tokens {
    login: Login,
    /// Who is asked, for messages.
    from: String,
    /// What to look at when nothing comes of it.
    check: &'static str,
    shared: Arc<Shared>,
    /// Ends the task.
    _task: DropGuard,
}

/// What the task and the clients share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How often something came of a fetch.
    fetched: watch::Sender<u64>,
    /// Someone wants a token now.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Why the last fetch failed, if it did.
    failed: Option<Failed>,
    clients: Vec<(u64, Native)>,
}

impl State {
    /// The token, if brokers still take it.
    fn valid(&self) -> Option<&Token> {
        let token = self.token.as_ref();
        token.filter(|token| token.expires > SystemTime::now())
    }
}

impl Session {
    /// Begins to fetch tokens for these settings' login, if it needs any; `instance` is
    /// named in the log. Must be called on the runtime.
    ///
    /// # Errors
    /// When a certificate, a key or a URL of the metadata can't be read.
    pub fn open(settings: &Settings, instance: &Arc<str>) -> Result<Self, Cause> {
        let login = &settings.security.login;
        // Locked to the end: of two that open at once, one finds the other's.
        let mut sessions = sessions();
        if let Some(tokens) = find(&sessions, login) {
            return Ok(Self(Some(tokens)));
        }
        let Some(source) = Source::new(login)? else {
            return Ok(Self(None));
        };
        if let Some(note) = source.note() {
            tracing::warn!(%instance, "login: {note}");
        }
        let (from, check) = (source.to_string(), source.check());
        let (shared, ended) = (Arc::<Shared>::default(), CancellationToken::new());
        let task = keep(shared.clone(), source);
        tokio::spawn(ended.clone().run_until_cancelled_owned(task));
        let tokens = Arc::new(Tokens {
            login: login.clone(),
            from,
            check,
            shared,
            _task: ended.drop_guard(),
        });
        sessions.retain(|known| known.strong_count() > 0);
        sessions.push(Arc::downgrade(&tokens));
        Ok(Self(Some(tokens)))
    }

    /// Waits until there is a token, or why there is none.
    ///
    /// # Errors
    /// When fetching one failed, or took longer than this.
    pub async fn ready(&self, within: Duration) -> Result<(), Cause> {
        let Some(tokens) = &self.0 else {
            return Ok(());
        };
        let shared = &tokens.shared;
        let mut fetched = shared.fetched.subscribe();
        if shared.lock().valid().is_some() {
            return Ok(());
        }
        // What failed a while ago may go well now.
        shared.wanted.notify_one();
        // What the state is then counts, whether or not something came of it in time.
        let _ = tokio::time::timeout(within, fetched.changed()).await;
        let state = shared.lock();
        match (state.valid(), &state.failed) {
            (Some(_), _) => Ok(()),
            // Perhaps what failed before: it is the best that is known.
            (None, Some(failed)) => Err(failed.clone().into()),
            (None, None) => Err(Cause {
                kind: Kind::Unreachable,
                text: format!(
                    "no token from {} within {within:?}; {}",
                    tokens.from, tokens.check
                ),
            }),
        }
    }

    /// Keeps the token, or the fetching of it, for 60 s more: for the next Init after one
    /// that failed. Not if there is no token because it was refused: asking on and on with
    /// a wrong secret may lock the client out.
    pub fn linger(&self) {
        let Some(tokens) = self.0.clone() else {
            return;
        };
        let state = tokens.shared.lock();
        let failed = state.failed.as_ref().filter(|_| state.valid().is_none());
        if failed.is_some_and(|failed| failed.kind == token::Kind::Refused) {
            return;
        }
        drop(state);
        tokio::spawn(async move {
            tokio::time::sleep(LINGERS).await;
            drop(tokens);
        });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl From<Failed> for Cause {
    fn from(failed: Failed) -> Self {
        let kind = match failed.kind {
            token::Kind::Setting => Kind::Invalid,
            token::Kind::Unreachable => Kind::Unreachable,
            token::Kind::Refused => Kind::Forbidden,
        };
        Self {
            kind,
            text: failed.text,
        }
    }
}

/// A seat for a client of this login, with the token that there is; `None` if the login
/// needs none.
///
/// # Errors
/// When the login needs tokens and nobody opened a [`Session`] for it.
pub(super) fn seat(login: &Login, client: Native) -> Result<Option<Seat>, Cause> {
    if matches!(login, Login::None | Login::Password(_)) {
        return Ok(None);
    }
    let tokens = find(&sessions(), login);
    let tokens = tokens.ok_or_else(|| Cause::other("nobody fetches tokens for this login"))?;
    Ok(Some(Seat::new(tokens, client)))
}

/// Why clients of this login can't log in at the moment: there is no token that brokers
/// would take.
pub(super) fn hindrance(login: &Login) -> Option<String> {
    let tokens = find(&sessions(), login)?;
    let state = tokens.shared.lock();
    let failed = state.failed.as_ref().filter(|_| state.valid().is_none())?;
    Some(failed.text.clone())
}

/// The login's token for the doctor's checks: what there is, or why there is none.
pub(super) fn known(login: &Login) -> doctor::Token {
    let Some(tokens) = find(&sessions(), login) else {
        return doctor::Token::fetched();
    };
    let state = tokens.shared.lock();
    doctor::Token::known(match (state.valid(), &state.failed) {
        (Some(token), _) => Ok(token.clone()),
        (None, Some(failed)) => Err(failed.clone()),
        (None, None) => Err(Failed {
            kind: token::Kind::Unreachable,
            text: format!(
                "there is no token from {} yet; {}",
                tokens.from, tokens.check
            ),
        }),
    })
}

fn sessions() -> MutexGuard<'static, Vec<Weak<Tokens>>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session of a login, if there is one.
fn find(sessions: &[Weak<Tokens>], login: &Login) -> Option<Arc<Tokens>> {
    let mut living = sessions.iter().filter_map(Weak::upgrade);
    living.find(|tokens| tokens.login == *login)
}

/// The numbers of seats.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl Tokens {
    /// Gives a client the token that there is, and every later one, until it leaves by
    /// the number that this returns.
    pub(super) fn join(&self, client: Native) -> u64 {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let mut state = self.shared.lock();
        match (state.valid(), &state.failed) {
            (Some(token), _) => client.give(token),
            (None, Some(failed)) => client.refuse(&failed.text),
            // There is none yet, or it ended while nobody looked.
            (None, None) => self.shared.wanted.notify_one(),
        }
        state.clients.push((number, client));
        number
    }

    /// Nothing is given to this client any more, once this returns.
    pub(super) fn leave(&self, number: u64) {
        self.shared
            .lock()
            .clients
            .retain(|(other, _)| *other != number);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives all clients a new token.
    fn renew(&self, token: Token) {
        let mut state = self.lock();
        for (_, client) in &state.clients {
            client.give(&token);
        }
        state.token = Some(token);
        state.failed = None;
        drop(state);
        self.fetched.send_modify(|count| *count += 1);
    }

    /// Tells clients that wait for a token why there is none.
    fn fail(&self, failed: Failed) {
        let mut state = self.lock();
        if state.valid().is_none() {
            for (_, client) in &state.clients {
                client.refuse(&failed.text);
            }
        }
        state.failed = Some(failed);
        drop(state);
        self.fetched.send_modify(|count| *count += 1);
    }
}

/// Fetches a token, and a new one before it ends, for ever.
async fn keep(shared: Arc<Shared>, source: Source) {
    let from = &source.to_string();
    let mut failures = 0;
    loop {
        let begun = Instant::now();
        let wait = match source.fetch().await {
            Ok(token) => {
                failures = 0;
                let lives = token.expires.duration_since(SystemTime::now());
                let lives = lives.unwrap_or_default();
                shared.renew(token);
                TokenRenewed { from, lives }.emit();
                lives.mul_f64(RENEW_AFTER).max(PACE)
            }
            Err(failed) => {
                let again = PACE.saturating_mul(1 << failures.min(8)).min(LONGEST);
                failures += 1;
                TokenFailed {
                    from,
                    reason: &failed.text,
                    again,
                }
                .emit();
                shared.fail(failed);
                again
            }
        };
        rest(&shared, begun, wait).await;
    }
}

/// Waits for that long, by either clock, or until someone wants a token and there is none.
async fn rest(shared: &Shared, begun: Instant, wait: Duration) {
    let (slept, due) = (Instant::now(), SystemTime::now() + wait);
    loop {
        let left = left(wait.saturating_sub(slept.elapsed()), due, SystemTime::now());
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            // Whoever wanted one may have got it meanwhile.
            () = shared.wanted.notified() => if shared.lock().valid().is_none() {
                // And may ask often.
                return tokio::time::sleep(PACE.saturating_sub(begun.elapsed())).await;
            },
        }
    }
}

/// How long to sleep before the next look, if so much is left and it is due then. A
/// suspended machine stands still by the one clock, and the other may be set.
fn left(left: Duration, due: SystemTime, now: SystemTime) -> Duration {
    let until = due.duration_since(now).unwrap_or_default();
    left.min(until).min(LOOK)
}

#[cfg(test)]
mod tests;
