//! Step: two writers on two continents, neither of whom loses.
//!
//! 1. A value is written and its context handed to two writers in different datacenters.
//! 2. Both put at the same time, each at `LOCAL_QUORUM`: nobody asks the other continent.
//! 3. A get sees both values: siblings. Promise P2: a write disappears only if a later one carried it in its context.
//! 4. An update reads both, merges them and writes the result with their joined context; every datacenter then sees
//!    one value.

use std::time::Duration;

use atoll_client::{Error, Level, Value, Versions};
use bytes::Bytes;

use super::DemoError;
use super::site::{LOST, Site};
use super::stage::Stage;

/// The contended key.
const KEY: &str = "demo/cart";

/// Longest wait until both writes are seen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Lets two writers collide, and resolves it.
pub(super) async fn collide(stage: &mut Stage<'_>, site: &Site<'_>) -> Result<(), DemoError> {
    let home = site.home();
    let away = site.dcs().find(|dc| dc.as_str() == LOST).unwrap_or(home);
    stage.begin(&format!("Write one key in {home} and {away} at once"))?;
    let (here, there) = (site.keyspace(home), site.keyspace(away));
    let failed = |stage: &Stage<'_>, error: Error| stage.failure(error.to_string());
    let base = here.put(KEY, "milk").level(Level::EachQuorum).await;
    let base = base.map_err(|error| failed(stage, error))?;
    let near = here.put(KEY, "milk, bread").after(base.context());
    let far = there.put(KEY, "milk, honey").after(base.context());
    let (near, far) = tokio::join!(near.level(Level::LocalQuorum), far.level(Level::LocalQuorum));
    near.and(far).map_err(|error| failed(stage, error))?;
    let both = see_both(site).await.map_err(|what| stage.failure(what))?;
    stage.say(&format!("siblings: {}", shown(&both)))?;
    let updated = here.update(KEY, |values| Bytes::from(merge(values)));
    let updated = updated.level(Level::Quorum).await;
    updated.map_err(|error| failed(stage, error))?;
    for dc in site.dcs() {
        let found = site.keyspace(dc).get(KEY).level(Level::Quorum).await;
        let found = found.map_err(|error| failed(stage, error))?;
        if found.bytes() != Some(&Bytes::from_static(b"milk, bread, honey")) {
            let what = format!("{dc} must see the merged value alone, and sees {}", shown(&found));
            return Err(stage.failure(what));
        }
    }
    stage.say("merged:   milk, bread, honey")?;
    stage.done("both writes survived, and one merge resolved them everywhere".to_owned())?;
    Ok(())
}

/// Looks at home until both writes are there.
async fn see_both(site: &Site<'_>) -> Result<Versions, String> {
    let keyspace = site.keyspace(site.home());
    let deadline = site.env.mono().after(PATIENCE);
    loop {
        let found = keyspace.get(KEY).level(Level::Quorum).await;
        let found = found.map_err(|error| error.to_string())?;
        let mut values: Vec<&[u8]> =
            found.values().iter().map(|value| &value.bytes()[..]).collect();
        values.sort_unstable();
        if values == [&b"milk, bread"[..], b"milk, honey"] {
            return Ok(found);
        }
        if site.env.mono() >= deadline {
            return Err(format!("both writes must survive, and a get finds {}", shown(&found)));
        }
        site.env.sleep(PAUSE).await;
    }
}

/// The union of several lists, in the order of first appearance by text.
pub(super) fn merge(values: &[Value]) -> String {
    union(values.iter().map(|value| String::from_utf8_lossy(value.bytes())))
}

/// Joins lists of items separated by commas: `milk` first, then whatever others have.
pub(super) fn union<S: AsRef<str>>(lists: impl Iterator<Item = S>) -> String {
    let mut lists: Vec<S> = lists.collect();
    // The order of siblings means nothing; a result that depends on it would differ between two mergers.
    lists.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
    let mut items: Vec<&str> = Vec::new();
    for item in lists.iter().flat_map(|list| list.as_ref().split(", ")) {
        if !items.contains(&item) {
            items.push(item);
        }
    }
    items.join(", ")
}

fn shown(found: &Versions) -> String {
    let values = found.values().iter().map(|value| {
        let text = String::from_utf8_lossy(value.bytes());
        format!("\"{text}\"")
    });
    let values: Vec<String> = values.collect();
    if values.is_empty() { "nothing".to_owned() } else { values.join(" and ") }
}
