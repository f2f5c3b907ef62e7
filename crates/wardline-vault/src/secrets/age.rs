//! Reading and writing files of `age` (<https://age-encryption.org/v1>, C2SP `age.md`): one
//! file key, wrapped for each recipient by X25519, and a payload in chunks of 64 KiB.
//!
//! Made here of aws-lc-rs, as all cryptography is: the format is small, and the `age` crate
//! would bring a second implementation of everything it is made of. Other kinds of recipients
//! (passphrases, SSH keys, plugins) are passed over: a machine has no passphrase to type.

use crate::VaultError;
use crate::provider::random;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

const VERSION: &str = "age-encryption.org/v1";
const X25519_INFO: &[u8] = b"age-encryption.org/v1/X25519";
const ARMOR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const ARMOR_END: &str = "-----END AGE ENCRYPTED FILE-----";
const IDENTITY: &str = "age-secret-key-";
const RECIPIENT: &str = "age";
/// Bytes of a file key, of a tag and of a chunk of the payload.
const FILE_KEY: usize = 16;
const TAG: usize = 16;
const CHUNK: usize = 64 << 10;
/// Bytes of a header that are looked at; a header of a hundred recipients has 20 KB.
const MOST_HEADER: usize = 64 << 10;
/// Columns of base64 in a stanza.
const COLUMNS: usize = 64;

/// Whom a file is encrypted to: `age1…`. Public.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgeRecipient([u8; 32]);

/// What opens files: `AGE-SECRET-KEY-1…`. Wiped when dropped, never printed.
pub struct AgeIdentity {
    seed: Zeroizing<[u8; 32]>,
    recipient: AgeRecipient,
}

impl fmt::Debug for AgeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeIdentity({})", self.recipient)
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = bech32::encode::<Bech32>(Hrp::parse_unchecked(RECIPIENT), &self.0);
        f.write_str(&written.map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AgeRecipient {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        key_of(text.trim(), RECIPIENT)
            .map(|bytes| Self(*bytes))
            .ok_or(VaultError::Age {
                reason: "a recipient is written `age1…`, as `age-keygen -y` prints it",
            })
    }
}

/// The 32 bytes behind a prefix.
fn key_of(text: &str, prefix: &str) -> Option<Zeroizing<[u8; 32]>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    if checked.hrp() != Hrp::parse(prefix).ok()? {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    let mut bytes = checked.byte_iter();
    for place in key.iter_mut() {
        *place = bytes.next()?;
    }
    bytes.next().is_none().then_some(key)
}

impl AgeIdentity {
    /// A new one.
    ///
    /// # Errors
    /// [`VaultError::Randomness`].
    pub fn generate() -> Result<Self, VaultError> {
        Self::of_seed(Zeroizing::new(random()?)).ok_or(VaultError::Randomness)
    }

    fn of_seed(seed: Zeroizing<[u8; 32]>) -> Option<Self> {
        let mut recipient = [0; 32];
        let public = private(&seed)?.compute_public_key().ok()?;
        recipient.copy_from_slice(public.as_ref());
        Some(Self {
            seed,
            recipient: AgeRecipient(recipient),
        })
    }

