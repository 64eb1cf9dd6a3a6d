//! Measures what things cost that should cost little: a larger cluster per request, other datacenters per put, a million
//! records and a thousand idle clients in memory. Each scene prints its figures, their ratio and its target.

mod idle;
mod memory;
mod nodes;
mod resident;
mod topology;
mod verdict;
mod wan;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use rig::{DevCluster, Failure, Wan};

/// Measures costs
#[derive(Debug, Parser)]
enum Arguments {
    /// Run the scenes
    Run(RunArguments),
    /// A process with idle clients
    #[command(hide = true)]
    Clients {
        /// Profile of the cluster
        profile: PathBuf,
        /// How many
        count: usize,
    },
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// What to measure; all if none
    #[arg(value_enum)]
    scenes: Vec<Scene>,
    /// The binary
    #[arg(long, default_value = "target/release/atoll")]
    atoll: PathBuf,
    /// Folder of the clusters; must not exist
    #[arg(long, default_value = "costs-clusters")]
    dir: PathBuf,
    /// Seconds of each measurement of `nodes` and `wan`
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Rounds of `nodes`
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Puts per second of `wan`
    #[arg(long, default_value_t = 400)]
    rate: u64,
    /// Requests per second of 9 nodes in `nodes`
    #[arg(long, default_value_t = 400)]
    nodes_rate: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 1_024)]
    value_bytes: usize,
    /// Records of `memory`
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Clients of `idle`
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// Processor time of a request to 9 nodes and to 27
    Nodes,
    /// Bytes between datacenters per put
    Wan,
    /// Memory of a node with a million records
    Memory,
    /// Memory of a node per idle client
    Idle,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    match Arguments::parse() {
        Arguments::Clients { profile, count } => idle::be_clients(&profile, count).await,
        Arguments::Run(arguments) => run(&arguments).await,
    }
}

async fn run(arguments: &RunArguments) -> Result<(), Failure> {
    std::fs::create_dir(&arguments.dir)?;
    let all = [Scene::Nodes, Scene::Wan, Scene::Memory, Scene::Idle];
    for scene in
        all.into_iter().filter(|of| arguments.scenes.is_empty() || arguments.scenes.contains(of))
    {
        match scene {
            Scene::Nodes => nodes::measure(arguments).await?,
            Scene::Wan => wan::measure(arguments).await?,
            Scene::Memory => memory::measure(arguments).await?,
            Scene::Idle => idle::measure(arguments).await?,
        }
    }
    std::fs::remove_dir_all(&arguments.dir)?;
    Ok(())
}

impl RunArguments {
    /// Starts a cluster under `name` with these settings of `[storage]`.
    async fn start(
        &self,
        name: &str,
        (topology, wan): (String, Wan),
        settings: &str,
    ) -> Result<DevCluster, Failure> {
        let file = self.dir.join(format!("{name}.toml"));
        std::fs::write(&file, topology)?;
        let cluster = DevCluster::start(&self.atoll, (&file, wan), &self.folder(name)).await?;
        cluster.configure("storage", settings).await?;
        Ok(cluster)
    }

    /// Ends a cluster and removes its folder.
    async fn end(&self, name: &str, mut cluster: DevCluster) -> Result<(), Failure> {
        cluster.stop().await?;
        std::fs::remove_dir_all(self.folder(name))?;
        Ok(())
    }

    fn folder(&self, name: &str) -> PathBuf {
        Path::new(&self.dir).join(name)
    }
}
