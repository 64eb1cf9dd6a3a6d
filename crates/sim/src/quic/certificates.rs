//! Certificates without files and without chance: a CA, and what it issues.
//!
//! The same form as `atoll cert` writes, except for what would change lengths from run to run: keys follow from the
//! seed, serial numbers have eight bytes, the validity is fixed.
//!
//! ```text
//! CA            CN = Atoll CA CLUSTER, O = CLUSTER   CA, path length 0; keyCertSign, cRLSign
//! node          URI atoll://…, DNS atoll-node        serverAuth, clientAuth
//! client, admin URI atoll://…                        clientAuth
//! ```
//!
//! Invariants
//! - Equal seed, cluster and identity give equal bytes, in every order of asking.
//! - Valid from 1970 to 2200: the simulated clocks may start anywhere in between and jump.
//!
//! Source: RFC 8410 §7 (an Ed25519 key in PKCS #8).

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::Name;
use atoll_protocol::time::WallTime;
use atoll_quic::{CredentialParts, Credentials, CredentialsError, SERVER_NAME};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use crate::prng::Prng;

/// What precedes the 32 bytes of an Ed25519 key in PKCS #8: version 0, the algorithm, two nested octet strings.
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// First byte of every serial number: positive and not zero, so that all are encoded in eight bytes.
const SERIAL_FIRST: u8 = 0x40;

/// Years of validity.
const YEARS: (i32, i32) = (1_970, 2_200);

/// A moment of the validity at which certificates are checked when they are made.
const ISSUED: WallTime = WallTime::from_micros(24 * 60 * 60 * 1_000_000);

/// The CA of one cluster.
pub struct Authority {
    seed: u64,
    cluster: Name,
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate cannot be made.
    #[error("cannot make the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// What was made is not accepted.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl Authority {
    /// The CA of `cluster` in the run with `seed`.
    ///
    /// # Errors
    /// [`AuthorityError`], if the name does not fit a certificate.
    pub fn new(seed: u64, cluster: Name) -> Result<Self, AuthorityError> {
        let (_, key) = make_key(seed, "ca")?;
        let mut params = params_of(seed, "ca", &cluster)?;
        params.distinguished_name.push(DnType::CommonName, format!("Atoll CA {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key)?.der().to_vec();
        Ok(Self { seed, cluster, root, issuer: Issuer::new(params, key) })
    }

    /// What `identity` shows, and whom it trusts.
    ///
    /// # Errors
    /// [`AuthorityError`], if the identity does not fit a certificate.
    pub fn credentials(&self, identity: &Identity) -> Result<Credentials, AuthorityError> {
        let subject = identity.to_string();
        let (pkcs8, key) = make_key(self.seed, &subject)?;
        let mut params = params_of(self.seed, &subject, &self.cluster)?;
        let (name, usages) = match &identity.role {
            Role::Node { node, .. } => {
                params.subject_alt_names.push(SanType::DnsName(SERVER_NAME.try_into()?));
                let server = ExtendedKeyUsagePurpose::ServerAuth;
                (node, vec![server, ExtendedKeyUsagePurpose::ClientAuth])
            }
            Role::Client { name } | Role::Admin { name } => {
                (name, vec![ExtendedKeyUsagePurpose::ClientAuth])
            }
        };
        params.subject_alt_names.push(SanType::URI(subject.as_str().try_into()?));
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.extended_key_usages = usages;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer)?.der().to_vec();
        let (roots, chain) = (vec![self.root.clone()], vec![leaf]);
        Ok(Credentials::from_der(CredentialParts { roots, chain, key: pkcs8 }, ISSUED)?)
    }
}

/// The key of `subject`: its PKCS #8 form, and ready to sign.
fn make_key(seed: u64, subject: &str) -> Result<(Vec<u8>, KeyPair), AuthorityError> {
    let mut secret = [0; 32];
    Prng::stream(seed, &format!("certificate/{subject}/key")).fill(&mut secret);
    let pkcs8 = [PKCS8_HEAD.as_slice(), &secret].concat();
    let key = KeyPair::try_from(pkcs8.as_slice())?;
    Ok((pkcs8, key))
}

/// Parameters with the fixed parts.
fn params_of(
    seed: u64,
    subject: &str,
    cluster: &Name,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    let drawn = Prng::stream(seed, &format!("certificate/{subject}/serial")).bits();
    let [_, rest @ ..] = drawn.to_be_bytes();
    params.serial_number = Some(SerialNumber::from([[SERIAL_FIRST].as_slice(), &rest].concat()));
    params.not_before = date_time_ymd(YEARS.0, 1, 1);
    params.not_after = date_time_ymd(YEARS.1, 1, 1);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, cluster.as_str());
    Ok(params)
}
