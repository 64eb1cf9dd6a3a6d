//! The scrub and offline verification find every flipped byte, missing file and refused read, and change nothing.

use std::ops::ControlFlow;

use atoll_storage::{
    Damage, Disk, Engine, Error, InspectError, Item, ScrubPosition, StoreReport, dump_file,
    verify_store,
};

use crate::harness::{content, get, merge, open, open_with, put, settle, tiny};
use crate::mem_disk::{Call, Loss, MemDisk};

/// Distance of flipped bytes: an odd number, so that every field of every format is hit in some file.
const STRIDE: usize = 37;

/// A store with tables in several levels, segments that became value files, relocated values, and a log with records.
fn stored() -> MemDisk {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for round in 0..4 {
        for index in 0..120 {
            let key = format!("key{:03}", index * 7 % 120);
            put(
                &engine,
                &key,
                &format!("value {round} of {index}, long enough to stay in the log"),
            )
            .unwrap();
            merge(&engine, &format!("sum{:02}", index % 20), "+1").unwrap();
        }
        settle(&engine);
    }
    for index in 0..5 {
        put(&engine, &format!("late{index}"), "in the log only").unwrap();
    }
    drop(engine);
    disk
}

/// The files that tables point into.
fn value_files(disk: &MemDisk) -> Vec<String> {
    let mut all = Vec::new();
    for table in disk.named(".sst") {
        let mut sink = |item: Item| {
            let file =
                item.fields.iter().find(|(name, _)| item.part == "reference" && *name == "file");
            if let Some((_, atoll_storage::Field::Text(name))) = file {
                all.push(name.clone());
            }
            ControlFlow::Continue(())
        };
        dump_file(disk, &table, &mut sink).unwrap();
    }
    all.sort();
    all.dedup();
    all
}

fn verify(disk: &MemDisk) -> StoreReport {
    let mut told = Vec::new();
    let report = verify_store(disk, &mut |damage| told.push(damage.clone())).unwrap();
    assert_eq!(told, report.damages, "damage is told when it is found, and again in the report");
    report
}

fn scrub(engine: &Engine) -> (Vec<String>, Vec<Damage>) {
    let (mut files, mut damages, mut next) =
        (Vec::new(), Vec::new(), Some(ScrubPosition::default()));
    while let Some(from) = next {
        let mut read = 0;
        let step = engine.scrub(from, &mut |bytes| read += bytes).unwrap();
        if step.damages.is_empty() {
            // All but the footer of a table.
            assert!(read <= step.bytes && read + 96 >= step.bytes, "{read} of {}", step.bytes);
        }
        assert!(step.next.is_none_or(|next| next > from), "a cycle ends");
        files.extend(step.file);
        damages.extend(step.damages);
        next = step.next;
    }
    (files, damages)
}

#[test]
fn a_sound_store_has_nothing_to_report_and_stays_as_it_is() {
    let disk = stored();
    let before: Vec<_> = disk.names().iter().map(|name| (name.clone(), disk.bytes(name))).collect();
    let report = verify(&disk);
    assert_eq!((&report.damages, &report.notes), (&Vec::new(), &Vec::new()));
    assert!(report.tables.files > 2 && report.tables.entries > 100, "{report:?}");
    assert!(report.value_files.files > 2 && report.value_files.entries > 100, "{report:?}");
    assert!(report.log.files >= 1 && report.log.entries >= 5, "{report:?}");
    assert_eq!(report.manifest.files, 2);
    let values = value_files(&disk);
    assert!(values.iter().any(|name| name.ends_with(".wal")), "the log holds values");
    assert!(values.iter().any(|name| name.ends_with(".vlog")), "values were relocated or joined");
    let after: Vec<_> = disk.names().iter().map(|name| (name.clone(), disk.bytes(name))).collect();
    assert_eq!(before, after);
}

#[test]
fn a_cycle_of_the_scrub_visits_every_live_file_once() {
    let disk = stored();
    let engine = open(&disk);
    let mut live = [disk.named(".sst"), value_files(&disk)].concat();
    live.sort();
    let before = engine.statistics().cache;
    let (files, damages) = scrub(&engine);
    assert_eq!((files, damages), (live, Vec::new()));
    assert_eq!(engine.statistics().cache, before, "past the cache");
    let empty = open(&MemDisk::default());
    let step = empty.scrub(ScrubPosition::default(), &mut |_| {}).unwrap();
    assert_eq!((step.file, step.next), (None, None));
}

