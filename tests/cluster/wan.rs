//! Three datacenters with an emulated ocean between them: what stays local does not notice it, not even its loss.
//!
//! The only tests that assert on time, because that is the promise: a local level is compared with a round trip of
//! 80 ms that is spent on purpose. Medians only; the 99th percentile is printed, since a busy machine has a say in it.

use std::time::Duration;

use atoll_client::{Client, Keyspace, Level, Versions};
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::harness::{DevCluster, Seats, percentiles, until};

/// Round trip between any two datacenters.
const RTT: Duration = Duration::from_millis(80);

/// What "without waiting for an ocean" means: a quarter of a round trip.
const LOCAL_MAX: Duration = Duration::from_millis(20);

/// Time that a request may take: what fails for lack of it is a failure of the test.
const DEADLINE: Duration = Duration::from_secs(20);

const DCS: [&str; 3] = ["ap", "eu", "us"];

const TOPOLOGY: &str = r#"
cluster = "reef"
partitions = 16
dc = [{ name = "ap" }, { name = "eu" }, { name = "us" }]
node = [
    { id = "ap-1", dc = "ap", rack = "a" }, { id = "ap-2", dc = "ap", rack = "b" },
    { id = "eu-1", dc = "eu", rack = "a" }, { id = "eu-2", dc = "eu", rack = "b" },
    { id = "us-1", dc = "us", rack = "a" }, { id = "us-2", dc = "us", rack = "b" },
]
link = [
    { between = ["ap", "eu"], rtt = "80ms" },
    { between = ["eu", "us"], rtt = "80ms" },
    { between = ["us", "ap"], rtt = "80ms" },
]
"#;

/// A cluster with a client in each datacenter.
struct Ocean {
    clients: Vec<(&'static str, Client)>,
    cluster: DevCluster,
}

impl Ocean {
    async fn start() -> Self {
        let cluster = DevCluster::start(Seats::all().await, TOPOLOGY, &["--wan"]).await;
        let mut clients = Vec::new();
        for dc in DCS {
            let client = cluster.client(dc).await;
            // The first request of a client dials; that is not what is measured.
            let put = client.keyspace("default").put("warm", dc).level(Level::LocalOne);
            put.deadline(DEADLINE).await.unwrap();
            clients.push((dc, client));
        }
        Self { clients, cluster }
    }

    fn keyspace(&self, dc: &str) -> Keyspace {
        let (_, client) = self.clients.iter().find(|(name, _)| *name == dc).unwrap();
        client.keyspace("default")
    }

    async fn fault(&self, words: &[&str]) {
        self.cluster.cli().ok(&[&["fault"], words].concat()).await;
    }

    /// Nothing passes between any two datacenters.
    async fn part(&self) {
        for (one, other) in [("eu", "us"), ("eu", "ap"), ("us", "ap")] {
            self.fault(&["partition", one, other]).await;
        }
    }

    /// Puts `count` keys and returns the median and the 99th percentile.
    async fn time_puts(
        &self,
        dc: &str,
        level: Level,
        label: &str,
        count: usize,
    ) -> (Duration, Duration) {
        let (keyspace, mut spans) = (self.keyspace(dc), Vec::new());
        for number in 0..count {
            let begin = Instant::now();
            let put = keyspace.put(format!("{label}-{dc}-{number}"), label.to_owned());
            put.level(level).deadline(DEADLINE).await.unwrap();
            spans.push(begin.elapsed());
        }
        say(&format!("put {level} in {dc} ({label})"), &mut spans)
    }

