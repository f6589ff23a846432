use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
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

    /// An authority that this one vouches for.
    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, pem })
    }

    /// A server whose certificate says where this authority's own is to be had.
    pub fn server_of_intermediate(&self, names: &[&str]) -> Result<Identity> {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        let url = b"http://authority.test/ca.crt";
        // SEQUENCE { SEQUENCE { caIssuers, [6] url } }: RFC 5280, section 4.2.2.1.
        let method = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
        let length = u8::try_from(url.len())?;
        let one = [&method[..], &[0x86, length], url].concat();
        let all = [&[0x30, u8::try_from(one.len())?][..], &one].concat();
        let content = [&[0x30, u8::try_from(all.len())?][..], &all].concat();
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        let extension = CustomExtension::from_oid_content(&oid, content);
        params.custom_extensions.push(extension);
        self.sign(params)
    }

    /// A server whose certificate is valid from so many days after now until so many.
    pub fn server_in_days(&self, names: &[&str], from: i32, until: i32) -> Result<Identity> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let at = |days: i32| {
            let day = Duration::from_secs(24 * 60 * 60);
            let then = if days < 0 {
                now.saturating_sub(day * days.unsigned_abs())
            } else {
                now + day * days.unsigned_abs()
            };
            date_time_ymd(1970, 1, 1) + then
        };
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        (params.not_before, params.not_after) = (at(from), at(until));
        self.sign(params)
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
