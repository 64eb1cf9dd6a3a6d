//! `atoll node`: one node in this process, until it is asked to stop.
//!
//! 1. Log to stderr, as lines for people or as JSON.
//! 2. Listen for SIGTERM, SIGINT and, with `--watch-stdin`, for the end of stdin; only then start.
//! 3. Serve until one of them comes; drain, flush, write the clean marker, exit 0.
//! 4. A second signal while stopping ends the process at once: the next start is a new incarnation.
//!
//! Invariants
//! - Stdout stays empty.
//! - A process that started this one can end it by closing its stdin, even by dying (`atoll dev` does).

use std::io;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::exit::Error;
use super::flags::flag;
use super::log::{self, LogFormat};
use crate::config::Config;
use crate::env::{RealEnv, spare_processors};
use crate::net::FaultPolicy;
use crate::node::{self, NodeOptions, Wan};

/// Most threads that serve requests.
const WORKERS_MAX: i64 = 256;

/// Run one node
#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// The node's configuration, TOML
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Let admins break and slow this node's links at run time; never in production
    #[arg(long, action = ArgAction::SetTrue, value_parser = flag(FaultPolicy::Refused, FaultPolicy::Allowed))]
    allow_faults: FaultPolicy,
    /// Emulate the round-trip times between the topology's datacenters
    #[arg(long, action = ArgAction::SetTrue, value_parser = flag(Wan::Real, Wan::Emulated))]
    wan: Wan,
    /// Stop when stdin ends, as at SIGTERM
    #[arg(long)]
    watch_stdin: bool,
    /// Threads that serve requests; else one less than there are processors
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX))]
    workers: Option<u16>,
    /// How to log: auto is human on a terminal, json elsewhere
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Human)]
    log_format: LogFormat,
    /// What to log: a level, or directives such as info,atoll_quic=debug
    #[arg(long, value_name = "LEVEL", env = log::VARIABLE, default_value = "info", value_parser = log::check_filter)]
    log: String,
}

impl NodeArgs {
    /// Threads that serve requests.
    pub(super) fn workers(&self) -> usize {
        self.workers.map_or_else(|| spare_processors(1), usize::from)
    }
}

/// `atoll node`.
pub(super) async fn node(args: NodeArgs) -> Result<(), Error> {
    log::start(&args.log, args.log_format)?;
    let config = Config::load(&args.config).map_err(Error::Config)?;
    let mut stops = Stops::listen(args.watch_stdin.then(watch_stdin))?;
    let options = NodeOptions { faults: args.allow_faults, wan: args.wan };
    let node = node::start(RealEnv::create(), &config, options).await?;
    let reason = stops.next().await;
    tracing::info!(reason, "asked to stop");
    tokio::select! {
        stopped = node.stop() => Ok(stopped?),
        reason = stops.next_signal() => {
            tracing::error!(reason, "asked again while stopping: ending at once");
            let source = io::Error::from(io::ErrorKind::Interrupted);
            Err(Error::Io { action: "stop cleanly".to_owned(), source })
        }
    }
}

/// What can ask a node to stop.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
    stdin_end: Option<oneshot::Receiver<()>>,
}

impl Stops {
    fn listen(stdin_end: Option<oneshot::Receiver<()>>) -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::io("listen for signals"));
        let terminate = listen(SignalKind::terminate())?;
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt, stdin_end })
    }

    /// Resolves when the node is to stop, with the reason.
    async fn next(&mut self) -> &'static str {
        let stdin_end = self.stdin_end.take();
        let ended = async {
            match stdin_end {
                // A watcher that is gone has seen the end.
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.next_signal() => reason,
            () = ended => "end of stdin",
        }
    }

    async fn next_signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Reads stdin to its end on a thread of its own: a read that blocks cannot be cancelled, and must not keep the process
/// from ending.
fn watch_stdin() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        // A stdin that cannot be read has ended, too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // The node may have stopped already.
        let _ = sender.send(());
    });
    receiver
}