#[test]
fn the_scrub_finds_every_flip_in_live_files() {
    let disk = stored();
    let engine = open(&disk);
    for name in [disk.named(".sst"), value_files(&disk)].concat() {
        let id: u64 = name.split('.').next().unwrap().parse().unwrap();
        for position in (0..disk.bytes(&name).len()).step_by(STRIDE) {
            disk.flip(&name, position);
            let step = engine.scrub(ScrubPosition(id), &mut |_| {}).unwrap();
            assert_eq!(step.file.as_deref(), Some(name.as_str()));
            assert!(!step.damages.is_empty(), "a flip at {position} of {name} went unnoticed");
            assert!(step.damages.iter().all(|damage| damage.file == name), "{:?}", step.damages);
            disk.flip(&name, position);
        }
    }
    assert_eq!(scrub(&engine).1, Vec::new());
    put(&engine, "still", "serving").unwrap();
    assert_eq!(get(&engine, "still").as_deref(), Some("serving"), "a scrub poisons nothing");
}

#[test]
fn verification_finds_every_flip_in_every_file() {
    let disk = stored();
    for name in disk.names() {
        let size = disk.bytes(&name).len();
        for position in (0..size).step_by(STRIDE).chain(size.checked_sub(1)) {
            disk.flip(&name, position);
            let report = verify(&disk);
            disk.flip(&name, position);
            if report.damages.iter().any(|damage| damage.file == name) {
                continue;
            }
            // What nothing later vouches for cannot be told from the torn tail of a crash.
            let torn = |note: &atoll_storage::Note| note.file == name && note.what.contains("torn");
            assert!(report.notes.iter().any(torn), "{position} of {name}: {report:?}");
            assert!(name.ends_with(".wal") || name.ends_with(".manifest"), "{position} of {name}");
        }
    }
    assert_eq!(verify(&disk).damages, Vec::new());
    assert!(content(&open(&disk).snapshot(), 50).len() > 140);
}

#[test]
fn every_missing_file_is_missed() {
    let disk = stored();
    for name in disk.names() {
        let image = disk.crash(Loss::Nothing);
        image.remove(&name).unwrap();
        let report = verify(&image);
        let named = |damage: &Damage| damage.file == name;
        assert!(report.damages.iter().any(named), "without {name}: {report:?}");
        assert!(!image.names().contains(&name), "and not made again");
    }
}

#[test]
fn a_file_that_lost_its_name_or_its_end_is_found_by_the_scrub() {
    let disk = stored();
    let engine = open(&disk);
    let (table, values) = (disk.named(".sst").remove(0), value_files(&disk).remove(0));
    disk.remove(&table).unwrap();
    let bytes = disk.bytes(&values);
    disk.cut(&values, bytes.len() - 1);
    let damages = scrub(&engine).1;
    let what = |name: &str| damages.iter().find(|damage| damage.file == name).unwrap().what.clone();
    assert!(what(&table).contains("no longer in the directory"));
    assert!(what(&values).contains("length changed"));
}

#[test]
fn a_disk_that_refuses_to_read_is_damage_and_no_error() {
    let disk = stored();
    let engine = open(&disk);
    let all = [disk.named(".sst"), value_files(&disk)].concat();
    for after in [0, 1, 5] {
        disk.fail(Call::Read, "", after);
        let (files, damages) = scrub(&engine);
        disk.heal();
        assert_eq!(files.len(), all.len());
        assert!(damages.len() + 1 >= all.len(), "{damages:?}");
        assert!(
            damages.iter().all(|damage| damage.what.contains("refuses to read")),
            "{damages:?}"
        );
    }
    drop(engine);
    disk.fail(Call::Read, ".vlog", 0);
    let report = verify(&disk);
    disk.heal();
    let count = value_files(&disk).iter().filter(|name| name.ends_with(".vlog")).count();
    assert_eq!(report.damages.len(), count, "{report:?}");
}