    /// Reads the identities of a file as `age-keygen` writes it: one a line, `#` begins a
    /// comment. Identities of plugins and SSH keys are passed over.
    ///
    /// # Errors
    /// [`VaultError::Age`] where there is none, or one is damaged. The text is not repeated.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, VaultError> {
        let malformed = VaultError::Age {
            reason: "a line of the identities is neither `AGE-SECRET-KEY-1…` nor a comment",
        };
        let mut all = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') || line.starts_with("AGE-PLUGIN-") {
                continue;
            }
            let identity = key_of(line, IDENTITY).and_then(Self::of_seed);
            all.push(identity.ok_or_else(|| malformed.clone())?);
        }
        if all.is_empty() {
            return Err(VaultError::Age {
                reason: "there is no identity: `wardline secrets identity` makes one",
            });
        }
        Ok(all)
    }

    /// Whom to encrypt to so that this opens it.
    pub const fn recipient(&self) -> AgeRecipient {
        self.recipient
    }

    /// As `age-keygen` writes it: with its recipient as a comment.
    pub fn to_text(&self) -> Zeroizing<String> {
        let hrp = Hrp::parse_unchecked(IDENTITY);
        let written = bech32::encode_upper::<Bech32>(hrp, self.seed.as_slice());
        let line = Zeroizing::new(written.unwrap_or_default());
        Zeroizing::new(format!(
            "# public key: {}\n{}\n",
            self.recipient,
            line.as_str()
        ))
    }

    /// The file key, where the stanza was made for this identity.
    fn unwrap(&self, share: &[u8; 32], body: &[u8]) -> Option<Zeroizing<[u8; FILE_KEY]>> {
        if body.len() != FILE_KEY + TAG {
            return None;
        }
        let key = wrapping_key(&private(&self.seed)?, share, share, &self.recipient.0)?;
        let mut body = Zeroizing::new(body.to_vec());
        let opened = cipher(&key)
            .open_in_place(zero_nonce(), Aad::empty(), &mut body)
            .ok()?;
        let mut file_key = Zeroizing::new([0; FILE_KEY]);
        file_key.copy_from_slice(opened);
        Some(file_key)
    }
}

fn private(seed: &[u8; 32]) -> Option<PrivateKey> {
    PrivateKey::from_private_key(&X25519, seed).ok()
}

/// What wraps a file key: agreed between `ours` and `theirs`, bound to the ephemeral share and
/// the recipient. `None` where the other side's point is one that agrees with nobody.
fn wrapping_key(
    ours: &PrivateKey,
    theirs: &[u8; 32],
    share: &[u8; 32],
    recipient: &[u8; 32],
) -> Option<Zeroizing<[u8; 32]>> {
    let salt = [share.as_slice(), recipient.as_slice()].concat();
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    agree(ours, theirs, (), |secret| {
        derive(&salt, secret, X25519_INFO)
    })
    .ok()
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, ()> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], Bytes32)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .map_err(|_| ())?;
    Ok(key)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, key).expect("ChaCha20 takes 32 bytes");
    LessSafeKey::new(unbound)
}

/// Each wrapping key seals one thing, so its nonce is fixed.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// A counter of 88 bits, and whether the chunk is the last.
fn chunk_nonce(counter: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&counter.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

fn header_tag(file_key: &[u8], header: &[u8]) -> Result<hmac::Tag, VaultError> {
    let key = derive(b"", file_key, b"header").map_err(|()| VaultError::Randomness)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
    Ok(hmac::sign(&key, header))
}

/// Encrypts to every recipient.
///
/// # Errors
/// [`VaultError::Age`] without recipients; [`VaultError::Randomness`].
pub(crate) fn encrypt(plain: &[u8], recipients: &[AgeRecipient]) -> Result<Vec<u8>, VaultError> {
    if recipients.is_empty() {
        return Err(VaultError::Age {
            reason: "nobody to encrypt to: name `recipients`, or an identity",
        });
    }
    let file_key: Zeroizing<[u8; FILE_KEY]> = Zeroizing::new(random()?);
    let mut header = format!("{VERSION}\n");
    for recipient in recipients {
        let ephemeral = AgeIdentity::generate()?;
        let share = ephemeral.recipient.0;
        let key = private(&ephemeral.seed)
            .and_then(|ours| wrapping_key(&ours, &recipient.0, &share, &recipient.0))
            .ok_or(VaultError::Age {
                reason: "a recipient's key is one that nobody can have",
            })?;
        let mut body = file_key.to_vec();
        cipher(&key)
            .seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut body)
            .map_err(|_| VaultError::Randomness)?;
        header.push_str("-> X25519 ");
        STANDARD_NO_PAD.encode_string(share, &mut header);
        header.push('\n');
        // 32 bytes are 43 columns: one line.
        STANDARD_NO_PAD.encode_string(body, &mut header);
        header.push('\n');
    }
    header.push_str("---");
    let tag = header_tag(file_key.as_slice(), header.as_bytes())?;
    header.push(' ');
    STANDARD_NO_PAD.encode_string(tag, &mut header);
    header.push('\n');

    let mut out = header.into_bytes();
    let nonce: [u8; 16] = random()?;
    out.extend_from_slice(&nonce);
    let key =
        derive(&nonce, file_key.as_slice(), b"payload").map_err(|()| VaultError::Randomness)?;
    let cipher = cipher(&key);
    let chunks = plain.len().div_ceil(CHUNK).max(1);
    for (index, start) in (0..chunks).map(|index| (index, index * CHUNK)) {
        let from = out.len();
        out.extend_from_slice(&plain[start..plain.len().min(start + CHUNK)]);
        let nonce = chunk_nonce(index as u64, index + 1 == chunks);
        let tag = cipher
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut out[from..])
            .map_err(|_| VaultError::Randomness)?;
        out.extend_from_slice(tag.as_ref());
    }
    Ok(out)
}