    /// Gets what `time_puts` has put.
    async fn time_gets(
        &self,
        dc: &str,
        level: Level,
        label: &str,
        count: usize,
    ) -> (Duration, Duration) {
        let (keyspace, mut spans) = (self.keyspace(dc), Vec::new());
        for number in 0..count {
            let begin = Instant::now();
            let get = keyspace.get(format!("{label}-{dc}-{number}"));
            let found = get.level(level).deadline(DEADLINE).await.unwrap();
            spans.push(begin.elapsed());
            assert_eq!(found.bytes().unwrap(), label.as_bytes());
        }
        say(&format!("get {level} in {dc} ({label})"), &mut spans)
    }
}

fn say(what: &str, spans: &mut [Duration]) -> (Duration, Duration) {
    let (median, p99) = percentiles(spans);
    eprintln!("{what}: p50 {median:.1?}, p99 {p99:.1?} of {}", spans.len());
    (median, p99)
}

#[tokio::test(flavor = "multi_thread")]
async fn local_levels_stay_local_and_the_others_pay_the_round_trip() {
    let ocean = Ocean::start().await;
    for dc in DCS {
        let (median, _) = ocean.time_puts(dc, Level::LocalQuorum, "near", 60).await;
        assert!(median < LOCAL_MAX, "a local put in {dc} takes {median:?}");
        let (median, _) = ocean.time_gets(dc, Level::LocalQuorum, "near", 60).await;
        assert!(median < LOCAL_MAX, "a local get in {dc} takes {median:?}");
    }
    for level in [Level::EachQuorum, Level::All, Level::LocalQuorumPlus(2)] {
        let label = level.to_string();
        let (median, _) = ocean.time_puts("eu", level, &label, 8).await;
        assert!(median >= RTT, "a put at {level} cannot be done in {median:?}");
        let (median, _) = ocean.time_gets("eu", level, &label, 8).await;
        assert!(median >= RTT, "a get at {level} cannot be done in {median:?}");
    }
    ocean.cluster.stop().await;
}

/// Keys that each datacenter writes while it is alone.
const ALONE: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn each_datacenter_goes_on_alone_and_all_agree_afterwards() {
    let ocean = Ocean::start().await;
    ocean.part().await;
    // At once: nobody has noticed anything yet.
    for dc in DCS {
        let (median, _) = ocean.time_puts(dc, Level::LocalQuorum, "alone", ALONE).await;
        assert!(median < LOCAL_MAX, "a local put in {dc} waits for the ocean: {median:?}");
        let (median, _) = ocean.time_gets(dc, Level::LocalQuorum, "alone", ALONE).await;
        assert!(median < LOCAL_MAX, "a local get in {dc} waits for the ocean: {median:?}");
    }
    assert_far_levels_fail_honestly(&ocean).await;
    // And again, when everybody knows.
    for dc in DCS {
        let (median, _) = ocean.time_puts(dc, Level::LocalQuorum, "known", ALONE).await;
        assert!(median < LOCAL_MAX, "a local put in {dc} waits for the ocean: {median:?}");
    }

    ocean.fault(&["heal"]).await;
    assert_all_levels_work(&ocean).await;
    let written = DCS.into_iter().flat_map(|dc| {
        let labels = ["alone", "known"].into_iter();
        labels.flat_map(move |label| (0..ALONE).map(move |number| (label, dc, number)))
    });
    let converging = futures_util::stream::iter(written).map(|(label, dc, number)| {
        assert_converges(&ocean, format!("{label}-{dc}-{number}"), label)
    });
    converging.buffer_unordered(12).count().await;
    let explained = ocean.cluster.cli().ok(&["explain", "alone-us-0", "-o", "json"]).await.json();
    assert_eq!(explained["replicas"].as_array().unwrap().len(), 6, "{explained}");
    ocean.cluster.stop().await;
}

/// What needs another datacenter says that it failed, and whether it may have been applied.
async fn assert_far_levels_fail_honestly(ocean: &Ocean) {
    let cli = ocean.cluster.cli();
    for level in ["EACH_QUORUM", "QUORUM", "ALL", "LOCAL_QUORUM+1"] {
        let put = cli.run(&["put", "far", "v", "--level", level, "--deadline", "1s"]).await;
        match put.code {
            Some(4) => put.expect_words(&["not enough live replicas", "nothing was written"]),
            Some(5) => put.expect_words(&["may have been applied"]),
            _ => panic!("unavailable or unknown is expected: {put}"),
        };
        let get = cli.run(&["get", "far", "--level", level, "--deadline", "1s"]).await;
        assert!(matches!(get.code, Some(4 | 5)), "{get}");
    }
    // Once the silence has been noticed, nothing is tried any more.
    for dc in DCS {
        until("the partition is known", async || {
            let words =
                ["put", "far", "v", "--level", "EACH_QUORUM", "--dc", dc, "--deadline", "1s"];
            let put = cli.run(&words).await;
            if put.code == Some(4) { Ok(()) } else { Err(put.to_string()) }
        })
        .await;
    }
}

async fn assert_all_levels_work(ocean: &Ocean) {
    ocean.cluster.connected().await;
    for dc in DCS {
        let keyspace = ocean.keyspace(dc);
        for level in Level::NAMED.into_iter().chain([Level::LocalQuorumPlus(2)]) {
            let key = format!("{level}-{dc}");
            keyspace.put(&key, "v").level(level).deadline(DEADLINE).await.unwrap();
            keyspace.get(&key).level(level).deadline(DEADLINE).await.unwrap();
        }
    }
}

/// A read at every replica sees a write of any datacenter, and repairs the others: then a QUORUM has it everywhere.
async fn assert_converges(ocean: &Ocean, key: String, value: &str) {
    let read = async |dc: &str, level: Level| {
        let found = ocean.keyspace(dc).get(&key).level(level).deadline(DEADLINE).await;
        match found {
            Ok(Versions::One { value: found, .. }) if found.bytes() == value.as_bytes() => Ok(()),
            other => Err(format!("{key} at {level} in {dc}: {other:?}")),
        }
    };
    read("eu", Level::All).await.unwrap();
    for dc in DCS {
        until("a quorum has it", async || read(dc, Level::Quorum).await).await;
    }
}
