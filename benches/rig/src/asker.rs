//! Who asks Atoll in a closed loop.

use std::collections::BTreeMap;

use atoll_client::{Client, Context, Keyspace, Versions};

use crate::Failure;
use crate::closed::{Asked, Asker, Loop, key};

/// Asks Atoll through its SDK. Knows the last version of every key of its own, which a put supersedes: a run that forgot
/// them would leave a sibling per key to all that follow.
pub struct AtollAsker {
    keyspace: Keyspace,
    contexts: BTreeMap<u64, Context>,
}

impl AtollAsker {
    /// So many askers, dealt to `clients`.
    pub fn deal(clients: &[Client], askers: u64) -> Vec<Self> {
        let dealt = (0..askers).zip(clients.iter().cycle());
        dealt
            .map(|(_, client)| Self {
                keyspace: client.keyspace("default"),
                contexts: BTreeMap::new(),
            })
            .collect()
    }

    async fn get(&self, lap: &Loop, number: u64) -> Result<(), Failure> {
        match self.keyspace.get(key(number)).level(lap.level).await? {
            Versions::None { .. } => Err("a key that was written has no value".into()),
            Versions::One { .. } | Versions::Many { .. } => Ok(()),
        }
    }

    async fn put(&mut self, lap: &Loop, number: u64) -> Result<(), Failure> {
        let mut put = self.keyspace.put(key(number), vec![b'x'; lap.value_bytes]).level(lap.level);
        if let Some(context) = self.contexts.get(&number) {
            put = put.after(context);
        }
        let written = put.await?;
        self.contexts.insert(number, written.context().clone());
        Ok(())
    }
}

impl Asker for AtollAsker {
    async fn ask(&mut self, lap: &Loop, number: u64) -> Result<(), Failure> {
        match lap.asked {
            Asked::Get => self.get(lap, number).await,
            Asked::Put => self.put(lap, number).await,
        }
    }
}