/// Decrypts what `age` or [`encrypt`] made, binary or armored.
///
/// # Errors
/// [`VaultError::Age`]: it is not such a file, was changed, or is for somebody else.
pub(crate) fn decrypt(
    file: &[u8],
    identities: &[AgeIdentity],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let unarmored;
    let file = match file.trim_ascii_start().strip_prefix(ARMOR_BEGIN.as_bytes()) {
        None => file,
        Some(rest) => {
            unarmored = unarmor(rest).ok_or(BROKEN)?;
            unarmored.as_slice()
        }
    };
    let header = Header::read(file).ok_or(BROKEN)?;
    let key = header
        .shares
        .iter()
        .find_map(|(share, body)| identities.iter().find_map(|one| one.unwrap(share, body)));
    let file_key = key.ok_or(VaultError::Age {
        reason: "it was encrypted to somebody else: none of the identities opens it",
    })?;
    let tag = header_tag(file_key.as_slice(), header.signed)?;
    if aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), &header.tag).is_err() {
        return Err(BROKEN);
    }
    let (nonce, payload) = header.rest.split_first_chunk::<16>().ok_or(BROKEN)?;
    let key = derive(nonce, file_key.as_slice(), b"payload").map_err(|()| BROKEN)?;
    let cipher = cipher(&key);
    let mut plain = Zeroizing::new(Vec::with_capacity(payload.len()));
    let chunks = payload.len().div_ceil(CHUNK + TAG);
    if chunks == 0 {
        return Err(BROKEN);
    }
    for (index, sealed) in payload.chunks(CHUNK + TAG).enumerate() {
        let last = index + 1 == chunks;
        let mut chunk = Zeroizing::new(sealed.to_vec());
        let opened = cipher
            .open_in_place(chunk_nonce(index as u64, last), Aad::empty(), &mut chunk)
            .map_err(|_| BROKEN)?;
        // An empty last chunk is for empty files only.
        if opened.is_empty() && index > 0 {
            return Err(BROKEN);
        }
        plain.extend_from_slice(opened);
    }
    Ok(plain)
}

const BROKEN: VaultError = VaultError::Age {
    reason: "it is not an age file, or was changed",
};

fn unarmor(rest: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(rest).ok()?;
    let (body, after) = text.split_once(ARMOR_END)?;
    if !after.trim().is_empty() {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}

struct Header<'a> {
    /// Ephemeral share and wrapped file key of each X25519 stanza.
    shares: Vec<([u8; 32], Vec<u8>)>,
    /// What the tag is over: everything up to and with `---`.
    signed: &'a [u8],
    tag: Vec<u8>,
    rest: &'a [u8],
}

