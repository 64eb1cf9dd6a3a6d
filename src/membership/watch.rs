//! Drives the failure detector: brings it what comes, wakes it, and does what it says.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};

use super::Membership;
use super::detector::{Detector, Effect, Input, Place};
use super::suspicion::Suspicions;

/// What waits to be looked at: a second's worth of a pool of hundreds. What does not fit is lost, as datagrams may be.
const INPUTS_MAX: usize = 1_024;

/// The door to the failure detector: takes what concerns it, and shows what it makes of the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Detection {
    shared: Arc<Shared>,
}

struct Shared {
    inputs: mpsc::Sender<Input>,
    suspicions: ArcSwap<Suspicions>,
    /// Told when the own testimony changes.
    testimony: Notify,
}

/// The other side of the door.
pub struct Inputs(mpsc::Receiver<Input>);

impl Detection {
    /// A door, and what comes in through it.
    pub fn new() -> (Self, Inputs) {
        let (inputs, received) = mpsc::channel(INPUTS_MAX);
        let (suspicions, testimony) = (ArcSwap::default(), Notify::new());
        let shared = Arc::new(Shared { inputs, suspicions, testimony });
        (Self { shared }, Inputs(received))
    }

    /// Tells the detector something; lost if it is swamped, or the node is stopping.
    pub fn tell(&self, input: Input) {
        let _ = self.shared.inputs.try_send(input);
    }

    /// What is believed now.
    pub fn suspicions(&self) -> Arc<Suspicions> {
        self.shared.suspicions.load_full()
    }

    /// Resolves when the own testimony changes.
    pub(super) async fn testimony_changed(&self) {
        self.shared.testimony.notified().await;
    }

    fn publish(&self, suspicions: Arc<Suspicions>) {
        let before = self.shared.suspicions.swap(suspicions);
        if before.silent != self.shared.suspicions.load().silent {
            self.shared.testimony.notify_one();
        }
    }
}

impl Membership {
    /// Runs the detector until the node stops.
    pub(super) async fn watch(&self, mut inputs: Inputs) {
        let times = (self.env.mono(), self.env.wall());
        let mut detector = Detector::new(&self.place(), times, || self.env.random_u64());
        loop {
            let wake_at = detector.wake_at();
            let input = tokio::select! {
                biased;
                () = self.tasks.cancelled() => return,
                input = inputs.0.recv() => input,
                () = self.env.sleep_until(wake_at) => None,
            };
            let now = self.env.mono();
            let mut effects = Vec::new();
            detector.guard(now);
            if let Some(input) = input {
                detector.handle(now, input, &mut effects);
            }
            if detector.wake_at() <= now {
                detector.wake(now, |node| self.peers.sense(node), &mut effects);
            }
            effects.into_iter().for_each(|effect| self.carry_out(effect));
        }
    }

    fn place(&self) -> Place {
        let view = self.cluster.view();
        let dcs = view.topology.nodes().iter().map(|node| node.dc).collect();
        Place { own: self.cluster.own(), dcs }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Send { to, datagram } => self.peers.send_datagram(to, datagram),
            Effect::Judge { node, judgement } => {
                tracing::info!(peer = ?self.cluster.view().node_name(node), ?judgement, "judged");
                self.peers.judge(node, judgement);
            }
            Effect::Publish(suspicions) => self.detection.publish(suspicions),
        }
    }
}
