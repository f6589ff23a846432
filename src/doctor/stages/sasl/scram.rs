//! SCRAM (RFC 5802), as librdkafka does it: names and passwords are taken as they are
//! written, as Kafka takes them too.
//!
//! The crate `rsasl` panics at a server's message with an empty part (2.3.0), and does as
//! many rounds as a server wants.

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use openssl::{
    error::ErrorStack, hash::MessageDigest, memcmp, pkcs5::pbkdf2_hmac, pkey::PKey,
    rand::rand_bytes, sign::Signer,
};

/// The most rounds that are done: Kafka takes no more than 16,384.
const MOST_ROUNDS: usize = 200_000;

/// No channel is bound, and nobody else is asked for.
const HEADER: &str = "n,,";

/// A login that has begun.
pub(super) struct Scram<'a> {
    digest: MessageDigest,
    password: &'a str,
    nonce: String,
    first: String,
}

/// Why a server's message is no answer.
pub(super) type Wrong = String;

impl<'a> Scram<'a> {
    pub(super) fn new(
        digest: MessageDigest,
        user: &str,
        password: &'a str,
    ) -> Result<Self, ErrorStack> {
        let mut nonce = [0; 24];
        rand_bytes(&mut nonce)?;
        Ok(Self::with_nonce(
            digest,
            user,
            password,
            BASE64.encode(nonce),
        ))
    }

    fn with_nonce(digest: MessageDigest, user: &str, password: &'a str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            digest,
            password,
            first: format!("n={user},r={nonce}"),
            nonce,
        }
    }

    /// The first message to the server.
    pub(super) fn first(&self) -> String {
        format!("{HEADER}{}", self.first)
    }

    /// The last message to the server, and the proof that it has to give then.
    pub(super) fn last(&self, answer: &[u8]) -> Result<(String, Vec<u8>), Wrong> {
        let answer = std::str::from_utf8(answer).map_err(|_| "it is no text")?;
        let part = |name: &str| answer.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = part("r=").filter(|nonce| nonce.starts_with(&self.nonce));
        let nonce = nonce.ok_or("it does not repeat what it got")?;
        let salt = part("s=").and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.ok_or("it has no salt")?;
        let rounds = part("i=").and_then(|rounds| rounds.parse().ok());
        let rounds = rounds.filter(|rounds| (1..=MOST_ROUNDS).contains(rounds));
        let rounds = rounds.ok_or_else(|| format!("it wants not 1 to {MOST_ROUNDS} rounds"))?;

        let header = BASE64.encode(HEADER);
        let last = format!("c={header},r={nonce}");
        let signed = format!("{},{answer},{last}", self.first);
        let proofs = self.proofs(&salt, rounds, &signed);
        let (ours, theirs) = proofs.map_err(|error| error.to_string())?;
        Ok((format!("{last},p={}", BASE64.encode(ours)), theirs))
    }

    /// The client's proof, and the server's.
    fn proofs(
        &self,
        salt: &[u8],
        rounds: usize,
        signed: &str,
    ) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let mut salted = vec![0; self.digest.size()];
        let password = self.password.as_bytes();
        pbkdf2_hmac(password, salt, rounds, self.digest, &mut salted)?;
        let client = self.hmac(&salted, b"Client Key")?;
        let stored = openssl::hash::hash(self.digest, &client)?;
        let signature = self.hmac(&stored, signed.as_bytes())?;
        let ours = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let server = self.hmac(&salted, b"Server Key")?;
        Ok((ours, self.hmac(&server, signed.as_bytes())?))
    }

    fn hmac(&self, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        Signer::new(self.digest, &*PKey::hmac(key)?)?.sign_oneshot_to_vec(bytes)
    }
}

/// Whether the server's last message has this proof: that it knows the password too.
pub(super) fn proven(message: &[u8], proof: &[u8]) -> bool {
    let message = message.strip_prefix(b"v=").unwrap_or_default();
    let given = message.split(|byte| *byte == b',').next();
    let given = given.and_then(|given| BASE64.decode(given).ok());
    given.is_some_and(|given| given.len() == proof.len() && memcmp::eq(&given, proof))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 7677.
    fn example() -> Scram<'static> {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        Scram::with_nonce(MessageDigest::sha256(), "user", "pencil", nonce)
    }

    const ANSWER: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                          s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn the_standards_example_comes_out() {
        let scram = example();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, proof) = scram.last(ANSWER.as_bytes()).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let right = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert!(proven(right, &proof));
        assert!(!proven(b"v=AAAA", &proof));
        assert!(!proven(b"e=other-error", &proof));
    }

    #[test]
    fn names_are_escaped() {
        let scram = Scram::with_nonce(MessageDigest::sha512(), "a=b,c", "", "n".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=n");
    }

    #[test]
    fn a_server_decides_neither_how_long_it_takes_nor_whom_it_answers() {
        let answer = ANSWER.replace("4096", "4294967295");
        assert!(example().last(answer.as_bytes()).is_err());
        let answer = ANSWER.replace("rOpr", "xxxx");
        assert!(example().last(answer.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_refused_or_answered(text in "[ris=,0-9a-zA-Z]{0,40}") {
            let _ = example().last(text.as_bytes());
            let _ = proven(text.as_bytes(), b"proof");
        }
    }
}
