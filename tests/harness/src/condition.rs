//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// How often a condition is checked.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `look` returns a value. Until then `look` returns what it saw, for the message of the panic.
///
/// # Panics
///
/// When it does not within `deadline`.
pub async fn eventually<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begin = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) => assert!(begin.elapsed() < deadline, "not within {deadline:?}: {what}; last seen: {seen}"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
