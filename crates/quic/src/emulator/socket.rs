//! The UDP socket behind which links are emulated.
//!
//! Sits between quinn and quinn's own socket type. Endpoints without an emulator do not have it at all.
//!
//! 1. Send: no rule → straight through; blocked → dropped and reported as sent; otherwise losses are cut out of the
//!    batch and the rest goes through the delay line.
//! 2. One task sends what is due, and sleeps until the next is (tokio's timer: about 1 ms late).
//! 3. Receive: datagrams of blocked senders become empty, which quinn skips.
//!
//! Invariants
//! - The order of datagrams per link is kept, also when its rule changes (only the batch that the task is handing to
//!   the kernel at that moment may be overtaken).
//! - Sending into an emulated link never blocks and never fails: what does not fit is lost, as on a real path.
//! - The task ends when the socket is gone and the delay line is empty.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, UdpPoller};
use tokio::sync::Notify;

use crate::emulator::delay::{Batch, DelayLine, Next, Pushed};
use crate::emulator::{Blocked, LinkEmulator, LinkRule};
use crate::runtime::{SpawnerRuntime, sleep_until};

/// A socket whose datagrams pass by a [`LinkEmulator`].
#[derive(Debug)]
pub(crate) struct EmulatedSocket {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn AsyncUdpSocket>,
    runtime: Arc<SpawnerRuntime>,
    emulator: Arc<LinkEmulator>,
    line: Mutex<DelayLine>,
    /// Set while the delay line may hold something; spares the lock on undisturbed links.
    waiting: AtomicBool,
    closed: AtomicBool,
    wake: Notify,
}

impl EmulatedSocket {
    /// Wraps `inner`, on the clock of `runtime`; the returned future is the task that sends what is due.
    pub(crate) fn new(
        inner: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<SpawnerRuntime>,
        emulator: Arc<LinkEmulator>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let shared = Arc::new(Shared {
            inner,
            runtime,
            emulator,
            line: Mutex::default(),
            waiting: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            wake: Notify::new(),
        });
        (Self { shared: Arc::clone(&shared) }, send_when_due(shared))
    }
}

impl AsyncUdpSocket for EmulatedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.shared.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.shared.emulator.rule(transmit.destination) {
            Some(rule) if rule.blocked == Blocked::Yes => {
                self.shared.emulator.on_blocked(datagrams(transmit));
                Ok(())
            }
            Some(rule) if rule != LinkRule::default() => {
                self.shared.delay(&rule, transmit);
                Ok(())
            }
            Some(_) | None if self.shared.holds(transmit.destination) => {
                self.shared.delay(&LinkRule::default(), transmit);
                Ok(())
            }
            Some(_) | None => self.shared.inner.try_send(transmit),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.shared.inner.poll_recv(cx, bufs, meta))?;
        for meta in meta.iter_mut().take(received) {
            if self.shared.emulator.is_blocked(meta.addr) {
                let stride = meta.stride.max(1);
                self.shared.emulator.on_blocked(meta.len.div_ceil(stride) as u64);
                meta.len = 0;
            }
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.shared.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.shared.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.shared.inner.may_fragment()
    }
}

impl Drop for EmulatedSocket {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

impl Shared {
    /// True when datagrams to `remote` still wait, so that later ones must queue behind them.
    fn holds(&self, remote: SocketAddr) -> bool {
        self.waiting.load(Ordering::Acquire) && self.line.lock().holds(remote)
    }

    /// Draws the losses of `transmit` and queues what is left of it.
    fn delay(&self, rule: &LinkRule, transmit: &Transmit<'_>) {
        let Some(batch) = self.survivors(rule, transmit) else {
            return;
        };
        let datagrams = batch.datagrams;
        let pushed = {
            let mut line = self.line.lock();
            self.waiting.store(true, Ordering::Release);
            line.push(self.runtime.now() + rule.delay, batch)
        };
        match pushed {
            Pushed::First => {
                self.emulator.on_delayed(datagrams);
                self.wake.notify_one();
            }
            Pushed::Behind => self.emulator.on_delayed(datagrams),
            Pushed::Overflow => self.emulator.on_overflowed(datagrams),
        }
    }

    /// The datagrams that are not lost. They still make one batch: all but the last have the same size, and cutting
    /// some out changes nothing about that.
    fn survivors(&self, rule: &LinkRule, transmit: &Transmit<'_>) -> Option<Batch> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let mut contents = Vec::with_capacity(transmit.contents.len());
        let mut datagrams = 0;
        for datagram in transmit.contents.chunks(segment) {
            if !self.emulator.loses(rule) {
                contents.extend_from_slice(datagram);
                datagrams += 1;
            }
        }
        (datagrams > 0).then(|| Batch {
            destination: transmit.destination,
            ecn: transmit.ecn,
            segment_size: transmit.segment_size.filter(|size| *size < contents.len()),
            contents,
            source: transmit.src_ip,
            datagrams,
        })
    }

    fn next(&self) -> Next {
        let mut line = self.line.lock();
        let next = line.next(self.runtime.now());
        if matches!(next, Next::Empty) {
            self.waiting.store(false, Ordering::Release);
        }
        next
    }
}

/// Sends batches at their time until the socket is dropped and nothing waits any more.
async fn send_when_due(shared: Arc<Shared>) {
    let mut poller = Arc::clone(&shared.inner).create_io_poller();
    loop {
        match shared.next() {
            Next::Send(batch) if shared.emulator.is_blocked(batch.destination) => {
                shared.emulator.on_blocked(batch.datagrams);
            }
            Next::Send(batch) => send(&*shared.inner, poller.as_mut(), &batch).await,
            Next::WaitUntil(due) => {
                tokio::select! {
                    biased;
                    () = sleep_until(&*shared.runtime, due) => {}
                    () = shared.wake.notified() => {}
                }
            }
            Next::Empty if shared.closed.load(Ordering::Acquire) => return,
            Next::Empty => shared.wake.notified().await,
        }
    }
}

/// Sends one batch, waiting for the kernel's buffer; an error loses it, as the network might.
async fn send(socket: &dyn AsyncUdpSocket, mut poller: Pin<&mut dyn UdpPoller>, batch: &Batch) {
    loop {
        match socket.try_send(&batch.as_transmit()) {
            Ok(()) => return,
            Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => {
                let writable = std::future::poll_fn(|cx| poller.as_mut().poll_writable(cx));
                if writable.await.is_err() {
                    return;
                }
            }
            Err(problem) => {
                tracing::debug!(%problem, remote = %batch.destination, "a delayed packet is lost");
                return;
            }
        }
    }
}

/// Datagrams in one transmit.
fn datagrams(transmit: &Transmit<'_>) -> u64 {
    let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
    transmit.contents.len().div_ceil(segment) as u64
}
