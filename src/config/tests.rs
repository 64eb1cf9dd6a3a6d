use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_storage::{Durability as StorageDurability, Options};

use super::*;

fn raw(storage: RawStorage) -> RawConfig {
    RawConfig {
        node: RawNode {
            id: "eu-1".to_owned(),
            dc: "eu".to_owned(),
            rack: "a".to_owned(),
            data_dir: PathBuf::from("data"),
            topology: PathBuf::from("topology.toml"),
        },
        listen: RawListen { quic: "127.0.0.1:7400".to_owned() },
        tls: RawTls {
            ca: PathBuf::from("ca.crt"),
            certificate: PathBuf::from("eu-1.crt"),
            key: PathBuf::from("eu-1.key"),
        },
        storage,
        handoff: RawHandoff::default(),
        repair: RawRepair::default(),
    }
}

fn check(storage: RawStorage) -> Result<StorageConfig, Vec<String>> {
    raw(storage).check(Path::new("base")).map(|config| config.storage)
}

fn parse(section: &str) -> RawStorage {
    toml::from_str(section).unwrap()
}

#[test]
fn an_empty_section_takes_the_defaults_of_the_engine() {
    let config = check(RawStorage::default()).unwrap();
    assert_eq!(config, StorageConfig::default());
    assert_eq!(config.options(), Options::default());
    assert_eq!(config.compaction_bytes_per_second_max, 256 << 20);
    assert_eq!(config.scrub_bytes_per_second_max, 8 << 20);
}

#[test]
fn replicas_of_the_same_keys_do_not_fill_their_memtables_at_once() {
    let size = |bytes: u64, node| {
        let config = StorageConfig { memtable_bytes_max: bytes, ..StorageConfig::default() };
        let options = config.options_of(NodeIndex(node));
        options.validate().unwrap();
        options.memtable_bytes_max
    };
    assert_eq!(
        [0, 1, 2, 3].map(|node| size(32 << 20, node)),
        [33_554_432, 28_370_048, 31_574_272, 26_389_888]
    );
    for node in 0..1_000 {
        let (this, next) = (size(1 << 20, node), size(1 << 20, node + 1));
        assert!(((3 << 18)..=(1 << 20)).contains(&this));
        assert!(this.abs_diff(next) > (1 << 20) / 16, "{node}: {this}, {next}");
        assert_eq!(size(64 << 10, node), 64 << 10, "none is smaller than what may be configured");
    }
}

#[test]
fn every_value_reaches_the_engine() {
    let config = check(parse(
        "durability = \"periodic\"\nsync_interval = \"1s\"\nmemtable_bytes_max = 1048576\ncache_bytes = 0\n\
         value_separation_bytes = 64\ncompaction_bytes_per_second_max = 0\n",
    ))
    .unwrap();
    assert_eq!(config.durability, Durability::Periodic(Duration::from_secs(1)));
    assert_eq!(config.compaction_bytes_per_second_max, 0);
    let options = config.options();
    options.validate().unwrap();
    assert_eq!(options.durability, StorageDurability::Periodic);
    assert_eq!((options.memtable_bytes_max, options.wal_segment_bytes_max), (1 << 20, 2 << 20));
    assert_eq!((options.cache_bytes, options.value_separation_bytes), (0, 64));
}

#[test]
fn what_is_shown_means_the_same() {
    for section in ["", "durability = \"periodic\"\nsync_interval = \"1m 30s\"\ncache_bytes = 7\n"]
    {
        let config = check(parse(section)).unwrap();
        let text = toml::to_string(&config.to_raw()).unwrap();
        assert_eq!(check(parse(&text)).as_ref(), Ok(&config), "{text}");
    }
}

