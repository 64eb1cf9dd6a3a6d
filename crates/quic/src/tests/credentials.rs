//! Every way in which the three files can be wrong, and what is said about it.

use std::fs;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::tests::pki::{Authority, LONG_AGO, Leaf, now, write_key};
use crate::tests::{CLIENT, NODE};
use crate::{
    CertifiedError, CredentialFile, CredentialParts, CredentialPaths, Credentials, CredentialsError,
};

fn refusal(paths: &CredentialPaths) -> CredentialsError {
    Credentials::load(paths, now()).unwrap_err()
}

#[test]
fn loads_identity_and_expiry() {
    let authority = Authority::new();
    let credentials = authority.credentials(NODE);
    assert_eq!(credentials.identity().to_string(), NODE);
    assert!(credentials.not_after() > now());
    let shown = format!("{credentials:?}");
    assert!(!shown.contains("key"), "{shown}");
}

#[test]
fn the_same_parts_from_memory_are_checked_alike() {
    let authority = Authority::new();
    let paths = authority.issue("n1", &Leaf::new(NODE));
    let certificate = |path| CertificateDer::from_pem_file(path).unwrap().to_vec();
    let parts = CredentialParts {
        roots: vec![certificate(&paths.ca)],
        chain: vec![certificate(&paths.certificate)],
        key: PrivatePkcs8KeyDer::from_pem_file(&paths.key).unwrap().secret_pkcs8_der().to_vec(),
    };
    let credentials = Credentials::from_der(parts.clone(), now()).unwrap();
    assert_eq!(credentials.identity().to_string(), NODE);
    assert_eq!(format!("{parts:?}"), "CredentialParts { .. }");

    let other = authority.issue("other", &Leaf::new(NODE));
    let chain = vec![certificate(&other.certificate)];
    let error = Credentials::from_der(CredentialParts { chain, ..parts.clone() }, now());
    let text = error.unwrap_err().to_string();
    assert!(text.contains("the key file (in memory) is not usable"), "{text}");
    let error = Credentials::from_der(CredentialParts { chain: vec![], ..parts.clone() }, now());
    assert!(matches!(error, Err(CredentialsError::Identity { .. })), "{error:?}");
    let error = Credentials::from_der(CredentialParts { roots: vec![vec![1]], ..parts }, now());
    assert!(matches!(error, Err(CredentialsError::Content { .. })), "{error:?}");
}

#[test]
fn key_that_others_can_read_is_refused_with_the_fix() {
    let authority = Authority::new();
    let paths = authority.issue("n1", &Leaf::new(NODE));
    let pem = fs::read_to_string(&paths.key).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        write_key(&paths.key, &pem, mode);
        let error = refusal(&paths);
        assert!(matches!(&error, CredentialsError::KeyMode { mode: seen, .. } if *seen == mode));
        let text = error.to_string();
        assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
        assert!(text.contains(&format!("chmod 600 {}", paths.key.display())), "{text}");
    }
    write_key(&paths.key, &pem, 0o400);
    Credentials::load(&paths, now()).unwrap();
}

#[test]
fn expired_and_future_certificates_are_refused() {
    let authority = Authority::new();
    let paths = authority.issue("old", &Leaf::expired(NODE));
    Credentials::load(&paths, LONG_AGO).unwrap();
    let error = refusal(&paths);
    assert!(matches!(error, CredentialsError::Expired { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("expired on") && text.contains("2022") && text.contains("atoll cert"),
        "{text}"
    );

    let early = atoll_protocol::time::WallTime::from_micros(0);
    let error = Credentials::load(&paths, early).unwrap_err();
    assert!(matches!(error, CredentialsError::NotYetValid { .. }), "{error}");
}

#[test]
fn a_certificate_names_exactly_one_identity() {
    let authority = Authority::new();
    let certified = |uris: &[&str]| {
        let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        let paths = authority.issue("leaf", &Leaf { uris, ..Leaf::new(NODE) });
        match Credentials::load(&paths, now()) {
            Ok(credentials) => Ok(credentials.identity().to_string()),
            Err(CredentialsError::Identity { source, .. }) => Err(source),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(certified(&[]), Err(CertifiedError::Missing));
    assert_eq!(certified(&["https://example.org/x"]), Err(CertifiedError::Missing));
    assert_eq!(certified(&[NODE, NODE]), Err(CertifiedError::Several { count: 2 }));
    assert!(matches!(certified(&["atoll://reef/node/eu"]), Err(CertifiedError::Malformed(_))));
    assert!(matches!(certified(&["atoll:reef"]), Err(CertifiedError::Malformed(_))));
    assert_eq!(certified(&["https://example.org/x", NODE]), Ok(NODE.to_owned()));
}

#[test]
fn key_usage_fits_the_role() {
    let authority = Authority::new();
    let refused = |uri: &str, usages: Vec<ExtendedKeyUsagePurpose>| {
        let paths = authority.issue("leaf", &Leaf { usages, ..Leaf::new(uri) });
        matches!(
            Credentials::load(&paths, now()),
            Err(CredentialsError::Identity { source: CertifiedError::KeyUsage { .. }, .. })
        )
    };
    let (server, client) =
        (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
    assert!(refused(NODE, vec![client.clone()]));
    assert!(refused(NODE, vec![server.clone()]));
    assert!(refused(NODE, vec![]));
    assert!(refused(CLIENT, vec![server.clone(), client.clone()]));
    assert!(!refused(CLIENT, vec![client.clone()]));
    assert!(!refused(NODE, vec![server, client]));
}

#[test]
fn unusable_files_are_named() {
    let authority = Authority::new();
    let good = authority.issue("good", &Leaf::new(NODE));
    let other = authority.issue("other", &Leaf::new(NODE));

    let absent = authority.dir.path().join("absent");
    let error = refusal(&CredentialPaths { ca: absent.clone(), ..good.clone() });
    assert!(matches!(error, CredentialsError::Read { file: CredentialFile::Ca, .. }), "{error}");
    assert!(error.to_string().contains(&absent.display().to_string()));

    let error = refusal(&CredentialPaths { certificate: good.key.clone(), ..good.clone() });
    assert!(error.to_string().contains("no PEM section"), "{error}");

    let error = refusal(&CredentialPaths { key: other.key, ..good.clone() });
    assert!(
        matches!(error, CredentialsError::Content { file: CredentialFile::Key, .. }),
        "a key of another certificate: {error}"
    );

    let huge = authority.dir.path().join("huge");
    fs::write(&huge, vec![b'\n'; 2 * 1_024 * 1_024]).unwrap();
    let error = refusal(&CredentialPaths { ca: huge, ..good });
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[test]
fn two_roots_during_a_rotation() {
    let (old, new) = (Authority::new(), Authority::new());
    let paths = old.issue("n1", &Leaf::new(NODE));
    fs::write(&paths.ca, format!("{}\n{}", old.pem, new.pem)).unwrap();
    let credentials = Credentials::load(&paths, now()).unwrap();
    assert_eq!(credentials.roots().len(), 2);
}
