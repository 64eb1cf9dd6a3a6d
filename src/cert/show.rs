//! Reads a certificate back, for people and for scripts.
//!
//! Takes any PEM file whose first certificate can be parsed, also one that Atoll did not issue: then the identity is
//! absent and the kind says so. Verifies no signature and no date; that is what a handshake is for.
//!
//! Invariants
//! - No file is read beyond [`PEM_BYTES_MAX`].
//! - No file makes it panic.
//!
//! The fingerprint is SHA-256 over the DER form, as `openssl x509 -fingerprint -sha256` prints it, without colons.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::time::WallTime;
use atoll_quic::{fingerprint, identity_of};
use serde::{Serialize, Serializer};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::parse_x509_pem;
use x509_parser::time::ASN1Time;

use super::{CertError, rfc3339};

/// Longest PEM file that is read, in bytes.
const PEM_BYTES_MAX: u64 = 1_024 * 1_024;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateSummary {
    /// Whom it names; `None` for a CA and for certificates that are not Atoll's. Serialized as its URI.
    #[serde(serialize_with = "as_uri")]
    pub identity: Option<Identity>,
    /// What it is for.
    pub kind: CertificateKind,
    /// Its own name.
    pub subject: String,
    /// The name of the CA that signed it.
    pub issuer: String,
    /// The first moment at which it is valid. Serialized as RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    pub not_before: WallTime,
    /// The last moment at which it is valid. Serialized as RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    pub not_after: WallTime,
    /// SHA-256 of its DER form, hexadecimal.
    pub fingerprint: String,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// It signs others.
    Ca,
    /// A node's.
    Node,
    /// An application's.
    Client,
    /// An operator's.
    Admin,
    /// Not one of Atoll's.
    Foreign,
}

/// A certificate with what issuing needs to know of it.
pub(super) struct ReadCertificate {
    pub(super) summary: CertificateSummary,
    pub(super) der: Vec<u8>,
    /// The first organization of the subject: a CA's cluster.
    pub(super) organization: String,
    pub(super) public_key: Vec<u8>,
}

/// Reads the first certificate in the PEM file at `path`.
///
/// # Errors
/// [`CertError::Io`] and [`CertError::Content`].
pub fn show(path: &Path) -> Result<CertificateSummary, CertError> {
    read_certificate(path).map(|read| read.summary)
}

pub(super) fn read_certificate(path: &Path) -> Result<ReadCertificate, CertError> {
    let failed = |source| CertError::Io { verb: "read", path: path.to_path_buf(), source };
    let content = |problem: &dyn fmt::Display| CertError::Content {
        path: path.to_path_buf(),
        problem: problem.to_string(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let (_, pem) = parse_x509_pem(&bytes).map_err(|problem| content(&problem))?;
    if pem.label != "CERTIFICATE" {
        return Err(content(&format!("it holds a `{}`, not a certificate", pem.label)));
    }
    let parsed = pem.parse_x509().map_err(|problem| content(&problem))?;
    let summary = summarize(&parsed, &pem.contents);
    let organization = parsed.subject().iter_organization().next();
    let organization = organization.and_then(|name| name.as_str().ok()).unwrap_or("").to_owned();
    let public_key = parsed.public_key().subject_public_key.data.to_vec();
    Ok(ReadCertificate { summary, organization, public_key, der: pem.contents.clone() })
}

fn summarize(parsed: &X509Certificate<'_>, der: &[u8]) -> CertificateSummary {
    let identity = identity_of(der).ok();
    let kind = match &identity {
        _ if parsed.is_ca() => CertificateKind::Ca,
        Some(Identity { role: Role::Node { .. }, .. }) => CertificateKind::Node,
        Some(Identity { role: Role::Client { .. }, .. }) => CertificateKind::Client,
        Some(Identity { role: Role::Admin { .. }, .. }) => CertificateKind::Admin,
        None => CertificateKind::Foreign,
    };
    CertificateSummary {
        identity,
        kind,
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        not_before: wall(parsed.validity().not_before),
        not_after: wall(parsed.validity().not_after),
        fingerprint: fingerprint(der).iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// A certificate's time as wall time; times before 1970 become the epoch.
fn wall(time: ASN1Time) -> WallTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    WallTime::from_micros(seconds.saturating_mul(1_000_000))
}

fn as_uri<S: Serializer>(identity: &Option<Identity>, to: S) -> Result<S::Ok, S::Error> {
    match identity {
        Some(identity) => to.collect_str(identity),
        None => to.serialize_none(),
    }
}

fn as_rfc3339<S: Serializer>(time: &WallTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*time))
}

impl CertificateSummary {
    /// The end as people read it: RFC 3339 in UTC.
    pub fn not_after_text(&self) -> String {
        rfc3339(self.not_after)
    }

    /// The beginning as people read it: RFC 3339 in UTC.
    pub fn not_before_text(&self) -> String {
        rfc3339(self.not_before)
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ca => "ca",
            Self::Node => "node",
            Self::Client => "client",
            Self::Admin => "admin",
            Self::Foreign => "foreign",
        })
    }
}
