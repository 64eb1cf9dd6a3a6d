//! Connect, write, read, delete.
//!
//! ```text
//! atoll dev                                                   # in one terminal
//! cargo run -p atoll-client --example quickstart              # in another, same directory
//! cargo run -p atoll-client --example quickstart -- client.toml
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;

use atoll_client::{Client, ProfileFile, Role, find_profile};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let named = std::env::args_os().nth(1).map(PathBuf::from);
    let file = ProfileFile::load(&find_profile(named.as_deref())?)?;
    let client = Client::from_profile(&file, Role::Client)?.connect().await?;
    println!("connected to `{}`; LOCAL means `{}`", file.cluster, client.dc());

    let notes = client.keyspace("default");
    let found = notes.get("hello").await?;
    println!("before: {} value(s)", found.values().len());

    let written = notes.put("hello", "world").resolves(&found).await?;
    println!("written to {} replicas, context {}", written.acked(), written.context());

    let found = notes.get("hello").await?;
    println!("after: {:?}", found.bytes());

    notes.delete("hello").after(found.context()).await?;
    client.close().await;
    Ok(())
}
