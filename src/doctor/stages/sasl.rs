//! The login.

mod exchange;
mod fixes;
mod scram;

use std::{net::IpAddr, time::Instant};

use exchange::{Failure, Proof};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use tokio::{net::TcpStream, time::timeout_at};

use super::versions::product;
use crate::{
    doctor::{
        BrokerSeen, Finding, Fix, Patience, Recorder, Seen, Stage,
        context::{Context, Target, Token},
        rows,
        wire::{Answered, Broken, Wire, shown},
    },
    metadata::{
        Settings,
        security::{self, Login, Mechanism},
    },
    token::{self, Failed, Kind},
};

/// Logs in, if the settings want it; true if the connection can be used.
pub(in crate::doctor) async fn log_in(
    context: &Context<'_>,
    target: &Target,
    wire: &mut Wire,
) -> bool {
    let until = context.until();
    let stage = Attempt {
        context,
        target,
        until,
    };
    let done = match &context.settings.security.login {
        Login::None => stage.without(wire).await,
        Login::Password(password) => stage.by(wire, &Proof::Password(password)).await,
        login @ (Login::Oidc(_) | Login::Aws(_)) => match stage.token(login).await {
            Ok(token) => stage.by(wire, &Proof::Token(&token)).await,
            Err(failed) => Err(no_token(login, &failed)),
        },
    };
    match done {
        Ok(seen) => {
            let recorder = &context.recorder;
            recorder.fine(Stage::Sasl, target.subject(), seen);
            true
        }
        Err(finding) => {
            context.recorder.found(target.subject(), finding);
            false
        }
    }
}

/// The stage, at one broker.
struct Attempt<'a> {
    context: &'a Context<'a>,
    target: &'a Target,
    until: Instant,
}

impl Attempt<'_> {
    /// Whether requests are answered without a login.
    async fn without(&self, wire: &mut Wire) -> Result<Seen, Finding> {
        let broken = match self.metadata(wire).await {
            Ok(answer) => return Ok(Seen::by(&answer, "answers without a login")),
            Err(broken) => broken,
        };
        // Most brokers that require a login just close at what comes before it.
        let offered = self.ask_anew(wire).await;
        let offered = offered.filter(|offered| !offered.is_empty());
        Err(match offered {
            Some(offered) => {
                let cause = format!(
                    "the settings have no login, and the listener requires one: it offers {}",
                    offered.join(", ")
                );
                let fix = fixes::log_in(self.context.settings, &offered);
                Finding::new(&rows::sasl::REQUIRED, cause, fix)
            }
            None => broke_off(&broken, "the first request after ApiVersions"),
        })
    }

    /// The mechanisms that the broker offers, by a connection of its own; `None` if it does
    /// not tell.
    async fn ask_anew(&self, wire: &Wire) -> Option<Vec<String>> {
        // What happens on the way to it was noted when it was gone the first time.
        let aside = Recorder::default();
        let context = Context {
            settings: self.context.settings,
            token: Token::fetched(),
            patience: Patience::Until(self.until),
            recorder: &aside,
        };
        let connected = timeout_at(self.until.into(), TcpStream::connect(wire.peer)).await;
        let mut anew =
            super::tls::secure(&context, self.target, (connected.ok()?.ok()?, wire.peer)).await?;
        anew.ranges = wire.ranges.clone();
        match exchange::offered(&mut anew, Mechanism::Plain.name(), self.until).await {
            Ok(offered) | Err(Failure::NotOffered(offered)) => Some(offered),
            Err(_) => None,
        }
    }

    /// Logs in by this, and sees that requests are answered then.
    async fn by(&self, wire: &mut Wire, proof: &Proof<'_>) -> Result<Seen, Finding> {
        let settings = self.context.settings;
        let logged_in = exchange::log_in(wire, proof, self.until).await;
        let (answer, offered) = logged_in.map_err(|failure| failed(settings, proof, failure))?;
        if let Err(broken) = self.metadata(wire).await {
            return Err(broke_off(&broken, "the first request after the login"));
        }
        // Once is enough: where else brokers are is not for this YAML to say.
        if self.target.advertised.is_none() && readable(&settings.security, wire.peer.ip()) {
            let recorder = &self.context.recorder;
            recorder.found(self.target.subject(), plain_text(&offered));
        }
        let words = format!("logged in by {}", proof.mechanism());
        Ok(Seen::by(&answer, words))
    }

    /// Asks for nothing but the cluster's id, which every client may have.
    async fn metadata(&self, wire: &mut Wire) -> Result<Answered<MetadataResponse>, Broken> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let answer = wire.ask(&request, self.until).await?;
        let security = &self.context.settings.security;
        self.context.recorder.saw(BrokerSeen {
            subject: self.target.subject(),
            product: product(&wire.ranges, answer.value.cluster_id.as_deref()),
            tls: security.tls.is_some(),
            login: security.login != Login::None,
            ranges: wire.ranges.clone(),
        });
        Ok(answer)
    }

    /// A token, as long as the stage may take.
    async fn token(&self, login: &Login) -> Result<token::Token, Failed> {
        match timeout_at(self.until.into(), self.context.token.of(login)).await {
            Ok(Some(token)) => token.clone(),
            Ok(None) | Err(_) => Err(Failed {
                kind: Kind::Unreachable,
                text: "none came in time".to_owned(),
            }),
        }
    }
}

