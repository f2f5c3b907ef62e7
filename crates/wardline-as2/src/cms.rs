//! CMS (RFC 5652) as AS2 uses it: detached signatures with signed attributes, and content encrypted
//! for one key.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptionContext, EncryptionContext,
    PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PKCS1_SHA256, RsaParameters, UnparsedPublicKey,
};

use crate::Digest;
use crate::der::{CONTEXT, INTEGER, Node, OCTETS, OID, SEQUENCE, SET, sequence, take, tlv, whole};
use crate::keys::{Certificate, Identity};

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
const AES128_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2];
const AES192_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 22];
const AES256_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
const NULL: &[u8] = &[5, 0];

/// Signs content that is not in the signature. `None` where the system gives no randomness.
pub(crate) fn sign(content: &[u8], identity: &Identity, at: jiff::Timestamp) -> Option<Vec<u8>> {
    let attribute =
        |name: &[u8], value: &[u8]| sequence(&[&tlv(OID, &[name]), &tlv(SET, &[value])]);
    let time = at.strftime("%y%m%d%H%M%SZ").to_string();
    let mut attributes = [
        attribute(CONTENT_TYPE, &tlv(OID, &[DATA])),
        attribute(SIGNING_TIME, &tlv(0x17, &[time.as_bytes()])),
        attribute(MESSAGE_DIGEST, &tlv(OCTETS, &[&Digest::Sha256.of(content)])),
    ];
    // DER orders a set by its bytes.
    attributes.sort();
    let attributes = attributes.concat();
    let mut signature = vec![0; identity.signing.public_modulus_len()];
    let random = SystemRandom::new();
    let signed = tlv(SET, &[&attributes]);
    identity
        .signing
        .sign(&RSA_PKCS1_SHA256, &random, &signed, &mut signature)
        .ok()?;
    let digest = sequence(&[&tlv(OID, &[SHA256]), NULL]);
    let signer = sequence(&[
        &tlv(INTEGER, &[&[1]]),
        &issued(&identity.certificate),
        &digest,
        &tlv(CONTEXT, &[&attributes]),
        &sequence(&[&tlv(OID, &[RSA]), NULL]),
        &tlv(OCTETS, &[&signature]),
    ]);
    let content = sequence(&[
        &tlv(INTEGER, &[&[1]]),
        &tlv(SET, &[&digest]),
        &sequence(&[&tlv(OID, &[DATA])]),
        &tlv(CONTEXT, &[&identity.certificate.der]),
        &tlv(SET, &[&signer]),
    ]);
    Some(sequence(&[
        &tlv(OID, &[SIGNED]),
        &tlv(CONTEXT, &[&content]),
    ]))
}

fn issued(certificate: &Certificate) -> Vec<u8> {
    sequence(&[&certificate.issuer, &tlv(INTEGER, &[&certificate.serial])])
}

/// Whether content was signed by one of these certificates, and with which digest. What came along
/// with the signature is not believed.
pub(crate) fn verify(signature: &[u8], content: &[u8], by: &[Certificate]) -> Option<Digest> {
    let mut all = inner(signature, SIGNED)?;
    take(&mut all)?.is(INTEGER)?;
    take(&mut all)?.is(SET)?;
    take(&mut all)?.is(SEQUENCE)?;
    let mut signers = loop {
        let node = take(&mut all)?;
        match node.tag {
            SET => break node.content,
            tag if tag & 0xf0 == CONTEXT => {}
            _ => return None,
        }
    };
    while !signers.is_empty() {
        let signer = take(&mut signers)?.is(SEQUENCE)?;
        if let Some(digest) = verify_signer(signer, content, by) {
            return Some(digest);
        }
    }
    None
}

fn verify_signer(mut signer: &[u8], content: &[u8], by: &[Certificate]) -> Option<Digest> {
    take(&mut signer)?.is(INTEGER)?;
    let who = take(&mut signer)?;
    let digest = digest_of(take(&mut signer)?.is(SEQUENCE)?)?;
    let attributes = take(&mut signer)?.is(CONTEXT)?;
    take(&mut signer)?.is(SEQUENCE)?;
    let signature = take(&mut signer)?.octets(OCTETS)?;
    // Of the attributes, the type and the digest must be there, once each and right.
    let (mut kind, mut told, mut rest) = (0, 0, attributes);
    while !rest.is_empty() {
        let mut attribute = take(&mut rest)?.is(SEQUENCE)?;
        let name = take(&mut attribute)?.is(OID)?;
        let value = whole(take(&mut attribute)?.is(SET)?);
        if name == CONTENT_TYPE {
            kind += usize::from(value?.is(OID)? == DATA);
        } else if name == MESSAGE_DIGEST {
            told += if value?.octets(OCTETS)? == digest.of(content) {
                1
            } else {
                2
            };
        }
    }
    if (kind, told) != (1, 1) {
        return None;
    }
    let parameters: &'static RsaParameters = match digest {
        Digest::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        Digest::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
        Digest::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        Digest::Sha1 => return None,
    };
    // What is signed is the set itself, not the mark that it has here.
    let signed = tlv(SET, &[attributes]);
    by.iter()
        .filter(|one| is_of(who, one))
        .any(|one| {
            UnparsedPublicKey::new(parameters, &one.key)
                .verify(&signed, &signature)
                .is_ok()
        })
        .then_some(digest)
}

