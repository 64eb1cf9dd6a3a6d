//! Makes a CA, and certificates that it signs.
//!
//! 1. Read the CA (for a leaf): certificate and key, that they belong together, whose cluster it is, when it ends.
//! 2. Make a key, fill in the certificate, sign it.
//! 3. Write both files: exclusively, the key with mode 0600 from the start, the key removed again if the certificate
//!    cannot be written.
//!
//! Invariants
//! - Everything is checked before the first file is created.
//! - A pair of files is either complete and on disk, or absent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::Name;
use atoll_protocol::time::WallTime;
use atoll_quic::{SERVER_NAME, fingerprint};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, date_time_ymd,
};

use super::show::{ReadCertificate, read_certificate};
use super::{CertError, IssuedPaths, Validity, YEAR_10000_MICROS, paths_of, rfc3339};

/// Names of the CA's files.
const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";

/// Longest key file that is read, in bytes: an Ed25519 key in PEM has 200.
const KEY_BYTES_MAX: u64 = 16 * 1_024;

/// Creates the CA of `cluster` in `dir`, which is created if need be.
///
/// # Errors
/// [`CertError`]; an existing CA is never touched.
pub fn create_ca(dir: &Path, cluster: &Name, validity: Validity) -> Result<IssuedPaths, CertError> {
    let key = generate_key()?;
    let mut params = params_of(validity)?;
    let [a, b, c, d, ..] = fingerprint(&key.subject_public_key_info());
    let common_name = format!("Atoll CA {cluster} {a:02x}{b:02x}{c:02x}{d:02x}");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.distinguished_name.push(DnType::OrganizationName, cluster.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(crypto)?;
    let paths = IssuedPaths { certificate: dir.join(CA_CERTIFICATE), key: dir.join(CA_KEY) };
    write_pair(dir, paths, &certificate, &key)
}

/// Issues a certificate for `identity` by the CA in `ca_dir`, into `out_dir`, which is created if need be.
///
/// # Errors
/// [`CertError`]; existing files are never touched.
pub fn issue(
    ca_dir: &Path,
    out_dir: &Path,
    identity: &Identity,
    validity: Validity,
) -> Result<IssuedPaths, CertError> {
    let issuer = read_ca(ca_dir, identity, validity)?;
    let key = generate_key()?;
    let mut params = params_of(validity)?;
    let (name, usages) = match &identity.role {
        Role::Node { node, .. } => {
            params.subject_alt_names.push(SanType::DnsName(ia5(SERVER_NAME)?));
            let server = ExtendedKeyUsagePurpose::ServerAuth;
            (node, vec![server, ExtendedKeyUsagePurpose::ClientAuth])
        }
        Role::Client { name } | Role::Admin { name } => {
            (name, vec![ExtendedKeyUsagePurpose::ClientAuth])
        }
    };
    params.subject_alt_names.push(SanType::URI(ia5(&identity.to_string())?));
    params.extended_key_usages = usages;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    params.distinguished_name.push(DnType::OrganizationName, identity.cluster.as_str());
    let certificate = params.signed_by(&key, &issuer).map_err(crypto)?;
    write_pair(out_dir, paths_of(out_dir, name), &certificate, &key)
}

/// Reads the CA and checks that it may issue for `identity` until the end of `validity`.
fn read_ca(
    dir: &Path,
    identity: &Identity,
    validity: Validity,
) -> Result<Issuer<'static, KeyPair>, CertError> {
    let (certificate_path, key_path) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
    let no_ca = |error: CertError| match error {
        CertError::Io { path, source, .. } if source.kind() == io::ErrorKind::NotFound => {
            CertError::NoCa { dir: dir.to_path_buf(), path }
        }
        other => other,
    };
    let ca = read_certificate(&certificate_path).map_err(no_ca)?;
    let key = read_key(&key_path).map_err(no_ca)?;
    check_ca(&ca, &certificate_path, &key)?;
    if ca.organization != identity.cluster.as_str() {
        let identity = Box::new(identity.clone());
        return Err(CertError::OtherCluster {
            path: certificate_path,
            ca: ca.organization,
            identity,
        });
    }
    if validity.not_after > ca.summary.not_after {
        let (leaf, ca) = (rfc3339(validity.not_after), rfc3339(ca.summary.not_after));
        return Err(CertError::OutlivesCa { path: certificate_path, ca, leaf });
    }
    Issuer::from_ca_cert_der(&ca.der.into(), key).map_err(crypto)
}

fn check_ca(ca: &ReadCertificate, path: &Path, key: &KeyPair) -> Result<(), CertError> {
    let content = |problem: &str| {
        Err(CertError::Content { path: path.to_path_buf(), problem: problem.to_owned() })
    };
    if ca.summary.kind != super::CertificateKind::Ca {
        return content("it is not a CA certificate");
    }
    if ca.public_key != key.der_bytes() {
        return content("it does not belong to the key beside it");
    }
    Ok(())
}

fn read_key(path: &Path) -> Result<KeyPair, CertError> {
    let failed = |source| CertError::Io { verb: "read", path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CertError::KeyMode { path: path.to_path_buf(), mode });
    }
    let mut pem = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut pem).map_err(failed)?;
    KeyPair::from_pem(&pem).map_err(|problem| CertError::Content {
        path: path.to_path_buf(),
        problem: problem.to_string(),
    })
}

fn generate_key() -> Result<KeyPair, CertError> {
    KeyPair::generate_for(&PKCS_ED25519).map_err(crypto)
}

/// Parameters with a validity and an empty name.
fn params_of(validity: Validity) -> Result<CertificateParams, CertError> {
    let Validity { not_before, not_after } = validity;
    if not_after <= not_before {
        let (not_before, not_after) = (rfc3339(not_before), rfc3339(not_after));
        return Err(CertError::EmptyValidity { not_before, not_after });
    }
    // Certificates end with the year 9999.
    let moment = |time: WallTime| {
        let seconds = time.as_micros().min(YEAR_10000_MICROS - 1) / 1_000_000;
        date_time_ymd(1_970, 1, 1) + Duration::from_secs(seconds)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = moment(not_before);
    params.not_after = moment(not_after);
    Ok(params)
}

fn write_pair(
    dir: &Path,
    paths: IssuedPaths,
    certificate: &Certificate,
    key: &KeyPair,
) -> Result<IssuedPaths, CertError> {
    let create = |source| CertError::Io { verb: "create", path: dir.to_path_buf(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(create)?;
    write_new(&paths.key, 0o600, &key.serialize_pem())?;
    if let Err(error) = write_new(&paths.certificate, 0o644, &certificate.pem()) {
        // A key without its certificate is of no use; that it stays would be the lesser evil.
        let _ = fs::remove_file(&paths.key);
        return Err(error);
    }
    Ok(paths)
}

/// Creates `path`, which must not exist, with `mode`, and makes its text durable.
fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), CertError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = created.and_then(|mut file| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(path);
        }
        written
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CertError::Exists { path: path.to_path_buf() },
        _ => CertError::Io { verb: "write", path: path.to_path_buf(), source },
    })
}

fn ia5(text: &str) -> Result<rcgen::string::Ia5String, CertError> {
    text.try_into().map_err(crypto)
}

fn crypto(problem: rcgen::Error) -> CertError {
    CertError::Crypto { problem: problem.to_string() }
}
