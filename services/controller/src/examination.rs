//! Checks of definitions, away from the threads that serve.
//!
//! A pattern of 256 KiB takes a while to compile, and ten thousand streams take a while to compare. However many requests ask for that, few are looked at
//! at once; the others wait, each in its own call, so that the process renews its lease and serves everybody else meanwhile.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Checks that run at once.
const TOGETHER: usize = 2;

/// Where checks run. Cheap to clone; clones share the places.
#[derive(Clone, Debug)]
pub struct Examination {
    free: Arc<Semaphore>,
}

impl Default for Examination {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(TOGETHER)) }
    }
}

impl Examination {
    /// Runs a check and returns its result. A caller that is dropped while it waits leaves nothing behind; a check that runs already ends.
    ///
    /// # Panics
    ///
    /// When the check does.
    pub async fn run<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        let checked = tokio::task::spawn_blocking(move || {
            let result = check();
            drop(permit);
            result
        });
        match checked.await {
            Ok(result) => result,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// *Scenario*: 50 checks that each hold up their thread, asked for at once. *Guarantees*: never more than two run, all are done.
    #[tokio::test]
    async fn few_run_at_once() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let examination = Examination::default();
        let checks = (0..50).map(|number| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            examination.run(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                running.fetch_sub(1, Ordering::SeqCst);
                number
            })
        });
        let done = futures::future::join_all(checks).await;
        assert_eq!((done.len(), most.load(Ordering::SeqCst)), (50, 2));
    }
}
