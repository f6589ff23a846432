//! Tokens for Amazon MSK: a presigned request to the cluster's IAM action, as text.
//!
//! Its form is that of Amazon's own signers (aws-msk-iam-sasl-signer-go v1.0.1). No MSK
//! is at hand for the tests: they check the form, not that a cluster takes it.

mod connector;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use redact::Secret;
use tokio::{sync::OnceCell, time::timeout};
use url::Url;

use super::{Failed, Kind, Token};
use crate::metadata::security::Aws;

/// How long a token counts: what MSK takes at most.
const LIVES: Duration = Duration::from_secs(900);

/// How long it may take to get keys: from files, from the machine's metadata service,
/// and from STS for a role.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Signs tokens with AWS keys.
pub struct Signer {
    login: Aws,
    provider: OnceCell<SharedCredentialsProvider>,
}

impl Signer {
    /// # Errors
    /// When the region can't be one: it becomes part of a host's name.
    pub(super) fn new(login: &Aws) -> Result<Self, Failed> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if login.region.is_empty() || !login.region.bytes().all(fits) {
            return Err(Failed::setting(format!(
                "awsRegion: \"{}\" is no region; write it as AWS does, such as eu-central-1",
                login.region
            )));
        }
        Ok(Self {
            login: login.clone(),
            provider: OnceCell::new(),
        })
    }

    /// Whose keys sign, in words.
    pub(super) fn keys(&self) -> String {
        let Aws {
            keys, role, region, ..
        } = &self.login;
        match (keys, role) {
            (Some(_), _) => format!("awsAccessKey (region {region})"),
            (None, Some(role)) => format!("AWS role {role} (region {region})"),
            (None, None) => format!("the environment's AWS credentials (region {region})"),
        }
    }

    pub(super) fn note(&self) -> Option<String> {
        let role = self
            .login
            .role
            .as_ref()
            .filter(|_| self.login.keys.is_some())?;
        // The built-in does the same (components-contrib v1.18.4, `common/aws/auth`).
        Some(format!(
            "awsIamRoleArn {role} is not assumed, because awsAccessKey is given, which counts alone"
        ))
    }

    /// A new token, by keys that are looked up anew.
    pub(super) async fn fetch(&self) -> Result<Token, Failed> {
        let provider = self.provider.get_or_try_init(|| self.provider()).await?;
        let Ok(looked) = timeout(TIMEOUT, provider.provide_credentials()).await else {
            let text = format!(
                "no token by {}: nothing answered within {TIMEOUT:?}",
                self.keys()
            );
            return Err(Failed::new(Kind::Unreachable, text));
        };
        let credentials = looked.map_err(|error| self.failed(&error))?;
        let now = SystemTime::now();
        if let Some(end) = credentials.expiry().filter(|end| *end <= now) {
            return Err(self.ended(end));
        }
        let value = signed(&credentials, &self.login.region, now).map_err(|error| {
            Failed::setting(format!(
                "no token by {}: signing failed: {error}",
                self.keys()
            ))
        })?;
        // A token ends with the keys that signed it.
        let expires = now + LIVES;
        Ok(Token {
            value,
            principal: self.login.role.clone().unwrap_or_else(|| "aws".into()),
            expires: credentials.expiry().map_or(expires, |end| end.min(expires)),
            extensions: std::collections::BTreeMap::new(),
        })
    }

    /// Where keys come from.
    async fn provider(&self) -> Result<SharedCredentialsProvider, Failed> {
        let region = Region::new(self.login.region.clone());
        if let Some(keys) = &self.login.keys {
            let token = keys
                .token
                .as_ref()
                .map(|token| token.expose_secret().clone());
            let (access, secret) = (keys.access.expose_secret(), keys.secret.expose_secret());
            let keys = Credentials::new(access, secret, token, None, "metadata");
            return Ok(SharedCredentialsProvider::new(keys));
        }
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .http_client(connector::client()?)
            .load()
            .await;
        if let Some(role) = &self.login.role {
            return Ok(self.assuming(role, &config).await);
        }
        let none = || SharedCredentialsProvider::new(Nobody);
        Ok(config.credentials_provider().unwrap_or_else(none))
    }

    /// Keys of a role, as STS gives them.
    async fn assuming(&self, role: &str, config: &SdkConfig) -> SharedCredentialsProvider {
        let role = AssumeRoleProvider::builder(role)
            .session_name(&self.login.session_name)
            .region(Region::new(self.login.region.clone()))
            .configure(config)
            .build()
            .await;
        SharedCredentialsProvider::new(role)
    }

    /// The keys that were found are over.
    fn ended(&self, end: SystemTime) -> Failed {
        let end = humantime::format_rfc3339_seconds(end);
        let text = format!(
            "no token by {}: these AWS credentials expired at {end}; renew them where they come from",
            self.keys()
        );
        Failed::new(Kind::Refused, text)
    }

    /// What to look at when no token comes, and why is not known.
    pub(super) fn check(&self) -> &'static str {
        if self.login.keys.is_some() {
            return "keys of the metadata ask nobody, so this machine has no time to sign with them";
        }
        self.remedy()
    }

    fn remedy(&self) -> &'static str {
        match self.login.role {
            Some(_) => {
                "check awsIamRoleArn, its trust policy, and the AWS credentials of this process's \
                 environment"
            }
            None => {
                "set awsAccessKey and awsSecretKey, or give this process AWS credentials: \
                 AWS_ACCESS_KEY_ID, a profile, or a role of its machine or pod"
            }
        }
    }

    fn failed(&self, error: &CredentialsError) -> Failed {
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            let told = told(error);
            if !why.contains(&told) {
                why = format!("{why}: {told}");
            }
            cause = error.source();
        }
        let kind = match error {
            CredentialsError::ProviderTimedOut(_) => Kind::Unreachable,
            _ => Kind::Refused,
        };
        Failed::new(
            kind,
            format!("no token by {}: {why} ({})", self.keys(), self.remedy()),
        )
    }
}

/// What the SDK says of an error, without the token for a container's credentials: it
/// quotes one that can't be sent, such as a file's with the end of a line in it.
fn told(error: &dyn std::error::Error) -> String {
    let told = error.to_string();
    match told.split_once("` could not be used as a header value") {
        Some((_, rest)) => format!("a value that is not shown can't be a header's{rest}"),
        None => told,
    }
}

/// Stands for an environment without credentials.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let none = CredentialsError::not_loaded("there are none");
        future::ProvideCredentials::ready(Err(none))
    }
}

type SigningFailed = Box<dyn std::error::Error + Send + Sync>;

/// The token that these keys sign at that time.
fn signed(
    keys: &Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Secret<String>, SigningFailed> {
    let mut url = Url::parse(&format!("https://kafka.{region}.amazonaws.com/"))?;
    url.query_pairs_mut()
        .append_pair("Action", "kafka-cluster:Connect");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIVES);
    let identity = keys.clone().into();
    // Signed to the second, which the time in the token is told in.
    let seconds = now.duration_since(UNIX_EPOCH)?.as_secs();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(settings)
        .build()?
        .into();
    let host = url.host_str().unwrap_or_default().to_owned();
    let headers = [("host", host.as_str())].into_iter();
    let request = SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(b""))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let (_, added) = instructions.into_parts();
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in added {
            query.append_pair(name, &value);
        }
        // Who signed; it is not part of what is signed.
        let agent = concat!("dapr-rdkafka/", env!("CARGO_PKG_VERSION"));
        query.append_pair("User-Agent", agent);
    }
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(url.as_str())))
}

#[cfg(test)]
mod tests;
