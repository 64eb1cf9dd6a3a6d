//! What this process shows and whom it trusts: CA roots, own certificate chain, own key.
//!
//! Loaded once at start and again on reload; everything that can be wrong with the files is found here, with the
//! path and the fix in the text, and not later as a TLS alert at some peer.
//!
//! 1. Read the CA file: one or more roots (two during a rotation).
//! 2. Read the certificate file: leaf first, then intermediates; take the identity from the leaf.
//! 3. Refuse a certificate that is expired or not yet valid at `now`.
//! 4. Read the key file, refusing it when anybody but the owner may open it; check that it fits the leaf.
//!
//! Invariants
//! - The mode is read from the open key file, not from its path: what was checked is what is read.
//! - Key bytes are neither logged nor printed; `Debug` shows the identity and the expiry only.
//! - No file is read beyond [`PEM_BYTES_MAX`].
//!
//! The simulator has no files: [`Credentials::from_der`] takes the same three parts from memory and checks the same,
//! except for the mode.
//!
//! Whether our own leaf chains to the CA file is not checked: during a rotation of roots it need not.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_protocol::identity::Identity;
use atoll_protocol::time::WallTime;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::time::ASN1Time;

use crate::certified::{self, CertifiedError};
use crate::crypto;

/// Longest PEM file that is read, in bytes: 100 roots of 2 KiB with comments stay far below.
pub(crate) const PEM_BYTES_MAX: u64 = 1_024 * 1_024;

/// Permission bits that a key file must not have: anything for group and others.
const KEY_MODE_FORBIDDEN: u32 = 0o077;

/// What errors name instead of a file when there is none.
const IN_MEMORY: &str = "(in memory)";

/// The three files of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPaths {
    /// PEM file with the trusted roots.
    pub ca: PathBuf,
    /// PEM file with the own certificate, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the own private key, mode 0600.
    pub key: PathBuf,
}

/// The three parts of an identity that is not in files.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialParts {
    /// The trusted roots, X.509 in DER.
    pub roots: Vec<Vec<u8>>,
    /// The own certificate, X.509 in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The own private key, PKCS #8 in DER.
    pub key: Vec<u8>,
}

/// Loaded credentials. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    identity: Identity,
    not_after: WallTime,
    roots: Arc<RootCertStore>,
    certified: Arc<CertifiedKey>,
}

/// Which file an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialFile {
    /// The trusted roots.
    Ca,
    /// The own certificate.
    Certificate,
    /// The own key.
    Key,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be opened or read.
    #[error("cannot read the {file} file {}: {source}", path.display())]
    Read {
        /// Which of the three.
        file: CredentialFile,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has no usable PEM section.
    #[error("the {file} file {} is not usable: {problem}", path.display())]
    Content {
        /// Which of the three.
        file: CredentialFile,
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Others may read the key.
    #[error(
        "the key file {} has mode {mode:04o}, so others can open it; run `chmod 600 {}`",
        path.display(), path.display()
    )]
    KeyMode {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The certificate names nobody.
    #[error("the certificate file {}: {source}", path.display())]
    Identity {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with the leaf.
        source: CertifiedError,
    },
    /// The own certificate is past its end.
    #[error(
        "the certificate {} of {identity} expired on {not_after}; issue a new one with `atoll cert`",
        path.display()
    )]
    Expired {
        /// Where it is.
        path: PathBuf,
        /// Whom it names.
        identity: Box<Identity>,
        /// Its end, readable.
        not_after: String,
    },
    /// The own certificate is before its beginning.
    #[error(
        "the certificate {} of {identity} is valid from {not_before} on; check this machine's clock",
        path.display()
    )]
    NotYetValid {
        /// Where it is.
        path: PathBuf,
        /// Whom it names.
        identity: Box<Identity>,
        /// Its beginning, readable.
        not_before: String,
    },
}

impl Credentials {
    /// Reads and checks the three files; `now` decides about expiry.
    ///
    /// # Errors
    /// [`CredentialsError`] names the file, what is wrong with it and the fix.
    pub fn load(paths: &CredentialPaths, now: WallTime) -> Result<Self, CredentialsError> {
        let roots = load_certificates(CredentialFile::Ca, &paths.ca)?;
        let roots = trust(&paths.ca, roots)?;
        let chain = load_certificates(CredentialFile::Certificate, &paths.certificate)?;
        let (identity, not_after) = check_leaf(&paths.certificate, &chain, now)?;
        let certified = pair(&paths.key, chain, load_key(&paths.key)?)?;
        Ok(Self { identity, not_after, roots: Arc::new(roots), certified: Arc::new(certified) })
    }

