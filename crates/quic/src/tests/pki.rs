//! A certificate authority for one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use atoll_protocol::time::WallTime;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, date_time_ymd,
};
use rustls::pki_types::UnixTime;
use tempfile::TempDir;

use crate::{CredentialPaths, Credentials, SERVER_NAME};

/// A CA with a directory for what it issues.
pub(super) struct Authority {
    pub(super) dir: TempDir,
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a leaf says; `issue` writes it.
pub(super) struct Leaf {
    pub(super) uris: Vec<String>,
    pub(super) usages: Vec<ExtendedKeyUsagePurpose>,
    pub(super) not_after_year: i32,
}

pub(super) fn now() -> WallTime {
    WallTime::from_micros(UnixTime::now().as_secs() * 1_000_000)
}

/// A moment in May 2021, when the expired certificates of these tests were valid.
pub(super) const LONG_AGO: WallTime = WallTime::from_micros(1_620_000_000 * 1_000_000);

impl Leaf {
    pub(super) fn new(uri: &str) -> Self {
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        let usages = match uri.contains("/node/") {
            true => vec![ExtendedKeyUsagePurpose::ServerAuth, client],
            false => vec![client],
        };
        Self { uris: vec![uri.to_owned()], usages, not_after_year: 2_100 }
    }

    pub(super) fn expired(uri: &str) -> Self {
        Self { not_after_year: 2_022, ..Self::new(uri) }
    }
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("reef CA")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { dir: TempDir::new().unwrap(), pem, issuer }
    }

    /// Issues a certificate for `uri` and loads it.
    pub(super) fn credentials(&self, uri: &str) -> Credentials {
        let paths = self.issue("leaf", &Leaf::new(uri));
        Credentials::load(&paths, now()).unwrap()
    }

    /// Writes the CA, a certificate and its key under `label`.
    pub(super) fn issue(&self, label: &str, leaf: &Leaf) -> CredentialPaths {
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
        let uris = leaf.uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        params.extended_key_usages.clone_from(&leaf.usages);
        params.not_before = date_time_ymd(2_020, 1, 1);
        params.not_after = date_time_ymd(leaf.not_after_year, 1, 1) + Duration::from_secs(1);
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |ending: &str| self.dir.path().join(format!("{label}.{ending}"));
        let paths = CredentialPaths { ca: path("ca"), certificate: path("crt"), key: path("key") };
        fs::write(&paths.ca, &self.pem).unwrap();
        fs::write(&paths.certificate, certificate.pem()).unwrap();
        write_key(&paths.key, &key.serialize_pem(), 0o600);
        paths
    }
}

pub(super) fn write_key(path: &Path, pem: &str, mode: u32) {
    fs::write(path, pem).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
