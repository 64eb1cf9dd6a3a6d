//! From options to a plan: reads the profile, connects, names the datacenters, and checks everything at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Level, ProfileFile, find_profile};

use super::args::{
    ChoiceArgs, ExtentArgs, MeasuredArgs, PaceArgs, TargetArgs, WatchArgs, WorkloadArgs,
};
use crate::agent::connect;
use crate::clock;
use crate::conduct::{NodeSource, check_nodes};
use crate::error::Error;
use crate::plan::{Answers, Extent, Kind, Pace, Plan, Shortness, Target, Workload, Writes};
use crate::workload::keys::Distribution;
use crate::workload::levels::Levels;
use crate::workload::mix::{Mix, Op, ycsb};

/// 2020-01-01T00:00:00Z, since the Unix epoch: runs are numbered by seconds since.
const EPOCH_SECONDS: u64 = 1_577_836_800;

/// Where requests go that nobody answers.
const NO_DC: &str = "nowhere";

/// Requests of a run, as far as options say.
pub(super) struct Wanted<'a> {
    pub(super) kind: Kind,
    pub(super) pace: Pace,
    pub(super) extent: Extent,
    pub(super) warmup: Duration,
    pub(super) shortness: Shortness,
    pub(super) spread: &'a PaceArgs,
    pub(super) workload: &'a WorkloadArgs,
    pub(super) target: &'a TargetArgs,
    pub(super) choice: Choice,
}

impl<'a> Wanted<'a> {
    /// What `args` ask for, at `pace`.
    ///
    /// # Errors
    /// Those of [`Choice::new`].
    pub(super) fn measured(args: &'a MeasuredArgs, pace: Pace) -> Result<Self, Error> {
        Ok(Self {
            kind: Kind::Run,
            pace,
            extent: extent(&args.extent),
            warmup: args.extent.warmup,
            shortness: args.extent.force,
            spread: &args.pace,
            workload: &args.workload,
            target: &args.target,
            choice: Choice::new(&args.choice)?,
        })
    }
}

/// Operations, keys and contexts.
pub(super) struct Choice {
    mix: Mix,
    distribution: Distribution,
    writes: Writes,
}

impl Choice {
    /// That of a load: every key once, and nothing is known of any.
    pub(super) fn load() -> Self {
        let (mix, distribution) = (Mix::only(Op::Insert), Distribution::Uniform);
        Self { mix, distribution, writes: Writes::Informed }
    }

    /// That of the options.
    fn new(args: &ChoiceArgs) -> Result<Self, Error> {
        let (mix, law) = match (&args.workload, &args.mix) {
            (Some(name), _) => {
                ycsb(name).map_err(|problem| Error::usage(format!("--workload: {problem}")))?
            }
            (None, Some(mix)) => (mix.clone(), Distribution::Uniform),
            (None, None) => {
                return Err(Error::usage(
                    "no operations: add --workload a (YCSB a, b, c, d or f), or --mix get=95,put=5",
                ));
            }
        };
        Ok(Self { mix, distribution: args.dist.unwrap_or(law), writes: args.blind })
    }
}

/// The extent that the options name.
fn extent(args: &ExtentArgs) -> Extent {
    args.ops.map_or(Extent::Seconds(args.duration.as_secs_f64()), Extent::Ops)
}

/// Makes the plan, and a client that asks the cluster about itself, if there is one.
///
/// Whatever can be checked without a cluster is checked first.
pub(super) async fn prepare(wanted: Wanted<'_>) -> Result<(Arc<Plan>, Option<Client>), Error> {
    let known = match wanted.target.answers {
        Answers::Nobody => None,
        Answers::Cluster => {
            let profile = find_profile(wanted.target.profile.as_deref())?;
            let file = ProfileFile::load(&profile)?;
            Some((profile, file))
        }
    };
    let (profile, file) = known.unzip();
    let dcs = &wanted.target.client_dc;
    let first = dcs.first().cloned();
    let level = file.as_ref().and_then(|file| file.level);
    let mut plan = draft(&wanted, profile.unwrap_or_default(), level)?;
    let mut problems = plan.check(wanted.shortness);
    for (place, dc) in dcs.iter().enumerate() {
        if dcs.iter().take(place).any(|other| other == dc) {
            problems.push(format!("--client-dc: `{dc}` is named twice"));
        }
    }
    if !problems.is_empty() {
        return Err(Error::Usage { problems });
    }
    let control = match &file {
        Some(file) => Some(connect(file, first.as_deref(), wanted.target.deadline).await?),
        None => None,
    };
    if plan.target.dcs.is_empty() {
        let dc =
            control.as_ref().map_or_else(|| NO_DC.to_owned(), |client| client.dc().to_string());
        plan.target.dcs = vec![dc];
    }
    Ok((Arc::new(plan), control))
}

fn draft(wanted: &Wanted<'_>, profile: PathBuf, level: Option<Level>) -> Result<Plan, Error> {
    let Wanted { workload, target, spread, choice, .. } = wanted;
    let default = level.unwrap_or(Level::LocalQuorum);
    let levels = Levels::new(&workload.levels, default).map_err(Error::usage)?;
    let run = clock::wall().as_secs().saturating_sub(EPOCH_SECONDS);
    Ok(Plan {
        kind: wanted.kind,
        pace: wanted.pace,
        extent: wanted.extent,
        warmup_seconds: wanted.warmup.as_secs_f64(),
        inflight_max: spread.max_inflight,
        processes: spread.processes,
        workload: Workload {
            mix: choice.mix.clone(),
            keys: workload.keys,
            distribution: choice.distribution,
            lengths: workload.value,
            levels,
            check: workload.validate,
            writes: choice.writes,
        },
        target: Target {
            profile: std::path::absolute(&profile).unwrap_or(profile),
            keyspace: target.keyspace.clone(),
            dcs: target.client_dc.clone(),
            deadline_seconds: target.deadline.map(|deadline| deadline.as_secs_f64()),
            answers: target.answers,
        },
        seed: workload.seed,
        run: u32::try_from(run).unwrap_or(u32::MAX),
    })
}

/// The processes to watch.
pub(super) fn nodes(args: &WatchArgs) -> Result<Vec<NodeSource>, Error> {
    let mut sources: Vec<NodeSource> =
        args.node_pids.iter().map(|pid| NodeSource::Pid(*pid)).collect();
    sources.extend(args.dev.iter().map(|folder| NodeSource::Roster(folder.join("nodes.json"))));
    check_nodes(&sources)?;
    Ok(sources)
}

/// The folder for results: the one that was asked for, or one that is named by the time.
pub(super) fn folder(asked: Option<PathBuf>) -> PathBuf {
    asked.unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH + clock::wall();
        let text = humantime::format_rfc3339_seconds(now).to_string();
        PathBuf::from("out").join(text.replace(':', ""))
    })
}
