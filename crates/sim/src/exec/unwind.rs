//! Panics and exits of simulated processes: both unwind to the executor, which tells them apart.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;

thread_local! {
    /// Where and why this thread last panicked.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Why the process that is running now asked to exit, first of all.
    static EXIT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// How foreign code ended, if not by returning.
pub(super) enum Panic {
    /// It asked to exit.
    Exit(String),
    /// It panicked.
    Message(String),
}

struct ExitMarker;

/// Ends the process that is running now. Whoever catches the unwinding on its way and exits once more does not change
/// the reason.
pub(super) fn exit(reason: &str) -> ! {
    EXIT.with(|exit| {
        exit.borrow_mut().get_or_insert_with(|| reason.to_owned());
    });
    resume_unwind(Box::new(ExitMarker))
}

/// Keeps what a panic says instead of printing it.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_ours = LAST.with(|last| {
                let Ok(mut last) = last.try_borrow_mut() else { return false };
                let is_ours = last.is_some();
                if is_ours {
                    *last = Some(info.to_string());
                }
                is_ours
            });
            if !is_ours {
                before(info);
            }
        }));
    });
}

/// Runs foreign code; nothing of ours is left in a broken state by its unwinding, because no lock of ours is held.
pub(super) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, Panic> {
    let outer = LAST.with(|last| last.replace(Some(String::new())));
    let outcome = catch_unwind(AssertUnwindSafe(code));
    let said = LAST.with(|last| last.replace(outer)).unwrap_or_default();
    let exit = EXIT.with(|exit| exit.borrow_mut().take());
    outcome.map_err(|_| match exit {
        Some(reason) => Panic::Exit(reason),
        None => Panic::Message(said),
    })
}
