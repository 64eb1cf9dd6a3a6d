//! Node metadata in redb: who this data directory belongs to, its incarnation, topologies, keyspaces.
//!
//! Nothing here is needed to interpret the storage engine's files. Each fact has its own key in one table and its own
//! version byte (the codec's first field would do, but a byte in front is what migration looks at).
//!
//! 1. [`Meta::open`] creates the table on first use.
//! 2. [`Meta::claim`] checks that the directory belongs to the node that opens it; on first use it writes that down.
//! 3. [`Meta::begin_life`] hands out the incarnation: the stored one if the last stop was clean (and removes the
//!    clean marker, durably, before it returns), a new random one otherwise.
//! 4. [`Meta::renew_life`] stores another one, for a node that has lost records while it runs.
//! 5. [`Meta::store_frontiers`] keeps what deletions were purged under, and [`Meta::forget_frontiers`] what is not true any
//!    more.
//! 6. [`Meta::end_life`] writes the clean marker with the counters and the engine's position, after it was closed.
//!
//! Invariants
//! - While a node serves there is no clean marker.
//! - A marker counts only where the engine stands as it stood then: redb answers damage to its last commit with the one
//!   before, and a marker that comes back that way would have dots minted twice. Where the end of the log was torn nobody
//!   knows where the engine stood.
//! - A topology is stored durably before it is acted on.
//! - A full disk refuses a change and no more: the next call opens the database again.
//!
//! Every call blocks on disk; the node calls them at start, at stop, when a keyspace is created, and before deletions are
//! purged.

mod frontiers;
mod fact;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use atoll_protocol::ids::{Epoch, Incarnation, Name};
use atoll_protocol::keyspace::KeyspaceMap;
use atoll_protocol::token::Partition;
use atoll_protocol::topology::Topology;
use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;
use redb::{Database, ReadableDatabase, StorageBackend, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use fact::{decode, encode};

pub use frontiers::StoredFrontier;

/// All facts, by name.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// Name of the clean marker.
const CLEAN_STOP: &str = "clean-stop";

/// redb's page cache: metadata is a few hundred kilobytes at most.
const CACHE_BYTES: usize = 1 << 20;

/// The owner of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Cluster.
    pub cluster: Name,
    /// Datacenter.
    pub dc: Name,
    /// Rack.
    pub rack: Name,
    /// Node.
    pub node: Name,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.cluster, self.dc, self.rack, self.node)
    }
}

/// How the last process on this data directory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastStop {
    /// There was none.
    FirstBoot,
    /// It wrote the clean marker.
    Clean,
    /// It did not.
    Unclean,
}

/// The incarnation to mint under.
#[derive(Clone, Debug)]
pub struct BegunLife {
    /// The incarnation.
    pub incarnation: Incarnation,
    /// Greatest counter minted per partition under it.
    pub minted: BTreeMap<Partition, u64>,
    /// How the last process ended.
    pub last_stop: LastStop,
    /// The purge frontiers.
    pub frontiers: Vec<StoredFrontier>,
}

/// Written at a clean stop, removed at the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CleanMarker {
    incarnation: Incarnation,
    minted: Vec<(u32, u64)>,
    /// Sequence number of the engine's last write.
    sequence: u64,
}

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// redb failed.
    #[error("node metadata: {0}")]
    Database(#[from] redb::Error),
    /// A fact does not decode.
    #[error("node metadata: `{fact}` is damaged: {detail}")]
    Damaged {
        /// Its name.
        fact: String,
        /// What is wrong.
        detail: String,
    },
    /// Another process has the metadata open.
    #[error(
        "data directory {path} is in use by another process; stop it, or give this node another data_dir"
    )]
    InUse {
        /// The metadata file.
        path: String,
    },
    /// The data directory is another node's.
    #[error(
        "the data directory belongs to {found}, and the configuration says {expected}; point data_dir to this node's \
         own directory, or to an empty one"
    )]
    OtherOwner {
        /// Who wrote it.
        found: Box<Owner>,
        /// Who opens it.
        expected: Box<Owner>,
    },
}

/// Opens the database; called again after a full disk.
type Open = Box<dyn Fn() -> Result<Database, MetaError> + Send + Sync>;

