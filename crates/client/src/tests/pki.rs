//! A certificate authority for one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use atoll_quic::{CredentialPaths, SERVER_NAME};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, date_time_ymd,
};
use tempfile::TempDir;

/// A CA with a directory for what it issues.
pub(super) struct Authority {
    dir: TempDir,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "reef CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { dir: TempDir::new().unwrap(), pem, issuer }
    }

    /// Issues a certificate for `uri` and writes the three files.
    pub(super) fn issue(&self, uri: &str) -> CredentialPaths {
        let label = uri.replace(['/', ':'], "_");
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if uri.contains("/node/") {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.not_before = date_time_ymd(2_020, 1, 1);
        params.not_after = date_time_ymd(2_100, 1, 1);
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |ending: &str| self.dir.path().join(format!("{label}.{ending}"));
        let paths = CredentialPaths { ca: path("ca"), certificate: path("crt"), key: path("key") };
        fs::write(&paths.ca, &self.pem).unwrap();
        fs::write(&paths.certificate, certificate.pem()).unwrap();
        fs::write(&paths.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o600)).unwrap();
        paths
    }
}
