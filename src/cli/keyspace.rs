//! `atoll keyspace create|list|show`.
//!
//! Creating needs the admin certificate of the profile; the node checks the definition against the topology and reports
//! every problem. A definition never changes once it stands.

use std::time::Duration;

use atoll_client::{
    Conflict, Error as ClientError, Invalid, KeyspaceDefinition, KeyspaceRequest, Role,
};
use atoll_protocol::ids::Name;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::common::{ConnectArgs, ReportArg, positive_span};
use super::context::connect;
use super::exit::Error;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat};

#[cfg(test)]
mod tests;

/// Create, list and show keyspaces
#[derive(Debug, Args)]
pub(super) struct KeyspaceArgs {
    #[command(subcommand)]
    command: KeyspaceCommand,
}

/// What to do with keyspaces.
#[derive(Debug, Subcommand)]
enum KeyspaceCommand {
    /// Create a keyspace; needs the profile's admin certificate
    Create(CreateArgs),
    /// List all keyspaces
    List(ListArgs),
    /// Show one keyspace
    Show(ShowArgs),
}

/// Create a keyspace; needs the profile's admin certificate
#[derive(Debug, Args)]
struct CreateArgs {
    /// Its name
    name: Name,
    /// Replicas per datacenter, such as eu=3,us=3; datacenters not named take the topology's default
    #[arg(long, value_name = "DC=N,…", value_delimiter = ',', value_parser = parse_replicas)]
    rf: Vec<(Name, u8)>,
    /// What becomes of concurrent writes: siblings keeps all, lww keeps the last
    #[arg(long, value_name = "siblings|lww", default_value_t = Conflict::Siblings)]
    conflict: Conflict,
    /// Time until a value expires that is put without one, such as 30d
    #[arg(long, value_name = "SPAN", value_parser = positive_span)]
    ttl: Option<Duration>,
    /// Most bytes of key and value together; 10240 by default, 1048576 at most
    #[arg(long, value_name = "BYTES")]
    record_bytes_max: Option<u32>,
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// List all keyspaces
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Show one keyspace
#[derive(Debug, Args)]
struct ShowArgs {
    /// Its name
    name: Name,
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A definition as JSON.
#[derive(Serialize)]
struct KeyspaceJson<'a> {
    name: &'a Name,
    id: String,
    replication_factor: &'a std::collections::BTreeMap<Name, u8>,
    conflict: &'static str,
    ttl_seconds: Option<u64>,
    record_bytes_max: u32,
}

/// `atoll keyspace …`.
pub(super) async fn keyspace(args: KeyspaceArgs, console: &mut Console) -> Result<(), Error> {
    match args.command {
        KeyspaceCommand::Create(args) => create(args, console).await,
        KeyspaceCommand::List(args) => {
            let client = connect(&args.connect, Role::Client).await?;
            let keyspaces = client.keyspaces().await.map_err(Error::read)?;
            client.close().await;
            let all: Vec<&KeyspaceDefinition> = keyspaces.iter().map(AsRef::as_ref).collect();
            match args.output.output {
                ReportFormat::Table => console.data(table(&all).render(0)),
                ReportFormat::Json => {
                    console.json(&all.iter().map(|keyspace| json(keyspace)).collect::<Vec<_>>())
                }
            }
        }
        KeyspaceCommand::Show(args) => {
            show(&args.name, (&args.output, &args.connect), console).await
        }
    }
}

async fn create(args: CreateArgs, console: &mut Console) -> Result<(), Error> {
    let CreateArgs { name, rf, conflict, ttl, record_bytes_max, output, connect: connection } =
        args;
    let client = connect(&connection, Role::Admin).await?;
    let request = KeyspaceRequest {
        name: name.clone(),
        replication_factor: rf,
        conflict,
        ttl,
        record_bytes_max,
    };
    let known_by = client.create_keyspace(request).await.map_err(Error::write)?;
    client.close().await;
    console.talk(format!("keyspace `{name}` is created; {known_by} node(s) know it already"));
    show(&name, (&output, &connection), console).await
}

async fn show(
    name: &Name,
    (output, connection): (&ReportArg, &ConnectArgs),
    console: &mut Console,
) -> Result<(), Error> {
    let client = connect(connection, Role::Client).await?;
    let keyspaces = client.keyspaces().await.map_err(Error::read)?;
    client.close().await;
    let Some(keyspace) = keyspaces.iter().find(|keyspace| keyspace.name == *name) else {
        let invalid = Invalid::UnknownKeyspace { name: name.clone() };
        return Err(Error::read(ClientError::Invalid(invalid)));
    };
    match output.output {
        ReportFormat::Table => console.data(table(&[keyspace]).render(0)),
        ReportFormat::Json => console.json(&json(keyspace)),
    }
}

fn table(keyspaces: &[&KeyspaceDefinition]) -> Columns {
    let mut table = Columns::new(&[
        ("NAME", Align::Left),
        ("CONFLICT", Align::Left),
        ("RF", Align::Left),
        ("TTL", Align::Left),
        ("RECORD MAX", Align::Right),
        ("ID", Align::Left),
    ]);
    for keyspace in keyspaces {
        let replicas = keyspace.replication_factor.iter();
        let replicas: Vec<String> = replicas.map(|(dc, count)| format!("{dc}={count}")).collect();
        let ttl = keyspace.ttl.map(|ttl| humantime::format_duration(ttl).to_string());
        table.row([
            keyspace.name.to_string(),
            keyspace.conflict.to_string(),
            replicas.join(","),
            ttl.unwrap_or_else(|| NOTHING.to_owned()),
            format!("{} B", keyspace.record_bytes_max),
            format!("{:016x}", keyspace.id.0),
        ]);
    }
    table
}

fn json(keyspace: &KeyspaceDefinition) -> KeyspaceJson<'_> {
    KeyspaceJson {
        name: &keyspace.name,
        id: format!("{:016x}", keyspace.id.0),
        replication_factor: &keyspace.replication_factor,
        conflict: keyspace.conflict.as_str(),
        ttl_seconds: keyspace.ttl.map(|ttl| ttl.as_secs()),
        record_bytes_max: keyspace.record_bytes_max,
    }
}

/// Reads one `DC=N`.
fn parse_replicas(text: &str) -> Result<(Name, u8), String> {
    let wrong = || format!("`{text}` is not DC=N; write for example eu=3");
    let (dc, count) = text.split_once('=').ok_or_else(wrong)?;
    let dc = Name::new(dc.trim()).map_err(|error| error.to_string())?;
    let count = count.trim().parse::<u8>().map_err(|_| wrong())?;
    Ok((dc, count))
}
