//! Workers: processes of this very program that carry out one job after the other.
//!
//! A job goes in as one line of JSON, its outcome comes out as one. Whatever else happens is a verdict as well: the
//! process ends, or takes longer than it may and is killed by its id. The next job then gets a new process.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Broken, Job, Verdict};

/// What is kept of a worker's standard error: a panic with its backtrace.
const SAID_BYTES_MAX: usize = 8 * 1_024;

/// Carries out jobs, each in some process.
pub trait Worker {
    /// Carries out `job`.
    fn carry_out(&mut self, job: &Job) -> Verdict;

    /// The number of the process that carried out the last job; no two processes share one.
    fn process(&self) -> u64;

    /// The next job gets a new process.
    fn renew(&mut self);
}

/// How a worker process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What one job may take.
    pub limit: Duration,
}

/// A worker process, started when it is needed.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    live: Option<Live>,
    number: u64,
}

/// A process that runs.
#[derive(Debug)]
struct Live {
    child: Child,
    jobs: Option<ChildStdin>,
    answers: Receiver<String>,
    said: Option<JoinHandle<String>>,
}

impl Process {
    /// A worker that starts processes as `launch` says.
    pub fn new(launch: Launch) -> Self {
        Self { launch, live: None, number: 0 }
    }

    fn start(&mut self) -> io::Result<Live> {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let mut command = Command::new(&self.launch.program);
        command.args(&self.launch.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        self.number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        // One job, one answer.
        let (sender, answers) = sync_channel(1);
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || forward(stdout, &sender));
        }
        let said = child.stderr.take().map(|stderr| std::thread::spawn(move || tail(stderr)));
        Ok(Live { jobs: child.stdin.take(), child, answers, said })
    }

    /// Sends the job and waits for the answer; `Err` is a process that is of no use any more.
    fn ask(live: &mut Live, job: &Job, limit: Duration) -> Result<Verdict, RecvTimeoutError> {
        let line = serde_json::to_string(job).unwrap_or_default() + "\n";
        let Some(jobs) = live.jobs.as_mut() else {
            return Err(RecvTimeoutError::Disconnected);
        };
        // If the process is gone the answer will say so.
        let _ = jobs.write_all(line.as_bytes()).and_then(|()| jobs.flush());
        let answer = live.answers.recv_timeout(limit)?;
        Ok(serde_json::from_str(&answer).map_err(|error| {
            let how = format!("its answer is no outcome ({error}): {answer}");
            Broken::Died { how, said: String::new() }
        }))
    }
}

impl Worker for Process {
    fn carry_out(&mut self, job: &Job) -> Verdict {
        let mut live = match self.live.take().map_or_else(|| self.start(), Ok) {
            Ok(live) => live,
            Err(error) => {
                let how = format!("{}: {error}", self.launch.program.display());
                return Err(Broken::Died { how, said: String::new() });
            }
        };
        match Self::ask(&mut live, job, self.launch.limit) {
            Ok(verdict) => {
                self.live = Some(live);
                verdict
            }
            Err(RecvTimeoutError::Timeout) => {
                let (_, said) = live.end();
                Err(Broken::Hung { limit: self.launch.limit, said })
            }
            Err(RecvTimeoutError::Disconnected) => {
                // Its output is closed, so it is about to end by itself.
                drop(live.jobs.take());
                let how = live.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                let (_, said) = live.end();
                Err(Broken::Died { how, said })
            }
        }
    }

    fn process(&self) -> u64 {
        self.number
    }

    fn renew(&mut self) {
        if let Some(mut live) = self.live.take() {
            live.end();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.renew();
    }
}

impl Live {
    /// Ends the process, by its id, and returns how it ended and the last that it said.
    fn end(&mut self) -> (String, String) {
        drop(self.jobs.take());
        // A process that has ended already is what was wanted.
        let _ = self.child.kill();
        let how = self.child.wait().map_or_else(|error| error.to_string(), |s| s.to_string());
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        (how, said)
    }
}

/// Hands on line by line until the process closes its output.
fn forward(stdout: ChildStdout, answers: &SyncSender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if answers.send(line).is_err() {
            return;
        }
    }
}

/// Reads to the end and keeps the last of it.
fn tail(mut stderr: ChildStderr) -> String {
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut chunk = [0; 1_024];
    while let Ok(count @ 1..) = stderr.read(&mut chunk) {
        kept.extend(chunk.iter().take(count));
        let excess = kept.len().saturating_sub(SAID_BYTES_MAX);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(kept.make_contiguous()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Launch, Process, Worker};
    use crate::batch::{Broken, Job, Outcome};
    use crate::plan::Tier;

    const JOB: Job = Job::Seed { seed: 3, tier: Tier::Messages };

    fn shell(script: &str) -> Process {
        let arguments = vec!["-c".into(), script.into()];
        let limit = Duration::from_millis(600);
        Process::new(Launch { program: "/bin/sh".into(), arguments, limit })
    }

    #[test]
    fn a_process_answers_job_after_job() {
        let outcome = Outcome { trace_hash: 17, ..Outcome::default() };
        let answer = serde_json::to_string(&outcome).unwrap();
        let mut worker = shell(&format!("while read job; do echo '{answer}'; done"));
        assert_eq!(worker.carry_out(&JOB), Ok(outcome.clone()));
        let process = worker.process();
        assert_eq!(worker.carry_out(&JOB), Ok(outcome.clone()));
        assert_eq!(worker.process(), process);
        worker.renew();
        assert_eq!(worker.carry_out(&JOB), Ok(outcome));
        assert_ne!(worker.process(), process);
    }

    #[test]
    fn death_is_told_with_its_last_words_and_a_new_process_follows() {
        let mut worker = shell("read job; echo 'no way' >&2; exit 101");
        let verdict = worker.carry_out(&JOB);
        let Err(Broken::Died { how, said }) = verdict else { panic!("{verdict:?}") };
        assert!(how.contains("101") && said.contains("no way"), "{how}: {said}");
        let process = worker.process();
        assert!(matches!(worker.carry_out(&JOB), Err(Broken::Died { .. })));
        assert_ne!(worker.process(), process);
    }

    #[test]
    fn a_run_without_end_is_ended() {
        let mut worker = shell("read job; exec sleep 60");
        assert!(matches!(worker.carry_out(&JOB), Err(Broken::Hung { .. })));
    }

    #[test]
    fn what_is_no_outcome_is_no_success() {
        let mut worker = shell("read job; echo hello; read job");
        assert!(matches!(worker.carry_out(&JOB), Err(Broken::Died { .. })));
    }
}