    /// Checks credentials that are not in files; `now` decides about expiry.
    ///
    /// # Errors
    /// [`CredentialsError`], as if they were files called `(in memory)`.
    pub fn from_der(parts: CredentialParts, now: WallTime) -> Result<Self, CredentialsError> {
        let nowhere = Path::new(IN_MEMORY);
        let roots = trust(nowhere, certificates(parts.roots))?;
        let chain = certificates(parts.chain);
        let (identity, not_after) = check_leaf(nowhere, &chain, now)?;
        let certified = pair(nowhere, chain, PrivatePkcs8KeyDer::from(parts.key).into())?;
        Ok(Self { identity, not_after, roots: Arc::new(roots), certified: Arc::new(certified) })
    }

    /// Whom the own certificate names.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// When the own certificate ends.
    pub fn not_after(&self) -> WallTime {
        self.not_after
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

fn certificates(ders: Vec<Vec<u8>>) -> Vec<CertificateDer<'static>> {
    ders.into_iter().map(CertificateDer::from).collect()
}

fn trust(
    path: &Path,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, CredentialsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let problem = |problem: rustls::Error| content(CredentialFile::Ca, path, &problem);
        roots.add(certificate).map_err(problem)?;
    }
    Ok(roots)
}

fn check_leaf(
    path: &Path,
    chain: &[CertificateDer<'static>],
    now: WallTime,
) -> Result<(Identity, WallTime), CredentialsError> {
    let path = || path.to_path_buf();
    let named = |source| CredentialsError::Identity { path: path(), source };
    let leaf = chain.first().ok_or_else(|| named(CertifiedError::Missing))?;
    let parsed = certified::parse(leaf).map_err(named)?;
    let identity = certified::identity_in(&parsed).map_err(named)?;
    let validity = parsed.validity();
    let (not_before, not_after) = (wall(validity.not_before), wall(validity.not_after));
    if now > not_after {
        let identity = Box::new(identity);
        let not_after = validity.not_after.to_string();
        return Err(CredentialsError::Expired { path: path(), identity, not_after });
    }
    if now < not_before {
        let identity = Box::new(identity);
        let not_before = validity.not_before.to_string();
        return Err(CredentialsError::NotYetValid { path: path(), identity, not_before });
    }
    Ok((identity, not_after))
}

fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, CredentialsError> {
    let file = open(CredentialFile::Key, path)?;
    let metadata = file.metadata().map_err(|source| read(CredentialFile::Key, path, source))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & KEY_MODE_FORBIDDEN != 0 {
        return Err(CredentialsError::KeyMode { path: path.to_path_buf(), mode });
    }
    let pem = read_bounded(CredentialFile::Key, path, file)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|problem| content(CredentialFile::Key, path, &problem))
}

fn pair(
    path: &Path,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CredentialsError> {
    CertifiedKey::from_der(chain, key, &crypto::provider())
        .map_err(|problem| content(CredentialFile::Key, path, &problem))
}

fn load_certificates(
    what: CredentialFile,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let pem = read_bounded(what, path, open(what, path)?)?;
    let sections = CertificateDer::pem_slice_iter(&pem);
    let certificates: Vec<_> =
        sections.collect::<Result<_, _>>().map_err(|problem| content(what, path, &problem))?;
    if certificates.is_empty() {
        return Err(content(what, path, &"it holds no PEM section `CERTIFICATE`"));
    }
    Ok(certificates)
}

fn open(file: CredentialFile, path: &Path) -> Result<File, CredentialsError> {
    File::open(path).map_err(|source| read(file, path, source))
}

fn read_bounded(
    what: CredentialFile,
    path: &Path,
    file: File,
) -> Result<Vec<u8>, CredentialsError> {
    let mut pem = Vec::new();
    file.take(PEM_BYTES_MAX + 1)
        .read_to_end(&mut pem)
        .map_err(|source| read(what, path, source))?;
    if pem.len() as u64 > PEM_BYTES_MAX {
        return Err(content(what, path, &format!("it is larger than {PEM_BYTES_MAX} bytes")));
    }
    Ok(pem)
}

fn read(file: CredentialFile, path: &Path, source: io::Error) -> CredentialsError {
    CredentialsError::Read { file, path: path.to_path_buf(), source }
}

fn content(file: CredentialFile, path: &Path, problem: &dyn fmt::Display) -> CredentialsError {
    CredentialsError::Content { file, path: path.to_path_buf(), problem: problem.to_string() }
}

/// A certificate's time as wall time; times before 1970 become the epoch.
fn wall(time: ASN1Time) -> WallTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    WallTime::from_micros(seconds.saturating_mul(1_000_000))
}

impl fmt::Display for CredentialFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "CA",
            Self::Certificate => "certificate",
            Self::Key => "key",
        })
    }
}

impl fmt::Debug for CredentialParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialParts").finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", &self.identity)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
