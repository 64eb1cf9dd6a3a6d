//! Sessions that move to another datacenter: they read their writes there, or are told that they cannot.

use crate::harness::{Cli, DevCluster, Outcome, Seats, until};

const TOPOLOGY: &str = r#"
cluster = "reef"
partitions = 16
dc = [{ name = "eu" }, { name = "us" }]
node = [
    { id = "eu-1", dc = "eu", rack = "a" }, { id = "eu-2", dc = "eu", rack = "b" },
    { id = "us-1", dc = "us", rack = "a" }, { id = "us-2", dc = "us", rack = "b" },
]
"#;

/// What a session is told that cannot be served: never a word of what was there before.
fn is_clean_refusal(outcome: &Outcome) -> bool {
    // 5 of a get is its deadline: the request was on its way when the datacenters parted.
    outcome.stdout.is_empty() && matches!(outcome.code, Some(4 | 5))
}

/// Two datacenters, and the command line in each of them.
struct Shores {
    cluster: DevCluster,
    cli: Cli,
    session: String,
}

impl Shores {
    async fn start() -> Self {
        let cluster = DevCluster::start(Seats::all().await, TOPOLOGY, &[]).await;
        let (cli, session) = (cluster.cli(), cluster.dir().join("session").display().to_string());
        Self { cluster, cli, session }
    }

    async fn run(&self, dc: &str, words: &[&str]) -> Outcome {
        self.cli.run(&[words, &["--dc", dc]].concat()).await
    }

    /// The same, within the session.
    async fn within(&self, dc: &str, words: &[&str]) -> Outcome {
        self.run(dc, &[words, &["--session", &self.session]].concat()).await
    }

    /// A session's write in `eu` that `us` does not get, over a value that both have.
    async fn part_with_a_write(&self) {
        let old = ["put", "k", "old", "--level", "ALL", "-o", "raw"];
        let context = self.run("eu", &old).await.expect_code(0).text().trim().to_owned();
        self.cli.ok(&["fault", "partition", "eu", "us"]).await;
        let new = ["put", "k", "new", "--context", &context, "--level", "LOCAL_QUORUM"];
        self.within("eu", &new).await.expect_code(0);
    }

    async fn heal(&self) {
        self.cli.ok(&["fault", "heal"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_its_write_in_another_datacenter_or_a_clean_error() {
    let shores = Shores::start().await;
    shores.part_with_a_write().await;
    // A local level stays at the nodes of its datacenter; at ONE the client may find one in the other.
    let get = ["get", "k", "--level", "LOCAL_ONE", "-o", "raw", "--deadline", "2s"];
    let anywhere = ["get", "k", "--level", "ONE", "-o", "raw", "--deadline", "2s"];
    assert_eq!(shores.run("us", &get).await.expect_code(0).stdout, b"old", "without a session");
    let found = shores.within("us", &anywhere).await;
    assert!(found.stdout == b"new" || is_clean_refusal(&found), "{found}");
    let told = until("the session is told that it is ahead", async || {
        let outcome = shores.within("us", &get).await;
        assert!(is_clean_refusal(&outcome), "{outcome}");
        if outcome.code == Some(4) { Ok(outcome) } else { Err(outcome.to_string()) }
    });
    told.await.expect_words(&["the session has seen more"]);
    // The other way round nothing is missing.
    assert_eq!(shores.within("eu", &get).await.expect_code(0).stdout, b"new");

    shores.heal().await;
    until("the session reads its write", async || {
        let outcome = shores.within("us", &anywhere).await;
        assert!(outcome.stdout == b"new" || is_clean_refusal(&outcome), "{outcome}");
        if outcome.code == Some(0) { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;
    shores.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_write_below_what_it_has_seen() {
    let shores = Shores::start().await;
    shores.part_with_a_write().await;
    let put = ["put", "k", "later", "--level", "LOCAL_QUORUM", "--deadline", "2s"];
    let refused = shores.within("us", &put).await.expect_code(4);
    refused.expect_words(&["the session has seen more", "nothing was written"]);

    shores.heal().await;
    until("the write finds what the session has seen", async || {
        let outcome = shores.within("us", &put).await;
        if outcome.code == Some(0) { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;
    // It was blind: it stands beside what its session saw, and superseded nothing.
    let get = ["get", "k", "--level", "ONE", "-o", "json"];
    let found = shores.within("us", &get).await.expect_code(0).json();
    let values = found["values"].as_array().unwrap().iter();
    let mut values: Vec<_> = values.map(|value| value["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values, ["later", "new"]);
    shores.cluster.stop().await;
}

/// The file is the session: without it the same commands promise nothing, and a damaged one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_the_session() {
    let shores = Shores::start().await;
    shores.within("eu", &["put", "k", "v"]).await.expect_code(0);
    let token = std::fs::read_to_string(&shores.session).unwrap();
    shores.within("us", &["delete", "k", "--level", "ONE"]).await.expect_code(0);
    assert_ne!(std::fs::read_to_string(&shores.session).unwrap(), token, "it goes on");
    shores.within("eu", &["get", "k", "--level", "ONE"]).await.expect_code(3);
    std::fs::write(&shores.session, &token[1..]).unwrap();
    let refused = shores.within("eu", &["get", "k"]).await.expect_code(2);
    refused.expect_words(&["holds no session", "nothing was sent"]);
    shores.cluster.stop().await;
}
