use std::{fmt::Write as _, path::Path};

use tokio::process::Command;

use crate::{
    Authority, Identity, Kafka, Result, free_port,
    kafka::{Listener, Setup},
};

/// The user that every listener with a login knows.
pub const USER: &str = "app";
/// The user's password.
pub const PASSWORD: &str = "correct horse";

/// The host that [`Way::Dotted`] is advertised as. Its certificate has the name
/// without the dot, as with Redpanda's Helm chart.
pub const DOTTED: &str = "rp-0.test.";

const NO_NAMESPACE: &str = "this system lets this user cover no /etc/hosts in a mount namespace \
    (unshare --mount): run the tests as root, or allow user namespaces, by sysctl \
    kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu) or kernel.unprivileged_userns_clone=1 \
    (Debian); a container needs CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN --security-opt \
    apparmor=unconfined)";

/// A listener, and with it a way to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing protected, nobody logs in.
    Plaintext,
    /// TLS; the certificate is for `localhost` and 127.0.0.1.
    Tls,
    /// TLS that requires a client's certificate.
    Mtls,
    /// TLS with a certificate whose time is over.
    Expired,
    /// TLS with a certificate for another host.
    OtherName,
    /// TLS, advertised as [`DOTTED`].
    Dotted,
    /// A login by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, over plaintext.
    Sasl,
    /// The same over TLS.
    SaslTls,
    /// A login by SCRAM-SHA-512 alone, over plaintext.
    ScramOnly,
}

/// A Kafka with a listener for each way to connect.
#[derive(Debug)]
pub struct SecureKafka {
    kafka: Kafka,
    listeners: Vec<(Way, Listener)>,
    /// Who signed the brokers' certificates, and whose clients are let in.
    pub authority: Authority,
}

impl SecureKafka {
    /// Starts it, with certificates that are made for it.
    pub async fn start() -> Result<Self> {
        let authority = Authority::new("The test's authority")?;
        let listeners = listeners(&authority)?;
        let plain: Vec<_> = listeners.iter().map(|(_, one)| one.clone()).collect();
        let user = |mechanism| format!("{mechanism}=[name={USER},password={PASSWORD}]");
        let (short, long) = (user("SCRAM-SHA-256"), user("SCRAM-SHA-512"));
        let users = ["--add-scram", &short, "--add-scram", &long];
        let setup = Setup {
            listeners: &plain,
            format_with: &users,
            ..Setup::default()
        };
        Ok(Self {
            kafka: Kafka::start_by(&setup).await?,
            listeners,
            authority,
        })
    }

    /// Where to connect to, `host:port`.
    pub fn address(&self, way: Way) -> String {
        match self.listener(way) {
            Some(listener) => format!("{}:{}", listener.host, listener.port),
            None => self.kafka.address.clone(),
        }
    }

    /// The port of a way to connect.
    pub fn port(&self, way: Way) -> Option<u16> {
        self.listener(way).map(|listener| listener.port)
    }

    fn listener(&self, way: Way) -> Option<&Listener> {
        let found = self.listeners.iter().find(|(this, _)| *this == way);
        found.map(|(_, listener)| listener)
    }

    /// Makes a user, whom SCRAM-SHA-512 knows from then on.
    pub async fn add_user(&self, name: &str, password: &str) -> Result<()> {
        let mechanism = format!("SCRAM-SHA-512=[password={password}]");
        let arguments = ["--alter", "--entity-type", "users", "--entity-name", name];
        let arguments = [&arguments[..], &["--add-config", &mechanism]].concat();
        self.kafka
            .tool("kafka.admin.ConfigCommand", &arguments)
            .await
    }

    /// A command that runs a program for which `hosts` are names of 127.0.0.1, as
    /// they are written: the system's hosts file is covered for it alone, which
    /// takes a mount namespace of its own, by `unshare` of util-linux.
    ///
    /// # Errors
    /// When there is no `unshare`, or the system lets nobody make a mount namespace.
    pub fn with_hosts(program: &Path, file: &Path, hosts: &[&str]) -> Result<Command> {
        let mut text = std::fs::read_to_string("/etc/hosts")?;
        writeln!(text, "\n127.0.0.1 {}", hosts.join(" "))?;
        std::fs::write(file, text)?;
        let cover = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        // Whoever may not do that becomes root inside, if the system allows it.
        for namespaces in [&["--mount"][..], &["--map-root-user", "--mount"]] {
            let mut command = std::process::Command::new("unshare");
            command.args(namespaces).args(["sh", "-c", cover]).arg(file);
            let tried = command.arg("true").output();
            let tried = tried.map_err(|error| format!("unshare (util-linux): {error}"))?;
            if tried.status.success() {
                let mut command = Command::new("unshare");
                command.args(namespaces).args(["sh", "-c", cover]);
                command.arg(file).arg(program);
                return Ok(command);
            }
        }
        Err(NO_NAMESPACE.into())
    }
}

fn listeners(authority: &Authority) -> Result<Vec<(Way, Listener)>> {
    let local = ["localhost", "127.0.0.1"];
    let server = authority.server(&local)?;
    let required = [
        pair("ssl.client.auth", "required"),
        pair("ssl.truststore.type", "PEM"),
        pair("ssl.truststore.certificates", &authority.pem),
    ];
    let mtls = [&required[..], &keystore(&server)].concat();
    let expired = keystore(&authority.expired_server(&local)?);
    let other = keystore(&authority.server(&["elsewhere.test"])?);
    let dotted = keystore(&authority.server(&[DOTTED.trim_end_matches('.')])?);
    let all = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
    let sasl_tls = [&login(&all)[..], &keystore(&server)].concat();
    [
        (Way::Tls, "TLS", "SSL", "localhost", keystore(&server)),
        (Way::Mtls, "MTLS", "SSL", "localhost", mtls),
        (Way::Expired, "EXPIRED", "SSL", "localhost", expired),
        (Way::OtherName, "OTHERNAME", "SSL", "localhost", other),
        (Way::Dotted, "DOTTED", "SSL", DOTTED, dotted),
        (
            Way::Sasl,
            "SASL",
            "SASL_PLAINTEXT",
            "localhost",
            login(&all),
        ),
        (Way::SaslTls, "SASLTLS", "SASL_SSL", "localhost", sasl_tls),
        (
            Way::ScramOnly,
            "SCRAMONLY",
            "SASL_PLAINTEXT",
            "localhost",
            login(&["SCRAM-SHA-512"]),
        ),
    ]
    .into_iter()
    .map(|(way, name, protocol, host, properties)| {
        let listener = Listener {
            name,
            protocol,
            host,
            port: free_port()?,
            properties,
        };
        Ok((way, listener))
    })
    .collect()
}

fn keystore(identity: &Identity) -> Vec<(String, String)> {
    vec![
        pair("ssl.keystore.type", "PEM"),
        pair("ssl.keystore.certificate.chain", &identity.certificate),
        pair("ssl.keystore.key", &identity.key),
    ]
}

fn login(mechanisms: &[&str]) -> Vec<(String, String)> {
    let mut properties = vec![pair("sasl.enabled.mechanisms", &mechanisms.join(","))];
    for mechanism in mechanisms {
        let module = "org.apache.kafka.common.security";
        let module = if *mechanism == "PLAIN" {
            format!("{module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";")
        } else {
            format!("{module}.scram.ScramLoginModule required;")
        };
        let key = format!("{}.sasl.jaas.config", mechanism.to_lowercase());
        properties.push((key, module));
    }
    properties
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}