/// The lines of a header, and where the next begins.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let window = self.file[..self.file.len().min(MOST_HEADER)].get(self.at..)?;
        let length = window.iter().position(|byte| *byte == b'\n')?;
        self.at += length + 1;
        std::str::from_utf8(&window[..length]).ok()
    }
}

impl<'a> Header<'a> {
    fn read(file: &'a [u8]) -> Option<Self> {
        let mut lines = Lines { file, at: 0 };
        if lines.next()? != VERSION {
            return None;
        }
        let mut shares = Vec::new();
        loop {
            let start = lines.at;
            let text = lines.next()?;
            if let Some(tag) = text.strip_prefix("--- ") {
                return Some(Self {
                    shares,
                    signed: &file[..start + 3],
                    tag: STANDARD_NO_PAD.decode(tag).ok()?,
                    rest: &file[lines.at..],
                });
            }
            let arguments = text.strip_prefix("-> ")?;
            let mut body = String::new();
            loop {
                let columns = lines.next()?;
                body.push_str(columns);
                // A full line is followed by another, be it an empty one.
                match columns.len() {
                    COLUMNS => {}
                    0..COLUMNS => break,
                    _ => return None,
                }
            }
            if let Some(share) = arguments.strip_prefix("X25519 ") {
                let share = STANDARD_NO_PAD.decode(share).ok()?;
                let body = STANDARD_NO_PAD.decode(body).ok()?;
                shares.push((share.try_into().ok()?, body));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_opens_for_its_recipients_and_nobody_else() {
        let (ours, theirs) = (
            AgeIdentity::generate().unwrap(),
            AgeIdentity::generate().unwrap(),
        );
        let to = [ours.recipient(), theirs.recipient()];
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
            let plain = vec![b'x'; size];
            let file = encrypt(&plain, &to).unwrap();
            for identity in [&ours, &theirs] {
                let text = identity.to_text();
                let read = AgeIdentity::parse_all(&text).unwrap();
                assert_eq!(*decrypt(&file, &read).unwrap(), plain, "{size}");
            }
            let other = [AgeIdentity::generate().unwrap()];
            assert!(decrypt(&file, &other).is_err());
        }
        assert!(encrypt(b"x", &[]).is_err());
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let identity = [AgeIdentity::generate().unwrap()];
        let file = encrypt(b"hunter2", &[identity[0].recipient()]).unwrap();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(decrypt(&changed, &identity).is_err(), "byte {at}");
            assert!(decrypt(&file[..at], &identity).is_err(), "cut at {at}");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(decrypt(&longer, &identity).is_err());
    }

    #[test]
    fn armor_and_foreign_stanzas_are_read() {
        let identity = [AgeIdentity::generate().unwrap()];
        let file = encrypt(b"pw", &[identity[0].recipient()]).unwrap();
        let body = STANDARD.encode(&file);
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(COLUMNS)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let armored = format!("{ARMOR_BEGIN}\n{}\n{ARMOR_END}\n", lines.join("\n"));
        assert_eq!(
            decrypt(armored.as_bytes(), &identity).unwrap().as_slice(),
            b"pw"
        );
        assert!(decrypt(format!("{armored}x").as_bytes(), &identity).is_err());
        assert!(decrypt(b"", &identity).is_err());
        assert!(decrypt(b"age-encryption.org/v1\n--- AAAA\n", &identity).is_err());
    }

    #[test]
    fn identities_never_print() {
        let identity = AgeIdentity::generate().unwrap();
        assert!(!format!("{identity:?}").contains("SECRET"));
        for bad in [
            "hunter2",
            "AGE-SECRET-KEY-1QQQ",
            "",
            "# only a comment",
            &identity.recipient().to_string(),
        ] {
            let error = AgeIdentity::parse_all(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let text = identity.recipient().to_string();
        assert_eq!(text.parse::<AgeRecipient>().unwrap(), identity.recipient());
        assert!(text[..text.len() - 1].parse::<AgeRecipient>().is_err());
    }
}