#[test]
fn what_is_left_over_is_noted() {
    let disk = stored();
    let names = ["900000.sst", "900001.wal.tmp", "000000.manifest", "foreign.txt", "900002.vlog"];
    for name in names {
        disk.put(name, vec![1; 10]);
    }
    let report = verify(&disk);
    assert_eq!(report.damages, Vec::new());
    let noted: Vec<_> = report.notes.iter().map(|note| note.file.as_str()).collect();
    for name in names {
        assert!(noted.contains(&name), "{noted:?}");
    }
    assert_eq!(noted.len(), names.len());
}

#[test]
fn swapped_value_files_are_damaged() {
    let disk = stored();
    let values = value_files(&disk);
    let (left, right) = (disk.bytes(&values[0]), disk.bytes(&values[1]));
    disk.put(&values[0], right);
    disk.put(&values[1], left);
    let report = verify(&disk);
    for name in &values[..2] {
        assert!(report.damages.iter().any(|damage| damage.file == *name), "{report:?}");
    }
}

#[test]
fn without_its_manifest_a_store_is_read_as_far_as_it_goes() {
    let disk = stored();
    disk.flip("CURRENT", 15);
    let report = verify(&disk);
    assert_eq!(report.damages.len(), 1, "the youngest manifest is taken: {report:?}");
    assert!(report.tables.files > 2);
    let manifest = disk.named(".manifest").remove(0);
    disk.flip(&manifest, 30);
    let report = verify(&disk);
    assert_eq!((report.damages.len(), report.tables.files), (2, 0), "{report:?}");
    assert!(report.notes.iter().any(|note| note.what == "not checked"));
}

#[test]
fn an_open_store_and_other_directories_are_refused() {
    let disk = stored();
    disk.put("LOCK", Vec::new());
    let engine = open(&disk);
    let refused = verify_store(&disk, &mut |_| {});
    assert!(matches!(refused, Err(InspectError::Storage(Error::Locked { .. }))));
    drop(engine);
    verify(&disk);
    drop(open_with(&disk, tiny()).unwrap());
    for (name, found) in [(None, "no files"), (Some("picture.jpg"), "other files")] {
        let disk = MemDisk::default();
        name.iter().for_each(|name| disk.put(name, vec![1; 100]));
        let refused = verify_store(&disk, &mut |_| {}).unwrap_err();
        assert!(refused.to_string().contains(found), "{refused}");
        assert!(disk.named("LOCK").is_empty());
    }
}

#[test]
fn a_dump_goes_on_behind_what_is_damaged() {
    let disk = stored();
    let shown = |name: &str| {
        let mut items = Vec::new();
        let mut sink = |item: Item| {
            items.push(item);
            ControlFlow::Continue(())
        };
        dump_file(&disk, name, &mut sink).unwrap();
        items
    };
    let values = value_files(&disk).remove(0);
    // One with several blocks.
    let table = disk.named(".sst").into_iter().max_by_key(|name| disk.bytes(name).len()).unwrap();
    for name in [table, values, disk.named(".manifest").remove(0)] {
        let sound = shown(&name);
        assert!(sound.iter().all(|item| item.part != "damaged"), "{name}: {sound:?}");
        // Behind the header, in the first record or block.
        disk.flip(&name, 60);
        let damaged = shown(&name);
        disk.flip(&name, 60);
        assert_eq!(damaged.iter().filter(|item| item.part == "damaged").count(), 1, "{name}");
        assert_eq!(sound.last(), damaged.last(), "{name}");
    }
}

#[test]
fn a_dump_stops_when_there_is_enough() {
    let disk = stored();
    for name in disk.names() {
        let mut count = 0;
        let mut sink = |_| {
            count += 1;
            ControlFlow::Break(())
        };
        dump_file(&disk, &name, &mut sink).unwrap();
        assert_eq!(count, 1, "{name}");
    }
    disk.put("LOCK", Vec::new());
    assert!(matches!(
        dump_file(&disk, "LOCK", &mut |_| ControlFlow::Continue(())),
        Err(InspectError::UnknownFile { .. })
    ));
}
