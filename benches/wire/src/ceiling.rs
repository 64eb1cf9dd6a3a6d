//! The ceiling: frames echoed through bare QUIC with mutual TLS, between two processes, with the transport settings of
//! Atoll and nothing else: no routing, no decoding, no store.
//!
//! ```text
//! frame: length u32 │ rest             each lane is a bidirectional stream; a reply has as many bytes as it was asked for
//! rest:  reply length u32 │ padding
//! ```
//!
//! The asker keeps so many frames under way on each lane, and writes those that became free together: the least wake-ups
//! and packets that a client could do with.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, BytesMut};
use hdrhistogram::Histogram;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AckFrequencyConfig, ClientConfig, Endpoint, ServerConfig, TransportConfig, VarInt};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rig::{Failure, ProcessorTime};
use rustix::process::Pid;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

/// Name in the certificates.
const NAME: &str = "ceiling";

/// Bytes that one read takes at most.
const READ_BYTES: usize = 64 * 1_024;

/// The shape of an exchange, in bytes of frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: usize,
    pub(crate) reply: usize,
}

/// What the ceiling came to.
#[derive(Debug)]
pub(crate) struct Ceiling {
    pub(crate) rate: f64,
    pub(crate) micros: Histogram<u64>,
    /// Processor time of both sides for one exchange, in microseconds.
    pub(crate) processor_micros: f64,
}

/// An echoing process; dropping it ends it.
pub(crate) struct Echo {
    process: Child,
    address: SocketAddr,
    secrets: Secrets,
}

/// What a side needs to be believed: DER of the authority, its certificate and its key.
struct Secrets {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Secrets {
    fn create() -> Result<[Self; 2], Failure> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let side = || -> Result<Self, Failure> {
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec![NAME.to_owned()])?;
            let certificate = params.signed_by(&key, &authority)?;
            Ok(Self {
                authority: authority.der().to_vec(),
                certificate: certificate.der().to_vec(),
                key: key.serialize_der(),
            })
        };
        Ok([side()?, side()?])
    }

    fn parts(&self) -> [&[u8]; 3] {
        [&self.authority, &self.certificate, &self.key]
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority.clone()))?;
        Ok(roots)
    }

    fn own(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        (vec![CertificateDer::from(self.certificate.clone())], key.into())
    }
}

/// The settings of Atoll's connections (`crates/quic/src/transport.rs`).
fn transport() -> Arc<TransportConfig> {
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(10));
    let mut config = TransportConfig::default();
    config
        .receive_window(VarInt::from_u32(16 * 1_024 * 1_024))
        .stream_receive_window(VarInt::from_u32(8 * 1_024 * 1_024))
        .send_window(16 * 1_024 * 1_024)
        .ack_frequency_config(Some(acks));
    Arc::new(config)
}

/// Echoes until its standard input ends: secrets come in through it, the address goes out.
pub(crate) async fn serve() -> Result<(), Failure> {
    let mut input = tokio::io::stdin();
    let mut parts = Vec::new();
    for _ in 0..3 {
        let mut part = vec![0; usize::try_from(input.read_u32().await?)?];
        input.read_exact(&mut part).await?;
        parts.push(part);
    }
    let [authority, certificate, key] = <[_; 3]>::try_from(parts).map_err(|_| "three parts")?;
    let secrets = Secrets { authority, certificate, key };
    let verifier = WebPkiClientVerifier::builder(Arc::new(secrets.roots()?)).build()?;
    let (chain, key) = secrets.own();
    let mut tls = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    tls.max_early_data_size = 0;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport());
    let endpoint = Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let mut output = tokio::io::stdout();
    output.write_all(format!("{}\n", endpoint.local_addr()?).as_bytes()).await?;
    output.flush().await?;
    let serving = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((sender, receiver)) = connection.accept_bi().await {
                    tokio::spawn(echo(sender, receiver));
                }
            });
        }
    });
    // Ends with the asker.
    let _ = input.read(&mut [0]).await;
    serving.abort();
    Ok(())
}

