use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use crate::Result;

/// A certificate authority of a test's own.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub pem: String,
}

/// A certificate and its private key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The key, as PKCS #8.
    pub key: String,
}

impl Authority {
    /// A new one, whose certificate bears this name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, pem })
    }

    /// A server with these names; IP addresses are names too.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        self.sign(params(names, ExtendedKeyUsagePurpose::ServerAuth)?)
    }

    /// The same, but its certificate's time is over since 2021.
    pub fn expired_server(&self, names: &[&str]) -> Result<Identity> {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    /// A client with this name.
    pub fn client(&self, name: &str) -> Result<Identity> {
        self.sign(params(&[name], ExtendedKeyUsagePurpose::ClientAuth)?)
    }

    /// The same, but its certificate's time is over since 2021.
    pub fn expired_client(&self, name: &str) -> Result<Identity> {
        let mut params = params(&[name], ExtendedKeyUsagePurpose::ClientAuth)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        Ok(Identity {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn params(names: &[&str], usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams> {
    let owned: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(owned)?;
    let name = names.first().copied().unwrap_or_default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    Ok(params)
}
