//! Certificates of a cluster: a CA, and what it issues to nodes, clients and admins.
//!
//! Behind `atoll cert ca|node|client|admin|show` and `atoll dev`. Works on files only; `crates/quic` loads and verifies
//! what is written here.
//!
//! 1. `create_ca` makes a key and a self-signed certificate for one cluster (`issue.rs`).
//! 2. `issue` makes a key and a certificate for one [`Identity`], signed by that CA (`issue.rs`).
//! 3. `show` reads any certificate back (`show.rs`).
//!
//! ```text
//! file       mode  holds                                   extensions
//! ca.crt     0644  CN = Atoll CA CLUSTER xxxxxxxx, O = …   CA, path length 0; keyCertSign, cRLSign
//! ca.key     0600  Ed25519, PKCS #8
//! NAME.crt   0644  node NAME                               URI atoll://…, DNS atoll-node; serverAuth, clientAuth
//!                  client or admin NAME                    URI atoll://…; clientAuth
//! NAME.key   0600  Ed25519, PKCS #8
//! ```
//!
//! Invariants
//! - No file is ever overwritten, and a key is never readable for anybody else, not even for a moment.
//! - A CA issues for its own cluster only, and nothing that outlives it.
//! - No clock is read: a [`Validity`] is an argument.
//!
//! Ed25519, because its signatures have one size and need no randomness. The eight hex digits in the CA's name come
//! from its key, so that two CAs of one cluster (a rotation, a CA that was made anew) can be told apart.
//!
//! Source: RFC 5280 §4.2 (extensions), RFC 8410 (Ed25519 in X.509).

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use atoll_protocol::identity::Identity;
use atoll_protocol::ids::Name;
use atoll_protocol::time::WallTime;

mod issue;
mod show;

#[cfg(test)]
mod tests;

pub use issue::{create_ca, issue};
pub use show::{CertificateKind, CertificateSummary, show};

/// Default life of a CA: it is replaced by hand, with both roots trusted for a while.
pub const CA_DAYS: u32 = 10 * 365;

/// Default life of a leaf: long enough to be forgotten twice, so its end is shown by `status` long before.
pub const LEAF_DAYS: u32 = 365;

/// How far before `now` a certificate becomes valid: clocks of other machines may be behind.
const SKEW_MICROS: u64 = 60 * 60 * 1_000_000;

/// Length of a day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// From when to when a certificate is valid. Certificates carry whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: WallTime,
    /// The last moment.
    pub not_after: WallTime,
}

/// The two files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedPaths {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM, mode 0600.
    pub key: PathBuf,
}

/// Why a certificate was not made or not read. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file of that name exists.
    #[error("{} exists and is not overwritten; remove it or choose another directory", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write` or `create`.
        verb: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no CA in the directory.
    #[error(
        "there is no CA in {}: {} is missing; create one with `atoll cert ca`, or point to its directory",
        dir.display(), path.display()
    )]
    NoCa {
        /// The directory.
        dir: PathBuf,
        /// The file that is missing.
        path: PathBuf,
    },
    /// Others can open the CA's key.
    #[error(
        "{} has mode {mode:04o}, so others can open the CA's key; run `chmod 600 {}`",
        path.display(), path.display()
    )]
    KeyMode {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} is not usable: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The CA is another cluster's.
    #[error(
        "the CA {} is of cluster `{ca}` and does not issue for cluster `{}`; use that cluster's CA",
        path.display(), identity.cluster
    )]
    OtherCluster {
        /// The CA's certificate.
        path: PathBuf,
        /// The CA's cluster.
        ca: String,
        /// For whom a certificate was asked.
        identity: Box<Identity>,
    },
    /// The certificate would be valid longer than its CA.
    #[error(
        "the certificate would end on {leaf}, after its CA {} ({ca}); \
         ask for fewer days or create a new CA",
        path.display()
    )]
    OutlivesCa {
        /// The CA's certificate.
        path: PathBuf,
        /// The CA's end, readable.
        ca: String,
        /// The end that was asked for, readable.
        leaf: String,
    },
    /// It would end before it begins.
    #[error("a certificate cannot end ({not_after}) before it begins ({not_before})")]
    EmptyValidity {
        /// Beginning, readable.
        not_before: String,
        /// End, readable.
        not_after: String,
    },
    /// The cryptographic library failed.
    #[error("cannot make the certificate: {problem}")]
    Crypto {
        /// What it said.
        problem: String,
    },
}

impl Validity {
    /// Valid for `days` from `now` on, and for an hour before.
    pub fn days(now: WallTime, days: u32) -> Self {
        let not_before = WallTime::from_micros(now.as_micros().saturating_sub(SKEW_MICROS));
        Self { not_before, not_after: now.after(DAY.saturating_mul(days)) }
    }

    /// A CA's default, from `now` on.
    pub fn of_ca(now: WallTime) -> Self {
        Self::days(now, CA_DAYS)
    }

    /// A leaf's default, from `now` on.
    pub fn of_leaf(now: WallTime) -> Self {
        Self::days(now, LEAF_DAYS)
    }
}

/// The files of `name` in a directory.
fn paths_of(dir: &std::path::Path, name: &Name) -> IssuedPaths {
    // Names have no separators and do not begin with a dot, so they cannot leave the directory.
    IssuedPaths {
        certificate: dir.join(format!("{name}.crt")),
        key: dir.join(format!("{name}.key")),
    }
}

/// A wall time as RFC 3339 in UTC, whole seconds.
fn rfc3339(time: WallTime) -> String {
    let since_epoch = Duration::from_micros(time.as_micros());
    match std::time::UNIX_EPOCH.checked_add(since_epoch) {
        // The formatter knows years up to 9999; so do certificates.
        Some(moment) if time.as_micros() < YEAR_10000_MICROS => {
            humantime::format_rfc3339_seconds(moment).to_string()
        }
        Some(_) | None => "after the year 9999".to_owned(),
    }
}

/// 10000-01-01T00:00:00Z in microseconds since 1970.
const YEAR_10000_MICROS: u64 = 253_402_300_800 * 1_000_000;
