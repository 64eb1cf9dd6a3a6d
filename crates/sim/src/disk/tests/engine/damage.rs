//! Flipped bits and misdirected writes: the engine notices, or what it shows was true once.
//!
//! A flipped bit in the last record of the log looks like the torn tail of a crash, so that a store may open without
//! its last batches; what it must never do is show a content that never was.

use atoll_storage::{Batch, Budget, Durability, Engine, Error, ScanLimit};

use super::{Content, MIB, open};
use crate::disk::{Loss, SimDisk};
use crate::prng::Prng;

const SEEDS: u64 = 200;
const BATCHES: u64 = 40;

#[test]
fn damage_is_noticed_or_harmless() {
    let (mut noticed, mut harmless, mut older) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut prng = Prng::stream(seed, "damage");
        let disk = SimDisk::new(Prng::stream(seed, "disk"), 4 * MIB);
        let mut states = vec![Content::new()];
        let engine = open(&disk, Durability::Fsync).unwrap();
        let misdirected = seed.is_multiple_of(2).then(|| prng.below(BATCHES));
        for batch in 0..BATCHES {
            if misdirected == Some(batch) {
                disk.misdirect_next_write();
            }
            match write(&engine, &mut prng, batch, &mut states) {
                Ok(()) => {}
                Err(Error::Corrupt { .. }) => break,
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        drop(engine);
        let disk = disk.crash(Loss::PowerLost);
        let bits = if misdirected.is_none() { *prng.pick(&[1, 2, 3]).unwrap() } else { 0 };
        let flipped = disk.rot(bits);
        match look(&disk) {
            Ok(content) if Some(&content) == states.last() => harmless += 1,
            Ok(content) => {
                let was = states.contains(&content);
                assert!(
                    was,
                    "seed {seed}: {flipped:?} {misdirected:?} gave a content that never was"
                );
                older += 1;
            }
            Err(Error::Corrupt { .. }) => noticed += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(noticed > SEEDS / 2, "noticed {noticed}, harmless {harmless}, older {older}");
}

fn write(
    engine: &Engine,
    prng: &mut Prng,
    mark: u64,
    states: &mut Vec<Content>,
) -> Result<(), Error> {
    let key = format!("key{}", prng.below(6)).into_bytes();
    let value = format!("{mark}.").into_bytes().repeat(prng.index(60) + 1);
    let mut content = states.last().unwrap().clone();
    let mut batch = Batch::new();
    if prng.per_mille(500) {
        batch.put(&key, &value);
        content.insert(key, value);
    } else {
        batch.merge(&key, &value);
        content.entry(key).or_default().extend(value);
    }
    states.push(content);
    engine.write(batch)?;
    if prng.per_mille(300) {
        engine.maintain(Budget { bytes: 1 })?;
    }
    Ok(())
}

fn look(disk: &SimDisk) -> Result<Content, Error> {
    let engine = open(disk, Durability::Fsync)?;
    let limit = ScanLimit { entries_max: 100, bytes_max: 1 << 20 };
    let page = engine.scan(&b""[..]..b"~", limit)?;
    Ok(page.entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
}
