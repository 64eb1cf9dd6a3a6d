//! The executor's own laws.

use std::sync::Arc;
use std::time::Duration;

use atolldb::env::Env;
use parking_lot::Mutex;

use super::{ClockSetting, Exec, ProcessId, Trace};
use crate::prng::Prng;

fn process(exec: &Exec) -> ProcessId {
    exec.add_process(ClockSetting::default(), Prng::stream(1, "process"))
}

fn run(exec: &Exec) {
    while exec.step() {}
}

/// Four tasks that each write their number three times, yielding through a timer in between.
fn order(seed: u64) -> (Vec<u32>, u64) {
    let exec = Exec::new(seed, Trace::Hash);
    let (_, env) = exec.start_process(process(&exec));
    let log = Arc::new(Mutex::new(Vec::new()));
    for task in 0..4 {
        let (env, log) = (env.clone(), log.clone());
        let timer = env.clone();
        env.spawn(
            "writer",
            Box::pin(async move {
                for _ in 0..3 {
                    log.lock().push(task);
                    // bounded poll: virtual time
                    timer.sleep(Duration::from_millis(1)).await;
                }
            }),
        );
    }
    run(&exec);
    let log = log.lock().clone();
    (log, exec.notes().hash())
}

#[test]
fn a_seed_decides_the_order_and_another_seed_another_one() {
    assert_eq!(order(5), order(5));
    let orders: std::collections::BTreeSet<_> = (0..20).map(order).collect();
    assert!(orders.len() > 10, "{} orders from 20 seeds", orders.len());
}

async fn append(env: Env, log: Arc<Mutex<Vec<&'static str>>>, what: &'static str, after_ms: u64) {
    // bounded poll: virtual time
    env.sleep(Duration::from_millis(after_ms)).await;
    log.lock().push(what);
}

#[test]
fn the_dead_do_nothing_and_the_paused_do_it_later() {
    let exec = Exec::new(1, Trace::Hash);
    let (dying, pausing) = (process(&exec), process(&exec));
    let log = Arc::new(Mutex::new(Vec::new()));
    let (_, mortal) = exec.start_process(dying);
    let (_, sleeper) = exec.start_process(pausing);
    mortal.spawn("a", Box::pin(append(mortal.clone(), log.clone(), "early", 1)));
    mortal.spawn("b", Box::pin(append(mortal.clone(), log.clone(), "never", 10)));
    sleeper.spawn("c", Box::pin(append(sleeper.clone(), log.clone(), "late", 3)));
    exec.pause(pausing);
    let (killer, waker) = (exec.clone(), exec.clone());
    exec.after(Duration::from_millis(5), None, move || killer.kill(dying));
    exec.after(Duration::from_millis(20), None, move || waker.resume(pausing));
    run(&exec);
    assert_eq!(*log.lock(), ["early", "late"]);
    assert!(exec.now().as_nanos() >= 20_000_000);
    assert!(exec.tasks_of(dying).is_empty());
}

#[test]
fn exits_and_panics_are_told_apart_and_end_nothing_else() {
    let exec = Exec::new(1, Trace::Hash);
    let (owner, env) = exec.start_process(process(&exec));
    let exiting = env.clone();
    env.spawn("exit", Box::pin(async move { exiting.exit("the disk is gone") }));
    env.spawn("panic", Box::pin(async { panic!("broken") }));
    run(&exec);
    let mut reasons: Vec<String> =
        exec.take_deaths().into_iter().map(|death| death.reason).collect();
    reasons.sort();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].starts_with("panicked: ") && reasons[0].contains("broken"), "{reasons:?}");
    assert_eq!(reasons[1], "the disk is gone");
    assert!(exec.is_alive(owner), "the world decides what a death means");
}

#[test]
fn blocking_jobs_take_time_and_give_their_result() {
    let exec = Exec::new(1, Trace::Hash);
    let (_, env) = exec.start_process(process(&exec));
    let result = Arc::new(Mutex::new(None));
    let (told, job_env) = (result.clone(), env.clone());
    env.spawn(
        "job",
        Box::pin(async move {
            let value = job_env.blocking(|| 6 * 7).await;
            *told.lock() = Some((value, job_env.mono()));
        }),
    );
    run(&exec);
    let (value, at) = result.lock().unwrap();
    assert_eq!(value, 42);
    assert!(at.as_nanos() >= 20_000);
}
