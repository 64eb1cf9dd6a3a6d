//! Failing system calls of a node that runs: strace puts errors of our choice in the place of the kernel's answers.
//!
//! The files, the node and its threads are real; only what a call returns is not. Where strace is not installed, or may
//! not trace, these tests cannot run: they say so, and pass. `.ci/run` installs it, and sets `ATOLL_TEST_STRACE=required`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{NodeProcess, until};

/// An strace that works.
#[derive(Debug)]
pub(crate) struct Strace(());

/// Makes calls of a node fail until it is lifted or dropped.
#[derive(Debug)]
pub(crate) struct FailingCalls {
    strace: Child,
}

impl Strace {
    /// `None`, with a word on stderr, if there is none.
    pub(crate) fn find() -> Option<Strace> {
        let tried = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
        let is_required = std::env::var("ATOLL_TEST_STRACE").is_ok_and(|value| value == "required");
        match tried {
            Ok(status) if status.success() => Some(Strace(())),
            failed => {
                assert!(!is_required, "strace is required and does not work: {failed:?}");
                eprintln!(
                    "not tested: strace does not work here (apt-get install strace): {failed:?}"
                );
                None
            }
        }
    }

    /// Lets every one of `calls` of `node` fail with `error`, from now on; `folder` is for what strace says.
    pub(crate) async fn fail(
        &self,
        node: &NodeProcess,
        calls: &[&str],
        error: &str,
        folder: &Path,
    ) -> FailingCalls {
        let said: PathBuf = folder.join("strace.log");
        let calls = calls.join(",");
        let strace = Command::new("strace")
            .args(["--follow-forks", "--attach", &node.pid().to_string()])
            .args(["--trace", &calls, "--inject", &format!("{calls}:error={error}")])
            .args(["--output", "/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let mut failing = FailingCalls { strace };
        until("strace is attached", async || {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            let ended = failing.strace.try_wait().unwrap();
            assert!(ended.is_none(), "strace ended with {ended:?}: {said}");
            if said.contains(" attached") { Ok(()) } else { Err(said) }
        })
        .await;
        failing
    }
}

impl FailingCalls {
    /// Waits until the node's calls are the kernel's again.
    pub(crate) async fn lift(mut self) {
        kill_process(Pid::from_child(&self.strace), Signal::TERM).unwrap();
        until("strace has let go", async || {
            self.strace.try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
        })
        .await;
    }
}

impl Drop for FailingCalls {
    fn drop(&mut self) {
        // The kernel lets go of what is traced when the tracer dies.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
