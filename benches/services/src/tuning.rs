//! Over which connections etcd is asked: those that give it the highest rate on this machine, which is tried.

use std::time::Duration;

use rig::{Failure, Loop};

use crate::etcd::{Ends, EtcdCluster, Shape};

/// What is tried. A follower passes a put on to the leader, and asks it how far a get must see; but it takes the work of
/// its connections from it.
const SHAPES: [Shape; 6] = [
    Shape { ends: Ends::Leader, connections: 1 },
    Shape { ends: Ends::Leader, connections: 2 },
    Shape { ends: Ends::Leader, connections: 4 },
    Shape { ends: Ends::Leader, connections: 16 },
    Shape { ends: Ends::All, connections: 1 },
    Shape { ends: Ends::All, connections: 4 },
];

/// Writes the keys of `lap`, runs it over every shape for `span`, prints the rates, and returns the fastest.
pub(crate) async fn fastest(
    lap: &Loop,
    etcd: &EtcdCluster,
    (name, span): (&str, Duration),
) -> Result<Shape, Failure> {
    let lap = Loop { span, ..lap.clone() };
    let any = Shape { ends: Ends::All, connections: 1 };
    lap.fill(&mut etcd.deal(any, lap.askers).await?).await?;
    let mut tried = Vec::new();
    for shape in SHAPES {
        let run = lap.run(&mut etcd.deal(shape, lap.askers).await?).await?;
        tried.push((run.rate(), shape));
    }
    let rates: Vec<_> = tried.iter().map(|(rate, shape)| format!("{shape}: {rate:.0}")).collect();
    println!("etcd {name}/s by connections, {} s each: {}", span.as_secs(), rates.join(", "));
    let best = tried.into_iter().max_by(|one, other| one.0.total_cmp(&other.0));
    Ok(best.ok_or("no shape was tried")?.1)
}
