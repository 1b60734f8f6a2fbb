//! What signatures of requests to S3 are made of, by OpenSSL.

use object_store::Result;
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm,
};
use openssl::error::ErrorStack;
use openssl::hash::{DigestBytes, Hasher, MessageDigest};
use openssl::md::{Md, MdRef};
use openssl::md_ctx::MdCtx;
use openssl::pkey::PKey;

/// OpenSSL.
#[derive(Debug)]
pub struct OpenSsl;

impl CryptoProvider for OpenSsl {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        let algorithm = match algorithm {
            DigestAlgorithm::Sha256 => MessageDigest::sha256(),
            other => return Err(unknown(&format!("{other:?}"))),
        };
        let hasher = Hasher::new(algorithm).map_err(failed)?;
        Ok(Box::new(Sum { hasher, failure: None, sum: None }))
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        let algorithm: &MdRef = match algorithm {
            DigestAlgorithm::Sha256 => Md::sha256(),
            other => return Err(unknown(&format!("{other:?}"))),
        };
        let begin = || {
            let key = PKey::hmac(secret)?;
            let mut context = MdCtx::new()?;
            context.digest_sign_init(Some(algorithm), &key)?;
            Ok(context)
        };
        let context = begin().map_err(failed)?;
        Ok(Box::new(Mac { context, failure: None, mac: Vec::new() }))
    }

    fn sign(&self, algorithm: SigningAlgorithm, _pem: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unknown(&format!("{algorithm:?}")))
    }
}

/// A digest; what fails on the way is told at the end.
struct Sum {
    hasher: Hasher,
    failure: Option<ErrorStack>,
    sum: Option<DigestBytes>,
}

impl DigestContext for Sum {
    fn update(&mut self, data: &[u8]) {
        let failure = self.hasher.update(data).err();
        self.failure = self.failure.take().or(failure);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        match self.failure.take() {
            Some(failure) => Err(failed(failure)),
            None => Ok(self.sum.insert(self.hasher.finish().map_err(failed)?)),
        }
    }
}

/// A message authentication code; what fails on the way is told at the end.
struct Mac {
    context: MdCtx,
    failure: Option<ErrorStack>,
    mac: Vec<u8>,
}

impl HmacContext for Mac {
    fn update(&mut self, data: &[u8]) {
        let failure = self.context.digest_sign_update(data).err();
        self.failure = self.failure.take().or(failure);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        if let Some(failure) = self.failure.take() {
            return Err(failed(failure));
        }
        self.mac.clear();
        self.context.digest_sign_final_to_vec(&mut self.mac).map_err(failed)?;
        Ok(&self.mac)
    }
}

fn failed(error: ErrorStack) -> object_store::Error {
    object_store::Error::Generic { store: "OpenSSL", source: Box::new(error) }
}

fn unknown(algorithm: &str) -> object_store::Error {
    object_store::Error::NotSupported { source: format!("no {algorithm} here").into() }
}

#[cfg(test)]
mod tests {
    use object_store::client::{CryptoProvider as _, DigestAlgorithm};

    use super::OpenSsl;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn agrees_with_the_standards() {
        let mut sum = OpenSsl.digest(DigestAlgorithm::Sha256).unwrap();
        sum.update(b"a");
        sum.update(b"bc");
        assert_eq!(
            hex(sum.finish().unwrap()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        // RFC 4231, test case 2.
        let mut mac = OpenSsl.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        mac.update(b"what do ya want ");
        mac.update(b"for nothing?");
        assert_eq!(
            hex(mac.finish().unwrap()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