/// The metadata of one node.
pub struct Meta {
    open: Open,
    /// `None` only while it could not be opened again.
    database: Mutex<Option<Database>>,
}

impl MetaError {
    /// Whether the disk was full: nothing was changed, and once there is room again the metadata works again. After any
    /// other I/O error the node must stop, because nobody knows what reached the disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(redb::Error::Io(error)) if error.kind() == io::ErrorKind::StorageFull)
    }
}

impl Meta {
    /// Opens the metadata file, creating it if need be.
    ///
    /// # Errors
    /// [`MetaError::InUse`] if another process has it open; [`MetaError::Database`] for anything else.
    pub fn open(path: &Path) -> Result<Self, MetaError> {
        let path = path.to_owned();
        Self::with(Box::new(move || {
            match Database::builder().set_cache_size(CACHE_BYTES).create(&path) {
                Ok(database) => Ok(database),
                Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                    Err(MetaError::InUse { path: path.display().to_string() })
                }
                Err(error) => Err(MetaError::Database(error.into())),
            }
        }))
    }

    /// Opens metadata on a backend of the simulator's.
    ///
    /// # Errors
    /// [`MetaError::Database`].
    pub fn open_on<B: StorageBackend>(
        backend: impl Fn() -> io::Result<B> + Send + Sync + 'static,
    ) -> Result<Self, MetaError> {
        Self::with(Box::new(move || {
            let backend = backend().map_err(redb::Error::Io)?;
            let database =
                Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend);
            Ok(database.map_err(redb::Error::from)?)
        }))
    }

    /// Checks that the directory belongs to `owner`; the first one to claim it, owns it.
    ///
    /// # Errors
    /// [`MetaError::OtherOwner`] names both.
    pub fn claim(&self, owner: &Owner) -> Result<(), MetaError> {
        match self.read::<Owner>("owner")? {
            Some(found) if found == *owner => Ok(()),
            Some(found) => Err(MetaError::OtherOwner {
                found: Box::new(found),
                expected: Box::new(owner.clone()),
            }),
            None => self.write("owner", owner),
        }
    }

    /// The incarnation to mint under; `fresh` is used unless the last stop was clean, and nothing was written to the
    /// engine since: `sequence` is that of its last write, `None` if that is in doubt because the end of its log is torn.
    ///
    /// # Errors
    /// [`MetaError`]; nothing may be served then.
    pub fn begin_life(
        &self,
        fresh: Incarnation,
        sequence: Option<u64>,
    ) -> Result<BegunLife, MetaError> {
        let marker = self.read::<CleanMarker>(CLEAN_STOP)?;
        let last = self.read::<Incarnation>("incarnation")?;
        let is_kept = seeded_bug(Mutant::CleanMarkerKept);
        if marker.is_some() && !is_kept {
            self.remove(CLEAN_STOP)?;
        }
        // Both of these bugs need a marker that is believed whatever was written since.
        let is_unbound = is_kept || seeded_bug(Mutant::CleanMarkerEarly);
        let is_of_now = |marker: &CleanMarker| Some(marker.sequence) == sequence || is_unbound;
        let (incarnation, minted, last_stop) = match (marker.filter(is_of_now), last) {
            (Some(marker), Some(last)) if marker.incarnation == last => {
                let minted = marker.minted.into_iter().map(|(p, count)| (Partition(p), count));
                (last, minted.collect(), LastStop::Clean)
            }
            (_, None) => (fresh, BTreeMap::new(), LastStop::FirstBoot),
            (_, Some(last)) if seeded_bug(Mutant::IncarnationKept) => {
                (last, BTreeMap::new(), LastStop::Unclean)
            }
            (_, Some(_)) => (fresh, BTreeMap::new(), LastStop::Unclean),
        };
        if last_stop != LastStop::Clean {
            self.write("incarnation", &incarnation)?;
        }
        Ok(BegunLife { incarnation, minted, last_stop, frontiers: self.frontiers()? })
    }

    /// Stores, durably, that `fresh` is minted under from now on.
    ///
    /// # Errors
    /// [`MetaError`]; the incarnation stays what it was, or is new at the next start.
    pub fn renew_life(&self, fresh: Incarnation) -> Result<(), MetaError> {
        self.write("incarnation", &fresh)
    }

    /// Writes the clean marker. The storage engine must be closed already; `sequence` is that of its last write.
    ///
    /// # Errors
    /// [`MetaError`]; the next start will then mint a new incarnation.
    pub fn end_life(
        &self,
        incarnation: Incarnation,
        minted: &BTreeMap<Partition, u64>,
        sequence: u64,
    ) -> Result<(), MetaError> {
        let minted = minted.iter().map(|(partition, count)| (partition.0, *count)).collect();
        self.write(CLEAN_STOP, &CleanMarker { incarnation, minted, sequence })
    }

    /// The newest stored topology.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn topology(&self) -> Result<Option<Topology>, MetaError> {
        let Some(epoch) = self.read::<Epoch>("epoch")? else {
            return Ok(None);
        };
        self.read(&topology_fact(epoch))
    }

    /// Stores a topology durably and makes it the newest.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn store_topology(&self, topology: &Topology) -> Result<(), MetaError> {
        self.write(&topology_fact(topology.epoch()), topology)?;
        self.write("epoch", &topology.epoch())
    }

    /// The stored keyspaces.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn keyspaces(&self) -> Result<Option<KeyspaceMap>, MetaError> {
        self.read("keyspaces")
    }

    /// Stores the keyspaces durably.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn store_keyspaces(&self, keyspaces: &KeyspaceMap) -> Result<(), MetaError> {
        self.write("keyspaces", keyspaces)
    }

    fn with(open: Open) -> Result<Self, MetaError> {
        let database = open_with_table(&open)?;
        Ok(Self { open, database: Mutex::new(Some(database)) })
    }

    /// Runs `work` on the database. redb refuses everything after an I/O error; a full disk passes, so the database is
    /// then closed, and opened again by whoever comes next.
    fn on_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, MetaError>,
    ) -> Result<T, MetaError> {
        let mut slot = self.database.lock();
        let database = match slot.take() {
            Some(database) => database,
            None => open_with_table(&self.open)?,
        };
        let result = work(&database);
        if !matches!(&result, Err(error) if error.is_full()) {
            *slot = Some(database);
        }
        result
    }

    fn read<F: DeserializeOwned>(&self, fact: &str) -> Result<Option<F>, MetaError> {
        let stored = self.on_database(|database| {
            let transaction = database.begin_read().map_err(redb::Error::from)?;
            let table = transaction.open_table(FACTS).map_err(redb::Error::from)?;
            let guard = table.get(fact).map_err(redb::Error::from)?;
            Ok(guard.map(|guard| guard.value().to_vec()))
        })?;
        stored.map(|stored| decode(fact, &stored)).transpose()
    }

    fn write<F: Serialize>(&self, fact: &str, value: &F) -> Result<(), MetaError> {
        let bytes = encode(value)?;
        self.change(|table| table.insert(fact, bytes.as_slice()).map(|_| ()))
    }

    fn remove(&self, fact: &str) -> Result<(), MetaError> {
        self.change(|table| table.remove(fact).map(|_| ()))
    }

    /// One durable transaction: redb syncs before `commit` returns.
    fn change(
        &self,
        edit: impl FnOnce(
            &mut redb::Table<'_, &'static str, &'static [u8]>,
        ) -> Result<(), redb::StorageError>,
    ) -> Result<(), MetaError> {
        self.on_database(|database| {
            let transaction = database.begin_write().map_err(redb::Error::from)?;
            {
                let mut table = transaction.open_table(FACTS).map_err(redb::Error::from)?;
                edit(&mut table).map_err(redb::Error::from)?;
            }
            transaction.commit().map_err(redb::Error::from)?;
            Ok(())
        })
    }
}

impl std::fmt::Debug for Meta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meta")
    }
}

fn open_with_table(open: &Open) -> Result<Database, MetaError> {
    let database = open()?;
    let transaction = database.begin_write().map_err(redb::Error::from)?;
    transaction.open_table(FACTS).map_err(redb::Error::from)?;
    transaction.commit().map_err(redb::Error::from)?;
    Ok(database)
}

fn topology_fact(epoch: Epoch) -> String {
    format!("topology/{epoch}")
}