#[test]
fn bounds_are_inside_and_problems_name_value_bound_and_fix() {
    let tib: u64 = 1 << 40;
    // Key, smallest and largest that are accepted, smallest and largest that are not.
    let rows: [(&str, [u64; 2], &[u64]); 5] = [
        ("memtable_bytes_max", [65_536, 1 << 30], &[0, 65_535, (1 << 30) + 1]),
        ("cache_bytes", [0, tib], &[tib + 1]),
        ("value_separation_bytes", [64, 1 << 30], &[0, 63, (1 << 30) + 1]),
        ("compaction_bytes_per_second_max", [1 << 20, tib], &[1, (1 << 20) - 1, tib + 1]),
        ("scrub_bytes_per_second_max", [64 << 10, tib], &[1, (64 << 10) - 1, tib + 1]),
    ];
    for (key, accepted, refused) in rows {
        let section = |value: u64| parse(&format!("{key} = {value}\n"));
        for value in accepted {
            assert_eq!(check(section(value)).map(|_| ()), Ok(()), "{key} = {value}");
        }
        let [min, max] = accepted;
        for &value in refused {
            let problems = check(section(value)).unwrap_err();
            let [problem] = &problems[..] else { panic!("{problems:?}") };
            let expected = format!("  storage.{key}: {value} is outside {min}..={max}; ");
            assert!(problem.starts_with(&expected), "{problem}");
            assert!(problem.ends_with("suits most nodes"), "{problem}");
        }
    }
}

#[test]
fn all_problems_of_a_section_are_reported_at_once() {
    let problems = check(RawStorage {
        durability: Some("mostly".to_owned()),
        sync_interval: Some("often".to_owned()),
        memtable_bytes_max: Some(1),
        cache_bytes: Some(u64::MAX),
        value_separation_bytes: Some(1),
        compaction_bytes_per_second_max: Some(1),
        scrub_bytes_per_second_max: Some(1),
    })
    .unwrap_err();
    assert_eq!(problems.len(), 7, "{problems:#?}");
}

#[test]
fn the_cycle_of_repair_is_a_span_within_bounds() {
    let check = |text: &str| {
        let repair: RawRepair = toml::from_str(text).unwrap();
        let raw = RawConfig { repair, ..raw(RawStorage::default()) };
        raw.check(Path::new("base")).map(|config| config.repair)
    };
    assert_eq!(check("").unwrap(), RepairConfig::default());
    for (text, seconds) in [("1s", 1), ("90m", 5_400), ("30days", 2_592_000)] {
        let config = check(&format!("cycle = \"{text}\"\n")).unwrap();
        assert_eq!(config.cycle, Duration::from_secs(seconds), "{text}");
        let shown = toml::to_string(&config.to_raw()).unwrap();
        assert_eq!(check(&shown), Ok(config), "{shown}");
    }
    for text in ["0s", "999ms", "31days", "soon", ""] {
        let problems = check(&format!("cycle = \"{text}\"\n")).unwrap_err();
        assert_eq!(problems.len(), 1);
        let problem = &problems[0];
        assert!(
            problem.contains("repair.cycle") && problem.contains(&format!("`{text}`")),
            "{problem}"
        );
        assert!(problem.contains("1s") && problem.contains("1h"), "{problem}");
    }
}

#[test]
fn hints_are_bounded_within_bounds() {
    let check = |text: &str| {
        let handoff: RawHandoff = toml::from_str(text).unwrap();
        let raw = RawConfig { handoff, ..raw(RawStorage::default()) };
        raw.check(Path::new("base")).map(|config| config.handoff)
    };
    let day = Duration::from_secs(86_400);
    let default = HandoffConfig { hint_bytes_max: 1 << 30, hint_age_max: day };
    assert_eq!(check("").unwrap(), default);
    let least = HandoffConfig { hint_bytes_max: 1 << 20, hint_age_max: Duration::from_secs(60) };
    let config = check("hint_bytes_max = 1048576\nhint_age_max = \"1m\"\n").unwrap();
    assert_eq!(config, least);
    assert_eq!(check(&toml::to_string(&config.to_raw()).unwrap()), Ok(config));
    for (text, named) in [
        ("hint_bytes_max = 1048575", ["handoff.hint_bytes_max: 1048575", "1048576..="]),
        ("hint_bytes_max = 1099511627777", ["handoff.hint_bytes_max", "1073741824 suits"]),
        ("hint_age_max = \"59s\"", ["handoff.hint_age_max: `59s`", "1m to 30days"]),
        ("hint_age_max = \"long\"", ["handoff.hint_age_max: `long`", "24h suits"]),
    ] {
        let problems = check(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}");
        assert!(named.iter().all(|words| problems[0].contains(words)), "{problems:?}");
    }
}
