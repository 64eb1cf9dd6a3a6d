//! The tasks on a real engine in a temporary folder, on the machine's clock.

use atoll_protocol::time::MonoTime;
use atoll_storage::{Batch, Options, RealDisk, Statistics};
use tempfile::TempDir;

use super::*;
use crate::env::RealEnv;
use crate::replica::JoinRecords;

/// Guards against a hang; nothing is expected to take this long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    maintenance: Maintenance,
    written: u64,
    _folder: TempDir,
}

impl Bench {
    fn new(bytes_per_second_max: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let options = Options {
            memtable_bytes_max: 64 * 1_024,
            table_bytes: 64 * 1_024,
            ..Options::default()
        };
        let pacing = Pacing::new(&options, bytes_per_second_max);
        let disk = Arc::new(RealDisk::new(folder.path()));
        let engine = Arc::new(Engine::open(disk, options, Arc::new(JoinRecords)).unwrap());
        let env = RealEnv::create();
        let (tasks, writes) = (Tasks::new(env.clone()), Arc::default());
        let maintenance = Maintenance { env, tasks, engine, writes, pacing };
        Self { maintenance, written: 0, _folder: folder }
    }

    /// Writes a few keys over and over until `is_enough`.
    fn write_until(&mut self, is_enough: impl Fn(&Statistics) -> bool) {
        while !is_enough(&self.maintenance.engine.statistics()) {
            let mut batch = Batch::new();
            batch.put(&(self.written % 100).to_be_bytes(), &[7; 400]);
            self.written += 1;
            self.maintenance.engine.write(batch).unwrap();
        }
    }

    async fn wait_until(&self, is_enough: impl Fn(&Statistics) -> bool) {
        while !is_enough(&self.maintenance.engine.statistics()) {
            // bounded poll: the whole test has a deadline.
            self.maintenance.env.sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn within_patience(test: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, test).await.expect("the test hangs");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_memtables_are_flushed_and_tables_compacted() {
    within_patience(async {
        let mut bench = Bench::new(0);
        bench.maintenance.clone().start(Durability::Fsync);
        for round in 1..=5 {
            let flushes = bench.maintenance.engine.statistics().flushes;
            bench.write_until(|now| now.memtables_sealed > 0 || now.flushes > flushes);
            bench.maintenance.writes.wake();
            bench.wait_until(|now| now.memtables_sealed == 0 && now.flushes >= round).await;
        }
        bench.wait_until(|now| now.compactions > 0 && now.tables_l0 < 4).await;
        bench.maintenance.tasks.stop().await;
        bench.maintenance.engine.close().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_compacts_slowly_flushes_all_the_same() {
    within_patience(async {
        // A limit that no unit meets: the first one pauses for minutes.
        let mut bench = Bench::new(1);
        bench.maintenance.clone().start(Durability::Fsync);
        while bench.maintenance.engine.statistics().compactions == 0 {
            bench.write_until(|now| now.memtables_sealed > 0);
            bench.maintenance.writes.wake();
            bench.wait_until(|now| now.memtables_sealed == 0).await;
        }
        let flushes = bench.maintenance.engine.statistics().flushes;
        bench.write_until(|now| now.memtables_sealed > 0 || now.flushes > flushes);
        bench.maintenance.writes.wake();
        bench.wait_until(|now| now.memtables_sealed == 0 && now.flushes > flushes).await;
        bench.maintenance.tasks.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_compaction_is_held_back_one_task_flushes() {
    within_patience(async {
        let mut bench = Bench::new(1);
        let shared = Mutex::new(Shared::default());
        let maintenance = bench.maintenance.clone();
        assert_eq!(maintenance.take_turn(&shared).await, Turn::Everything);
        shared.lock().held.paced_until = MonoTime::from_nanos(u64::MAX);
        assert!(matches!(maintenance.take_turn(&shared).await, Turn::Wait(_)), "nothing is sealed");
        bench.write_until(|now| now.memtables_sealed == 1);
        assert_eq!(maintenance.take_turn(&shared).await, Turn::Flush);
        assert_eq!(maintenance.take_turn(&shared).await, Turn::Wait(IDLE_PAUSE), "one is enough");
        shared.lock().flushing = Flushing::Nobody;
        assert_eq!(maintenance.take_turn(&shared).await, Turn::Flush);
        bench.write_until(|now| now.memtables_sealed == 2);
        assert_eq!(maintenance.take_turn(&shared).await, Turn::Everything, "debt comes first");
    })
    .await;
}

#[tokio::test]
async fn a_unit_is_charged_once_and_behind_the_one_before() {
    let bench = Bench::new(1_000_000);
    let shared = Mutex::new(Shared::default());
    let account = |bytes| {
        let before = bench.maintenance.env.mono();
        bench.maintenance.account(&shared, Duration::ZERO, (bytes, Debt::default()));
        let held = shared.lock().held.paced_until;
        (before, held)
    };
    let (before, first) = account(100_000_000);
    assert!(first >= before.after(Duration::from_secs(100)), "100 MB at 1 MB/s");
    let (_, same) = account(100_000_000);
    assert_eq!(same, first, "nothing was written since");
    let (_, second) = account(150_000_000);
    assert_eq!(second.since(first), Duration::from_secs(50));
    let (_, stale) = account(120_000_000);
    assert_eq!(stale, second, "another task has read the counters later");
}