/// Whether an identifier of CMS names a certificate.
fn is_of(who: Node<'_>, certificate: &Certificate) -> bool {
    if who.tag & 0x80 != 0 {
        return certificate.key_id.as_deref() == Some(who.content);
    }
    let Some(mut named) = who.is(SEQUENCE) else {
        return false;
    };
    let issuer = take(&mut named).is_some_and(|node| node.raw == certificate.issuer);
    issuer && take(&mut named).and_then(|node| node.is(INTEGER)) == Some(&certificate.serial[..])
}

fn digest_of(mut algorithm: &[u8]) -> Option<Digest> {
    Some(match take(&mut algorithm)?.is(OID)? {
        SHA256 => Digest::Sha256,
        SHA384 => Digest::Sha384,
        SHA512 => Digest::Sha512,
        _ => return None,
    })
}

/// The parts of a content of this type.
fn inner<'a>(bytes: &'a [u8], kind: &[u8]) -> Option<&'a [u8]> {
    let mut info = whole(bytes)?.is(SEQUENCE)?;
    if take(&mut info)?.is(OID)? != kind {
        return None;
    }
    whole(take(&mut info)?.is(CONTEXT)?)?.is(SEQUENCE)
}

/// Encrypts content for a certificate, by AES with 256 bits.
pub(crate) fn encrypt(mut content: Vec<u8>, to: &Certificate) -> Option<Vec<u8>> {
    let (mut key, mut iv) = ([0; 32], [0; 16]);
    rand::fill(&mut key).ok()?;
    rand::fill(&mut iv).ok()?;
    let cipher =
        PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key).ok()?).ok()?;
    let context = EncryptionContext::Iv128(FixedLength::from(&iv));
    cipher.less_safe_encrypt(&mut content, context).ok()?;
    let public = PublicEncryptingKey::from_der(&to.key_info).ok()?;
    let public = Pkcs1PublicEncryptingKey::new(public).ok()?;
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&key, &mut wrapped).ok()?;
    let recipient = sequence(&[
        &tlv(INTEGER, &[&[0]]),
        &issued(to),
        &sequence(&[&tlv(OID, &[RSA]), NULL]),
        &tlv(OCTETS, &[wrapped]),
    ]);
    let content = sequence(&[
        &tlv(OID, &[DATA]),
        &sequence(&[&tlv(OID, &[AES256_CBC]), &tlv(OCTETS, &[&iv])]),
        &tlv(0x80, &[&content]),
    ]);
    let enveloped = sequence(&[&tlv(INTEGER, &[&[0]]), &tlv(SET, &[&recipient]), &content]);
    Some(sequence(&[
        &tlv(OID, &[ENVELOPED]),
        &tlv(CONTEXT, &[&enveloped]),
    ]))
}

/// Decrypts what was encrypted for one of these. Every reason to fail is the same.
pub(crate) fn decrypt(bytes: &[u8], with: &[Identity]) -> Option<Vec<u8>> {
    let mut all = inner(bytes, ENVELOPED)?;
    take(&mut all)?.is(INTEGER)?;
    let mut node = take(&mut all)?;
    if node.tag == CONTEXT {
        node = take(&mut all)?;
    }
    let mut recipients = node.is(SET)?;
    let mut content = take(&mut all)?.is(SEQUENCE)?;
    take(&mut content)?.is(OID)?;
    let mut algorithm = take(&mut content)?.is(SEQUENCE)?;
    let (cipher, size): (&'static Algorithm, usize) = match take(&mut algorithm)?.is(OID)? {
        AES128_CBC => (&AES_128, 16),
        AES192_CBC => (&AES_192, 24),
        AES256_CBC => (&AES_256, 32),
        _ => return None,
    };
    let iv: [u8; 16] = take(&mut algorithm)?.is(OCTETS)?.try_into().ok()?;
    let mut encrypted = take(&mut content)?.octets(0x80)?;
    while !recipients.is_empty() {
        let node = take(&mut recipients)?;
        let Some(mut recipient) = node.is(SEQUENCE) else {
            continue;
        };
        take(&mut recipient)?.is(INTEGER)?;
        let who = take(&mut recipient)?;
        let mut wrapping = take(&mut recipient)?.is(SEQUENCE)?;
        let wrapped = take(&mut recipient)?.octets(OCTETS)?;
        let Some(identity) = with.iter().find(|one| is_of(who, &one.certificate)) else {
            continue;
        };
        if take(&mut wrapping)?.is(OID)? != RSA {
            return None;
        }
        let mut key = vec![0; identity.decrypting.min_output_size()];
        // Where the key is none, one of nobody is tried: how long it takes and how it fails tell nothing.
        let mut stand_in = [0; 32];
        rand::fill(&mut stand_in).ok()?;
        let unwrapped = identity.decrypting.decrypt(&wrapped, &mut key);
        let key: &[u8] = match unwrapped {
            Ok(key) if key.len() == size => key,
            _ => &stand_in[..size],
        };
        let key = UnboundCipherKey::new(cipher, key).ok()?;
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
        let context = DecryptionContext::Iv128(FixedLength::from(&iv));
        return cipher
            .decrypt(&mut encrypted, context)
            .ok()
            .map(|plain| plain.to_vec());
    }
    None
}
