//! `atoll cert ca|node|client|admin|show`.
//!
//! The work is done by [`crate::cert`]; here are its defaults: a CA lives for ten years in `certs/`, a leaf for one year
//! beside it. Private keys are written with mode 0600 and nothing is ever overwritten.

use std::path::PathBuf;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::Name;
use clap::{Args, Subcommand};

use super::common::ReportArg;
use super::exit::Error;
use super::output::{Console, NOTHING, ReportFormat, escape};
use crate::cert::{self, CA_DAYS, CertificateSummary, IssuedPaths, LEAF_DAYS, Validity};
use crate::env::Env;

/// Where certificates lie unless the command line says otherwise.
const DIRECTORY: &str = "certs";

/// Make and show certificates
#[derive(Debug, Args)]
pub(super) struct CertArgs {
    #[command(subcommand)]
    command: CertCommand,
}

/// What to do with certificates.
#[derive(Debug, Subcommand)]
enum CertCommand {
    /// Create the CA of a new cluster
    Ca(CaArgs),
    /// Issue a certificate for one node
    Node(NodeArgs),
    /// Issue a certificate for an application
    Client(HolderArgs),
    /// Issue a certificate for an operator
    Admin(HolderArgs),
    /// Show what a certificate says
    Show(ShowArgs),
}

/// Create the CA of a new cluster
#[derive(Debug, Args)]
struct CaArgs {
    /// Name of the cluster
    #[arg(long, value_name = "NAME")]
    cluster: Name,
    /// Where ca.crt and ca.key are written
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    dir: PathBuf,
    /// How long it is valid
    #[arg(long, value_name = "DAYS", default_value_t = CA_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
}

/// What every leaf has.
#[derive(Debug, Args)]
struct LeafArgs {
    /// Name of the cluster; the CA must be its own
    #[arg(long, value_name = "NAME")]
    cluster: Name,
    /// Where ca.crt and ca.key lie
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    ca_dir: PathBuf,
    /// Where NAME.crt and NAME.key are written [default: the CA's directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How long it is valid
    #[arg(long, value_name = "DAYS", default_value_t = LEAF_DAYS, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
}

/// Issue a certificate for one node
#[derive(Debug, Args)]
struct NodeArgs {
    /// The node's name, as in the topology
    node: Name,
    /// Its datacenter
    #[arg(long, value_name = "DC")]
    dc: Name,
    /// Its rack
    #[arg(long, value_name = "RACK")]
    rack: Name,
    #[command(flatten)]
    leaf: LeafArgs,
}

/// Issue a certificate for somebody
#[derive(Debug, Args)]
struct HolderArgs {
    /// The holder's name, for logs
    name: Name,
    #[command(flatten)]
    leaf: LeafArgs,
}

/// Show what a certificate says
#[derive(Debug, Args)]
struct ShowArgs {
    /// The certificate, PEM
    file: PathBuf,
    #[command(flatten)]
    output: ReportArg,
}

/// `atoll cert …`.
pub(super) fn cert(args: CertArgs, env: &Env, console: &mut Console) -> Result<(), Error> {
    let issued = match args.command {
        CertCommand::Ca(CaArgs { cluster, dir, days }) => {
            cert::create_ca(&dir, &cluster, Validity::days(env.wall(), days))?
        }
        CertCommand::Node(NodeArgs { node, dc, rack, leaf }) => {
            issue(leaf, Role::Node { dc, rack, node }, env)?
        }
        CertCommand::Client(HolderArgs { name, leaf }) => issue(leaf, Role::Client { name }, env)?,
        CertCommand::Admin(HolderArgs { name, leaf }) => issue(leaf, Role::Admin { name }, env)?,
        CertCommand::Show(ShowArgs { file, output }) => {
            let summary = cert::show(&file)?;
            return match output.output {
                ReportFormat::Json => console.json(&summary),
                ReportFormat::Table => print(&summary, console),
            };
        }
    };
    console.data(issued.certificate.display().to_string())?;
    console.data(issued.key.display().to_string())
}

fn issue(leaf: LeafArgs, role: Role, env: &Env) -> Result<IssuedPaths, Error> {
    let LeafArgs { cluster, ca_dir, out, days } = leaf;
    let out = out.as_ref().unwrap_or(&ca_dir);
    let identity = Identity { cluster, role };
    Ok(cert::issue(&ca_dir, out, &identity, Validity::days(env.wall(), days))?)
}

fn print(summary: &CertificateSummary, console: &mut Console) -> Result<(), Error> {
    let identity = summary.identity.as_ref().map(ToString::to_string);
    let rows = [
        ("kind", summary.kind.to_string()),
        ("identity", identity.unwrap_or_else(|| NOTHING.to_owned())),
        ("subject", summary.subject.clone()),
        ("issuer", summary.issuer.clone()),
        ("not before", summary.not_before_text()),
        ("not after", summary.not_after_text()),
        ("fingerprint", summary.fingerprint.clone()),
    ];
    for (name, value) in rows {
        console.data(format!("{name:11} {}", escape(&value)))?;
    }
    Ok(())
}
