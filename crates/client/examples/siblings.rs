//! Two writers that do not know of each other, and a reader who merges what they wrote.
//!
//! `cargo run -p atoll-client --example siblings [PROFILE]`

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use atoll_client::{Client, ProfileFile, Role, Value, Versions, find_profile};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let named = std::env::args_os().nth(1).map(PathBuf::from);
    let file = ProfileFile::load(&find_profile(named.as_deref())?)?;
    let client = Client::from_profile(&file, Role::Client)?.connect().await?;
    let carts = client.keyspace("default");
    carts.delete("cart:7").await?;

    // Neither has seen the other, so neither may overwrite the other.
    carts.put("cart:7", "coral,shell").blind().await?;
    carts.put("cart:7", "pearl,shell").blind().await?;

    let found = carts.get("cart:7").await?;
    match &found {
        Versions::None { .. } => println!("the cart is empty"),
        Versions::One { value, .. } => println!("one cart: {}", items(value)),
        Versions::Many { values, .. } => {
            for value in values {
                println!("sibling {}: {}", value.dot(), items(value));
            }
            let lists: Vec<String> = values.iter().map(items).collect();
            let union: BTreeSet<&str> = lists.iter().flat_map(|list| list.split(',')).collect();
            let merged = union.into_iter().collect::<Vec<_>>().join(",");
            let written = carts.put("cart:7", merged).resolves(&found).await?;
            println!("merged, {} version(s) now", written.siblings());
        }
    }
    carts.delete("cart:7").await?;
    client.close().await;
    Ok(())
}

fn items(value: &Value) -> String {
    String::from_utf8_lossy(value.bytes()).into_owned()
}
