//! Read, merge, write in one call, by several tasks at once, without losing anybody's entry.
//!
//! `cargo run -p atoll-client --example update [PROFILE]`

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use atoll_client::{Client, ErrorKind, Keyspace, ProfileFile, Role, Value, find_profile};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let named = std::env::args_os().nth(1).map(PathBuf::from);
    let file = ProfileFile::load(&find_profile(named.as_deref())?)?;
    let client = Client::from_profile(&file, Role::Client)?.connect().await?;
    let guests = client.keyspace("default");
    guests.delete("guests").await?;

    let (a, b, c) = tokio::join!(add(&guests, "Ada"), add(&guests, "Bo"), add(&guests, "Cy"));
    println!("rounds: {}, {}, {}", a?, b?, c?);

    let found = guests.get("guests").await?;
    println!("guests: {:?}", names(found.values()));
    guests.delete("guests").await?;
    client.close().await;
    Ok(())
}

/// Adds a guest and returns how many rounds of merging it took.
async fn add(guests: &Keyspace, name: &'static str) -> Result<u32, atoll_client::Error> {
    let insert = move |values: &[Value]| {
        let mut all = names(values);
        all.insert(name.to_owned());
        all.into_iter().collect::<Vec<_>>().join("\n")
    };
    let updated = guests.update("guests", insert).deadline(Duration::from_secs(5)).await;
    match updated {
        Ok(updated) => Ok(updated.rounds()),
        // Written in every round, and overtaken in every round: the siblings wait for the next reader.
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(u32::MAX),
        Err(error) => Err(error),
    }
}

fn names(values: &[Value]) -> BTreeSet<String> {
    let lists = values.iter().map(|value| String::from_utf8_lossy(value.bytes()).into_owned());
    lists.flat_map(|list| list.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}
