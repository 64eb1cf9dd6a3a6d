//! The engine against a `BTreeMap`, under random operations, maintenance, crashes and reopening.

use atoll_storage::{Batch, Budget, Durability, Options, Snapshot};
use proptest::prelude::*;

use crate::harness::{Content, content, get, open_with, tiny};
use crate::mem_disk::{Loss, MemDisk};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Operation>),
    Maintain(u8),
    Snapshot,
    Close,
    Crash(Loss),
}

#[derive(Clone, Debug)]
enum Operation {
    Put(u8, u16),
    Merge(u8, u16),
    Delete(u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = 0..24u8;
    prop_oneof![
        3 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Operation::Put(key, value)),
        5 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Operation::Merge(key, value)),
        2 => key.prop_map(Operation::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let loss = prop_oneof![
        Just(Loss::Nothing),
        Just(Loss::Everything),
        (0..1_000u64).prop_map(Loss::TornTail),
        any::<u64>().prop_map(Loss::Sectors),
    ];
    prop_oneof![
        30 => prop::collection::vec(operation(), 1..8).prop_map(Step::Write),
        8 => (1..6u8).prop_map(Step::Maintain),
        2 => Just(Step::Snapshot),
        1 => Just(Step::Close),
        2 => loss.prop_map(Step::Crash),
    ]
}

fn apply(model: &mut Content, operations: &[Operation]) -> Batch {
    let mut batch = Batch::new();
    for operation in operations {
        match operation {
            Operation::Put(key, value) => {
                let (key, value) = (format!("k{key:02}"), format!("{value:05}-"));
                batch.put(key.as_bytes(), value.as_bytes());
                model.insert(key, value);
            }
            Operation::Merge(key, value) => {
                let (key, value) = (format!("k{key:02}"), format!("{value:05}+"));
                batch.merge(key.as_bytes(), value.as_bytes());
                model.entry(key).or_default().push_str(&value);
            }
            Operation::Delete(key) => {
                let key = format!("k{key:02}");
                batch.delete(key.as_bytes());
                model.remove(&key);
            }
        }
    }
    batch
}

fn run(steps: &[Step], options: &Options) {
    let mut disk = MemDisk::default();
    let mut engine = open_with(&disk, options.clone()).unwrap();
    let mut model = Content::new();
    let mut pinned: Option<(Snapshot, Content)> = None;
    for step in steps {
        match step {
            Step::Write(operations) => engine.write(apply(&mut model, operations)).unwrap(),
            Step::Maintain(units) => {
                for _ in 0..*units {
                    engine.maintain(Budget { bytes: 1 }).unwrap();
                }
            }
            Step::Snapshot => pinned = Some((engine.snapshot(), model.clone())),
            Step::Close => {
                engine.close().unwrap();
                drop(engine);
                engine = open_with(&disk, options.clone()).unwrap();
            }
            Step::Crash(loss) => {
                if options.durability == Durability::Periodic {
                    engine.sync().unwrap(); // the model knows no lost writes
                }
                disk = disk.crash(*loss);
                engine = open_with(&disk, options.clone()).unwrap();
            }
        }
        if let Some((snapshot, at_snapshot)) = &pinned {
            assert_eq!(&content(snapshot, 7), at_snapshot, "a snapshot changed");
        }
        for key in 0..24u8 {
            let key = format!("k{key:02}");
            assert_eq!(get(&engine, &key).as_ref(), model.get(&key), "{key}");
        }
    }
    assert_eq!(content(&engine.snapshot(), 5), model);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec(step(), 1..120)) {
        let small = Options { memtable_bytes_max: 900, table_bytes: 300, ..tiny() };
        run(&steps, &small);
    }

    #[test]
    fn behaves_like_a_map_with_periodic_durability(steps in prop::collection::vec(step(), 1..60)) {
        let options = Options {
            durability: Durability::Periodic,
            bloom_bits_per_key: 0,
            tables_l0_trigger: 1,
            tables_l0_max: 2,
            ..tiny()
        };
        run(&steps, &options);
    }
}
