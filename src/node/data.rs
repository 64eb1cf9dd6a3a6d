//! A node's data directory: opened, and known to be ours.
//!
//! Shared by `start.rs` (real files) and the simulator (simulated ones): the order of these steps is part of what is
//! tested.
//!
//! 1. The engine is opened first: its lock is the data directory's lock. Its disk is metered from the first sync on.
//! 2. The metadata is opened (made under another name, on first use), and its name made durable; it says whose the directory
//!    is, on first use it is written down.
//! 3. Stored topology and keyspaces are agreed with what the node was given.
//! 4. The hints are opened; damaged ones are dropped.
//! 5. [`Data::begin_life`], last of all, removes the clean marker and hands out the incarnation.

use std::path::Path;
use std::sync::Arc;

use atoll_protocol::ids::Incarnation;
use atoll_protocol::keyspace::KeyspaceMap;
use atoll_protocol::topology::Topology;
use atoll_storage::{Disk, Engine, Options};

use super::error::StartError;
use crate::disk::{DiskFolder, MeteredDisk, SyncMeter};
use crate::env::Env;
use crate::handoff::HintStore;
use crate::meta::{BegunLife, LastStop, Meta, MetaError, Owner};
use crate::replica::JoinRecords;

/// The metadata file, and its name while it is made.
const META: &str = "meta.redb";
const META_NEW: &str = "meta.redb.new";

/// The folder of the hint store.
const HINTS: &str = "hints";

/// What a node keeps in its data directory.
pub struct Data {
    /// The storage engine, open.
    pub engine: Arc<Engine>,
    /// Where its syncs are counted.
    pub syncs: Arc<SyncMeter>,
    /// The hints for others.
    pub hints: HintStore,
    /// The metadata, claimed.
    pub meta: Arc<Meta>,
    /// The topology to serve with.
    pub topology: Arc<Topology>,
    /// The keyspaces as stored.
    pub keyspaces: KeyspaceMap,
    owner: Owner,
}

/// The disks of a data directory.
pub struct Places {
    /// The directory itself, where the metadata file lies.
    pub root: Arc<dyn Disk>,
    /// The storage engine's directory.
    pub storage: Arc<dyn Disk>,
}

/// Who opens a data directory, and with which topology.
pub struct Claim<'a> {
    /// The node.
    pub owner: Owner,
    /// The topology that it was given.
    pub topology: Arc<Topology>,
    /// Where that came from, for messages.
    pub source: &'a Path,
}

impl Data {
    /// Opens everything and checks that it is the claimant's. Blocks on disk.
    ///
    /// # Errors
    /// [`StartError`]; nothing of another node's directory was changed.
    pub fn open(
        env: &Env,
        places: Places,
        options: Options,
        meta: impl Fn(&str) -> Result<Meta, MetaError>,
        claim: Claim<'_>,
    ) -> Result<Self, StartError> {
        let syncs = Arc::new(SyncMeter::new());
        let disk = Arc::new(MeteredDisk::new(env.clone(), places.storage, syncs.clone()));
        let engine = Arc::new(Engine::open(disk, options.clone(), Arc::new(JoinRecords))?);
        let path = format!("of {}", claim.owner);
        let unusable = |detail| StartError::DataDirectory { path: path.clone(), detail };
        create_meta(&*places.root, &meta, unusable)?;
        let meta = Arc::new(meta(META)?);
        meta.claim(&claim.owner)?;
        let topology = agree_on_topology(&meta, claim.topology, claim.source)?;
        let keyspaces = match meta.keyspaces()? {
            Some(keyspaces) => keyspaces,
            None => {
                let keyspaces = KeyspaceMap::new(&topology);
                meta.store_keyspaces(&keyspaces)?;
                keyspaces
            }
        };
        places.root.create_dir(HINTS).map_err(|error| unusable(error.to_string()))?;
        let folder: Arc<dyn Disk> = Arc::new(DiskFolder::new(places.root, HINTS));
        let hints = HintStore::open(&folder, &options)?;
        Ok(Self { engine, syncs, hints, meta, topology, keyspaces, owner: claim.owner })
    }

    /// What to mint under. After the last thing that can fail, so that a start that fails does not count as a life.
    ///
    /// # Errors
    /// [`StartError::Meta`]; nothing may be served then.
    pub fn begin_life(&self, env: &Env) -> Result<BegunLife, StartError> {
        // A clean stop leaves no log, and so no torn end of one: what was there may have been written since.
        let is_whole = self.engine.statistics().torn_bytes == 0;
        let sequence = is_whole.then(|| self.engine.snapshot().sequence());
        let life = self.meta.begin_life(Incarnation(env.random_u64()), sequence)?;
        let (node, incarnation) = (&self.owner, life.incarnation);
        match life.last_stop {
            LastStop::FirstBoot => tracing::info!(%node, %incarnation, "first boot"),
            LastStop::Clean => tracing::info!(%node, %incarnation, "last stop was clean"),
            LastStop::Unclean => {
                tracing::warn!(%node, %incarnation, "last stop was unclean: new incarnation");
            }
        }
        Ok(life)
    }
}

/// Makes the metadata file, if there is none. Under another name first: a crash in the midst of its creation leaves a file that
/// redb does not open any more. Its name is durable on return; redb syncs its file, never the file's name.
fn create_meta(
    root: &dyn Disk,
    open: impl Fn(&str) -> Result<Meta, MetaError>,
    unusable: impl Fn(String) -> StartError,
) -> Result<(), StartError> {
    let failed = |error: std::io::Error| unusable(error.to_string());
    let names = root.list("").map_err(failed)?;
    let has = |name: &str| names.iter().any(|found| found == name);
    if !has(META) {
        if has(META_NEW) {
            root.remove(META_NEW).map_err(failed)?;
        }
        drop(open(META_NEW)?);
        root.rename(META_NEW, META).map_err(failed)?;
    }
    root.sync_dir("").map_err(|error| unusable(error.to_string()))
}

/// The stored topology wins where it is newer; at the same epoch given and stored one must be the same.
fn agree_on_topology(
    meta: &Meta,
    given: Arc<Topology>,
    source: &Path,
) -> Result<Arc<Topology>, StartError> {
    match meta.topology()? {
        None => {
            meta.store_topology(&given)?;
            Ok(given)
        }
        Some(stored) if stored.epoch() > given.epoch() => Ok(Arc::new(stored)),
        Some(stored) if stored.digest() == given.digest() => Ok(given),
        Some(stored) => Err(StartError::TopologyChanged {
            path: source.display().to_string(),
            epoch: stored.epoch().0,
        }),
    }
}
