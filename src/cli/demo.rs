//! `atoll demo`: the tour, by [`crate::demo`]. It prints by itself; here its end becomes an exit code.

use super::exit::Error;
use super::output::Console;

/// `atoll demo`.
pub(super) async fn demo(console: &mut Console) -> Result<(), Error> {
    let (out, _) = console.writers();
    crate::demo::run(out).await.map(drop).map_err(Error::Demo)
}