fn no_token(login: &Login, failed: &Failed) -> Finding {
    let fix = match (login, failed.kind) {
        (Login::Oidc(oidc), Kind::Refused) => match oidc.proof {
            security::Proof::Secret(_) => {
                Fix::words("write the secret that the provider has for this `oidcClientID`")
                    .set("oidcClientSecret", "<the OAuth client's secret>")
            }
            security::Proof::PrivateKeyJwt { .. } => {
                Fix::words("write the key that the provider has for this `oidcClientID`")
                    .set("oidcClientAssertionKey", "<the RSA key as PEM>")
            }
        },
        (Login::Oidc(_), Kind::Unreachable) => {
            Fix::words("write the provider's token endpoint as it can be reached from here")
                .set("oidcTokenEndpoint", "<the URL of the token endpoint>")
        }
        (Login::Aws(_), _) => Fix::words("give the component AWS keys that can be used"),
        (_, Kind::Setting) | (Login::None | Login::Password(_), _) => {
            Fix::words("correct the setting that is named")
        }
    };
    let text = failed.text.trim_end_matches('.');
    let cause = format!("there is no token for the login: {text}");
    Finding::new(&rows::sasl::NO_TOKEN, cause, fix)
}

/// What a failed login is, and what to do.
fn failed(settings: &Settings, proof: &Proof<'_>, failure: Failure) -> Finding {
    let mechanism = proof.mechanism();
    match (failure, proof) {
        (Failure::NotOffered(offered), _) => {
            let others = if offered.is_empty() {
                "none".to_owned()
            } else {
                offered.join(", ")
            };
            let cause = format!("the listener does not take {mechanism}, it offers {others}");
            let fix = fixes::log_in(settings, &offered);
            Finding::new(&rows::sasl::MECHANISM, cause, fix)
        }
        (Failure::NoLogin(how), _) => {
            let cause = format!("the settings have a login, and the listener takes none: {how}");
            Finding::new(&rows::sasl::NO_LOGIN, cause, fixes::no_login(settings))
        }
        (Failure::Refused(text), Proof::Password(_)) => {
            let cause = format!("the broker refuses the login by {mechanism}: {text}");
            let fix = Fix::words("write the user and the password that the broker knows")
                .set("saslUsername", "<the user>")
                .set("saslPassword", "<the user's password>");
            Finding::new(&rows::sasl::REFUSED, cause, fix)
        }
        (Failure::Refused(text), Proof::Token(_)) => {
            let cause = format!("the broker refuses the token: {text}");
            Finding::new(&rows::sasl::TOKEN_REFUSED, cause, other_token(settings))
        }
        (Failure::Broken(broken), _) => broke_off(&broken, "the login"),
    }
}

fn other_token(settings: &Settings) -> Fix {
    match &settings.security.login {
        Login::Oidc(_) => Fix::words(
            "write the endpoint of the provider whose tokens the broker trusts, or have the \
             broker trust this one's; it may also want other `oidcScopes`",
        )
        .set("oidcTokenEndpoint", "<the URL of the token endpoint>"),
        _ => Fix::words(
            "allow this AWS identity kafka-cluster:Connect, and check the region of the cluster",
        )
        .set("awsRegion", "<the cluster's region>"),
    }
}

fn broke_off(broken: &Broken, at: &str) -> Finding {
    let cause = format!(
        "the broker told which versions it serves, but at {at} {}",
        shown(broken.to_string())
    );
    let fix = Fix::words("look into the broker's log for why it ends connections from here");
    Finding::new(&rows::sasl::BROKEN, cause, fix)
}

/// Whether others can read the password: not on the way within one machine.
fn readable(security: &security::Security, peer: IpAddr) -> bool {
    let plain = matches!(&security.login, Login::Password(by) if by.mechanism == Mechanism::Plain);
    plain && security.tls.is_none() && !peer.to_canonical().is_loopback()
}

fn plain_text(offered: &[String]) -> Finding {
    let cause = "the login is by PLAIN without TLS: the password can be read on the way";
    let fix = match fixes::by_password(offered) {
        Some(word) if word.starts_with("SHA") => {
            let words = "log in without sending the password; the user must have one for SCRAM";
            Fix::words(words).set("saslMechanism", word)
        }
        _ => Fix::words("write the address of a listener with TLS in `brokers`"),
    };
    Finding::new(&rows::sasl::READABLE, cause, fix)
}

#[cfg(test)]
mod tests;
