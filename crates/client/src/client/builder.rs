//! From settings to a connected client.
//!
//! 1. Check all settings and report every problem at once.
//! 2. Load the certificates; the cluster is the one that they name.
//! 3. Open a socket, reach a seed, learn the cluster (`dispatch`).

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::quorum::Level;
use atoll_quic::{CredentialPaths, Credentials, Endpoint, EndpointConfig};

use super::Client;
use crate::dispatch::{Dispatcher, Parts};
use crate::error::Error;
use crate::link::Dialer;
use crate::profile::{DcFailover, Profile, ProfileError, ProfileFile, Role, is_host_and_port};
use crate::runtime;

/// Retries for every 100 requests, beyond a small burst: enough to hide one slow node of ten, too few to double the
/// load of a cluster that is in trouble.
const RETRY_BUDGET_PERCENT: u32 = 10;

/// Settings of a client. Seeds and credentials are required.
///
/// ```no_run
/// # async fn run() -> Result<(), atoll_client::Error> {
/// use std::time::Duration;
/// use atoll_client::{Client, CredentialPaths, Level};
///
/// let credentials = CredentialPaths {
///     ca: "certs/ca.crt".into(),
///     certificate: "certs/client.crt".into(),
///     key: "certs/client.key".into(),
/// };
/// let client = Client::builder()
///     .seeds(["10.0.1.11:7400", "10.0.2.11:7400"])
///     .credentials(credentials)
///     .dc("eu")
///     .read_level(Level::LocalOne)
///     .deadline(Duration::from_millis(500))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `connect` is awaited"]
pub struct ClientBuilder {
    seeds: Vec<String>,
    cluster: Option<String>,
    dc: Option<String>,
    credentials: Option<CredentialPaths>,
    profile: Profile,
    retry_budget_percent: u32,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            seeds: Vec::new(),
            cluster: None,
            dc: None,
            credentials: None,
            profile: Profile::new(),
            retry_budget_percent: RETRY_BUDGET_PERCENT,
        }
    }

    /// Takes over everything that `file` says, with the certificate of `role`.
    ///
    /// # Errors
    /// [`ProfileError::NoAdmin`] if the admin is asked for and the file has none.
    pub fn from_profile(mut self, file: &ProfileFile, role: Role) -> Result<Self, ProfileError> {
        self.credentials = Some(file.credentials(role)?);
        self.seeds.clone_from(&file.seeds);
        self.cluster = Some(file.cluster.to_string());
        self.dc = file.dc.as_ref().map(Name::to_string);
        if let Some(level) = file.level {
            self = self.level(level);
        }
        if let Some(deadline) = file.deadline {
            self = self.deadline(deadline);
        }
        Ok(self)
    }

    /// Nodes to begin with, as `host:port`. Any that answers is enough; the others are learned from it.
    pub fn seeds<S: Into<String>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds = seeds.into_iter().map(Into::into).collect();
        self
    }

    /// The cluster that the certificate must be for. Without it, it is the one that the certificate names.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = Some(name.into());
        self
    }

    /// The files that say who we are and whom we trust.
    pub fn credentials(mut self, paths: CredentialPaths) -> Self {
        self.credentials = Some(paths);
        self
    }

    /// The datacenter that `LOCAL` means. Without it, it is the one of the seed that answers fastest.
    pub fn dc(mut self, name: impl Into<String>) -> Self {
        self.dc = Some(name.into());
        self
    }

    /// Levels, limits and failover in one.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Level of reads and writes; `LOCAL_QUORUM` by default.
    pub fn level(mut self, level: Level) -> Self {
        self.profile = self.profile.level(level);
        self
    }

    /// Level of reads.
    pub fn read_level(mut self, level: Level) -> Self {
        self.profile = self.profile.read_level(level);
        self
    }

    /// Level of writes.
    pub fn write_level(mut self, level: Level) -> Self {
        self.profile = self.profile.write_level(level);
        self
    }

    /// Time that a request may take in all; 1 s by default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.profile = self.profile.deadline(deadline);
        self
    }

    /// Time that one node gets to answer a read before another is asked; 400 ms by default.
    pub fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.profile = self.profile.attempt_timeout(attempt_timeout);
        self
    }

    /// How often one request is sent at most; 3 by default.
    pub fn attempts_max(mut self, attempts_max: u32) -> Self {
        self.profile = self.profile.attempts_max(attempts_max);
        self
    }

    /// Retries for every 100 requests, beyond a burst of 10; 10 by default, 0 for no retries at all.
    pub fn retry_budget_percent(mut self, percent: u32) -> Self {
        self.retry_budget_percent = percent;
        self
    }

    /// Whether another datacenter may serve requests at `LOCAL_*` levels; `Never` by default.
    pub fn dc_failover(mut self, dc_failover: DcFailover) -> Self {
        self.profile = self.profile.dc_failover(dc_failover);
        self
    }

    /// Connects: returns once a seed has been reached and the cluster is known. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Configuration`] with all that is wrong with the settings; [`Error::Credentials`] with the file and the
    /// fix; [`Error::Auth`] if a seed refuses us or we refuse it; [`Error::Unreachable`] with every seed and the reason.
    pub async fn connect(self) -> Result<Client, Error> {
        let (paths, cluster, dc) = self.check()?;
        let credentials = Credentials::load(&paths, runtime::wall())
            .map_err(|error| Error::Credentials(Arc::new(error)))?;
        let named = credentials.identity().cluster.clone();
        if let Some(cluster) = cluster.filter(|cluster| *cluster != named) {
            let path = paths.certificate.display();
            let problem =
                format!("cluster: `{cluster}`, but the certificate {path} is for `{named}`");
            return Err(Error::Configuration { problems: vec![problem] });
        }
        let endpoint = Endpoint::bind(EndpointConfig::client(credentials, runtime::spawner()))
            .map_err(|error| Error::Socket(Arc::new(error)))?;
        let dialer = Dialer::new(endpoint, named);
        let Self { seeds, profile, retry_budget_percent, .. } = self;
        let parts = Parts { dialer, seeds, dc, budget_percent: retry_budget_percent };
        let dispatcher = Dispatcher::connect(parts).await?;
        Ok(Client { dispatcher, profile: Arc::new(profile) })
    }

    fn check(&self) -> Result<(CredentialPaths, Option<Name>, Option<Name>), Error> {
        let mut problems = Vec::new();
        let mut name = |setting: &str, text: Option<&String>| {
            let checked = text.map(|text| Name::new(text)).transpose();
            checked.map_err(|error| problems.push(format!("{setting}: {error}"))).ok().flatten()
        };
        let cluster = name("cluster", self.cluster.as_ref());
        let dc = name("dc", self.dc.as_ref());
        if self.seeds.is_empty() {
            problems.push("seeds: none; name at least one node as host:port".to_owned());
        }
        for seed in self.seeds.iter().filter(|seed| !is_host_and_port(seed)) {
            problems.push(format!("seeds: `{seed}` is not host:port, such as `10.0.0.1:7411`"));
        }
        if self.profile.deadline.is_zero() {
            problems.push("deadline: it must be above zero".to_owned());
        }
        match &self.credentials {
            Some(paths) if problems.is_empty() => Ok((paths.clone(), cluster, dc)),
            Some(_) => Err(Error::Configuration { problems }),
            None => {
                let fix = "credentials: none; every connection needs a certificate (`atoll cert`)";
                problems.push(fix.to_owned());
                Err(Error::Configuration { problems })
            }
        }
    }
}