/// Answers the frames of one lane: all that have come with one write.
async fn echo(mut sender: quinn::SendStream, mut receiver: quinn::RecvStream) {
    let mut unread = BytesMut::new();
    while let Ok(Some(chunk)) = receiver.read_chunk(READ_BYTES, true).await {
        unread.extend_from_slice(&chunk.bytes);
        let mut replies = BytesMut::new();
        while let Some(frame) = take_frame(&mut unread) {
            let wanted = frame.first_chunk().map_or(0, |wanted| u32::from_be_bytes(*wanted));
            put_frame(&mut replies, usize::try_from(wanted).unwrap_or(0), 0);
        }
        if !replies.is_empty() && sender.write_chunk(replies.freeze()).await.is_err() {
            return;
        }
    }
}

/// A frame of `bytes` bytes in all, which asks for `wanted` bytes.
fn put_frame(out: &mut BytesMut, bytes: usize, wanted: u32) {
    let rest = bytes.saturating_sub(4).max(4);
    out.put_u32(u32::try_from(rest).unwrap_or(u32::MAX));
    out.put_u32(wanted);
    out.put_bytes(b'x', rest - 4);
}

fn take_frame(unread: &mut BytesMut) -> Option<BytesMut> {
    let length = u32::from_be_bytes(*unread.first_chunk()?);
    let length = usize::try_from(length).ok()?;
    if unread.len() < 4 + length {
        return None;
    }
    unread.advance(4);
    Some(unread.split_to(length))
}

impl Echo {
    /// Starts this binary as the other side.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let [server, secrets] = Secrets::create()?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("echo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.as_mut().ok_or("no standard input")?;
        for part in server.parts() {
            input.write_u32(u32::try_from(part.len())?).await?;
            input.write_all(part).await?;
        }
        input.flush().await?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let address = BufReader::new(output).lines().next_line().await?.ok_or("no address")?;
        Ok(Self { process, address: address.parse()?, secrets })
    }

    /// Exchanges frames for `span`, `under_way` at once over `lanes` streams.
    pub(crate) async fn measure(
        &self,
        exchange: Exchange,
        (under_way, lanes): (usize, usize),
        span: Duration,
    ) -> Result<Ceiling, Failure> {
        let (chain, key) = self.secrets.own();
        let tls = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(self.secrets.roots()?)
            .with_client_auth_cert(chain, key)?;
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(transport());
        let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(self.address, NAME)?.await?;
        let pid = self.process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pids = [pid.ok_or("the echo has ended")?];
        let before = (ProcessorTime::of(&pids)?, ProcessorTime::own()?);
        let began = Instant::now();
        let mut askers = Vec::new();
        for _ in 0..lanes {
            let lane = connection.open_bi().await?;
            askers.push(tokio::spawn(ask(lane, exchange, under_way / lanes, (began, span))));
        }
        let mut micros = Histogram::new(3)?;
        for asker in askers {
            micros.add(asker.await??)?;
        }
        let took = began.elapsed().as_secs_f64();
        let spent = ProcessorTime::of(&pids)?.micros_since(&before.0)
            + ProcessorTime::own()?.micros_since(&before.1);
        connection.close(VarInt::from_u32(0), b"");
        let exchanges = micros.len() as f64;
        Ok(Ceiling { rate: exchanges / took, micros, processor_micros: spent / exchanges })
    }
}

/// Keeps `under_way` frames under way on one lane.
async fn ask(
    (mut sender, mut receiver): (quinn::SendStream, quinn::RecvStream),
    exchange: Exchange,
    under_way: usize,
    (began, span): (Instant, Duration),
) -> Result<Histogram<u64>, Failure> {
    let mut micros = Histogram::new(3)?;
    let wanted = u32::try_from(exchange.reply)?;
    // Replies come in the order of the requests.
    let mut sent = std::collections::VecDeque::new();
    let (mut unread, mut free) = (BytesMut::new(), under_way);
    while began.elapsed() < span {
        let mut requests = BytesMut::with_capacity(free * exchange.request);
        let now = Instant::now();
        for _ in 0..std::mem::take(&mut free) {
            put_frame(&mut requests, exchange.request, wanted);
            sent.push_back(now);
        }
        if !requests.is_empty() {
            sender.write_chunk(requests.freeze()).await?;
        }
        let chunk = receiver.read_chunk(READ_BYTES, true).await?.ok_or("the echo ended")?;
        unread.extend_from_slice(&chunk.bytes);
        while take_frame(&mut unread).is_some() {
            let since = sent.pop_front().ok_or("a reply to nothing")?;
            micros.record(u64::try_from(since.elapsed().as_micros())?.max(1))?;
            free += 1;
        }
    }
    Ok(micros)
}
