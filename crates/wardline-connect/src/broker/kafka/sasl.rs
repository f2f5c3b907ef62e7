//! Proving who we are: PLAIN, and SCRAM (RFC 5802, 7677), whose password never leaves and whose
//! other side proves that it knows it too.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::fault::{Fault, quoted};
use super::errors;
use super::node::{Node, SASL_AUTHENTICATE, SASL_HANDSHAKE};
use super::wire::{put_bytes, put_text, spoken};

/// How it is proved who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sasl {
    /// The password itself is sent.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    #[default]
    ScramSha512,
}

/// Rounds that a broker may ask for: fewer would let it learn the password by trying, more would
/// cost us time.
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=100_000;

impl Sasl {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Logs in. Gives how long it is taken that we are who we said, where that ends.
pub(super) async fn login(
    node: &mut Node,
    how: Sasl,
    user: &[u8],
    password: &[u8],
) -> Result<Option<Duration>, Fault> {
    let mut answer = node
        .ask(SASL_HANDSHAKE, |out| put_text(out, how.name()))
        .await?;
    let error = answer.i16()?;
    if error != errors::NONE {
        let offered = answer
            .list(super::wire::Reader::text)
            .unwrap_or_default()
            .join(", ");
        return Err(Fault::Credentials(format!(
            "it does not take {}, but {}",
            how.name(),
            quoted(offered.as_bytes())
        )));
    }
    let lasts = match how {
        Sasl::Plain => {
            let mut said = Zeroizing::new(vec![0]);
            said.extend_from_slice(user);
            said.push(0);
            said.extend_from_slice(password);
            step(node, &said).await?.1
        }
        Sasl::ScramSha256 | Sasl::ScramSha512 => {
            let nonce = STANDARD.encode(rand::random::<[u8; 24]>());
            let scram = Scram::new(how, user, &nonce);
            let (first, _) = step(node, scram.first().as_bytes()).await?;
            let (last, proof) = scram.answer(&first, password)?;
            let (end, lasts) = step(node, last.as_bytes()).await?;
            proof.check(&end)?;
            lasts
        }
    };
    // Anew a little before it ends.
    let lasts = u64::try_from(lasts).unwrap_or_default();
    Ok((lasts > 0).then(|| Duration::from_millis(lasts / 10 * 8)))
}

/// Says something and gives what is answered, with how long the login lasts.
async fn step(node: &mut Node, said: &[u8]) -> Result<(Vec<u8>, i64), Fault> {
    let mut answer = node
        .ask(SASL_AUTHENTICATE, |out| put_bytes(out, said))
        .await
        .map_err(|fault| match fault {
            // Older ones close instead of saying no.
            Fault::Lost(text) => Fault::Credentials(text),
            other => other,
        })?;
    let (error, text) = (answer.i16()?, answer.text_if_any()?);
    if error != errors::NONE {
        let text = text.unwrap_or_default();
        return Err(Fault::Credentials(quoted(text.as_bytes())));
    }
    Ok((answer.bytes()?.to_vec(), answer.i64()?))
}

/// The conversation of SCRAM, as far as it does not need the other side.
struct Scram<'a> {
    how: Sasl,
    nonce: &'a str,
    /// The first message without what stands before it.
    bare: String,
}

/// What the other side has to show at the end.
struct Proof {
    key: hmac::Key,
    said: String,
}

impl<'a> Scram<'a> {
    fn new(how: Sasl, user: &[u8], nonce: &'a str) -> Self {
        let user = String::from_utf8_lossy(user);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            how,
            nonce,
            bare: format!("n={user},r={nonce}"),
        }
    }

    fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The second message, and what the other side must show then.
    fn answer(&self, first: &[u8], password: &[u8]) -> Result<(String, Proof), Fault> {
        let odd = || spoken("it does not speak SCRAM as it should");
        let first = std::str::from_utf8(first).map_err(|_| odd())?;
        let part = |name: &str| {
            let mut parts = first.split(',');
            parts
                .find_map(|part| part.strip_prefix(name))
                .ok_or_else(odd)
        };
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(self.nonce) || nonce.len() == self.nonce.len() {
            return Err(odd());
        }
        let salt = STANDARD.decode(salt).map_err(|_| odd())?;
        let rounds: u32 = rounds.parse().map_err(|_| odd())?;
        let rounds = NonZeroU32::new(rounds)
            .filter(|rounds| ROUNDS.contains(&rounds.get()))
            .ok_or_else(|| spoken("it asks for too few or too many rounds of SCRAM"))?;
        let (derive, mac, hash) = match self.how {
            Sasl::ScramSha256 => (
                pbkdf2::PBKDF2_HMAC_SHA256,
                hmac::HMAC_SHA256,
                &digest::SHA256,
            ),
            _ => (
                pbkdf2::PBKDF2_HMAC_SHA512,
                hmac::HMAC_SHA512,
                &digest::SHA512,
            ),
        };
        let mut salted = Zeroizing::new(vec![0; hash.output_len()]);
        pbkdf2::derive(derive, rounds, &salt, password, &mut salted);
        let salted = hmac::Key::new(mac, &salted);
        let ours = hmac::sign(&salted, b"Client Key");
        let stored = digest::digest(hash, ours.as_ref());
        let last = format!("c=biws,r={nonce}");
        let said = format!("{},{first},{last}", self.bare);
        let signature = hmac::sign(&hmac::Key::new(mac, stored.as_ref()), said.as_bytes());
        let both = ours.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = both.map(|(ours, signed)| ours ^ signed).collect();
        let theirs = hmac::sign(&salted, b"Server Key");
        let key = hmac::Key::new(mac, theirs.as_ref());
        let last = format!("{last},p={}", STANDARD.encode(proof));
        Ok((last, Proof { key, said }))
    }
}

impl Proof {
    /// Whether the other side knows the password too.
    fn check(&self, end: &[u8]) -> Result<(), Fault> {
        let shown = std::str::from_utf8(end).ok();
        let shown = shown.and_then(|end| end.split(',').find_map(|part| part.strip_prefix("v=")));
        let shown = shown.and_then(|shown| STANDARD.decode(shown).ok());
        let shown = shown.unwrap_or_default();
        hmac::verify(&self.key, self.said.as_bytes(), &shown).map_err(|_| {
            Fault::Credentials("it could not prove that it knows the password".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    #[test]
    fn scram_as_in_its_specification() {
        let scram = Scram::new(Sasl::ScramSha256, b"user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, proof) = scram.answer(first, b"pencil").unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let end = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        proof.check(end).unwrap();
        for bad in [
            &b"v=AAAA"[..],
            b"e=other-error",
            b"",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
        ] {
            assert!(proof.check(bad).is_err());
        }
    }

    #[test]
    fn what_would_weaken_it_is_refused() {
        let scram = Scram::new(Sasl::ScramSha512, b"a,b=c", "abc");
        assert_eq!(scram.first(), "n,,n=a=2Cb=3Dc,r=abc");
        for bad in [
            &b"r=abcd,s=AAAA,i=1"[..],
            b"r=abcd,s=AAAA,i=99999999",
            b"r=abcd,s=AAAA,i=0",
            b"r=abc,s=AAAA,i=4096",
            b"r=xabc,s=AAAA,i=4096",
            b"r=abcd,s=!,i=4096",
            b"r=abcd,i=4096",
            b"\xFF",
        ] {
            assert!(scram.answer(bad, b"p").is_err());
        }
    }
}
