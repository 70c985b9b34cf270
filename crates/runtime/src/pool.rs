//! A named pool of threads for work that holds up a thread: evaluation, compilation, decompression.
//!
//! Guarantees: at most as many jobs run as there are threads; others wait in the order in which they came, without a queue of their own: the
//! caller waits. A caller that is dropped while it waits leaves nothing behind; a job that runs already ends, and its result is dropped.
//! Jobs should be slices of a few milliseconds, so that everybody gets a turn.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that work. Cheap to clone; they end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Pool {
    jobs: SyncSender<Job>,
    free: Arc<Semaphore>,
}

impl Pool {
    /// Starts threads, one for each processor. `name` is what debuggers and `top -H` show, at most 12 bytes of it.
    ///
    /// # Errors
    ///
    /// When the system has no more threads.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_threads(name, processors)
    }

    /// As [`start`](Self::start), with so many threads, at least one.
    ///
    /// # Errors
    ///
    /// When the system has no more threads.
    pub fn with_threads(name: &str, threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        // A job is sent only with a permit, so there is always room.
        let (jobs, queue) = sync_channel(threads);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || work(&queue))?;
        }
        Ok(Self { jobs, free: Arc::new(Semaphore::new(threads)) })
    }

    /// Runs a job and answers its result. Cancel-safe: see the module.
    ///
    /// # Panics
    ///
    /// When the job does.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(job));
            // The thread is as good as free; given back later, the next job would wait for a thread that waits for it.
            drop(permit);
            let _ = answer.send(result);
        });
        self.jobs.send(job).expect("threads end when the last sender is dropped");
        match answered.await.expect("a job answers, whatever happens in it") {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while this thread waits; the others wait for the lock instead, which is the same.
        let job = queue.lock().recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// *Scenario*: a hundred jobs on two threads, one of which panics. *Guarantees*: all run, on threads of the pool's name, never more than
    /// two at a time; the panic reaches its caller only.
    #[tokio::test]
    async fn jobs_run_on_named_threads_and_never_more_than_there_are() {
        let pool = Pool::with_threads("test", 2).expect("threads");
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs = (0..100).map(|number| {
            let (pool, running, most) = (pool.clone(), running.clone(), most.clone());
            tokio::spawn(async move {
                pool.run(move || {
                    assert!(number != 50, "a panic");
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_micros(100));
                    running.fetch_sub(1, Ordering::SeqCst);
                    std::thread::current().name().is_some_and(|name| name.starts_with("test-"))
                })
                .await
            })
        });
        let results = futures::future::join_all(jobs).await;
        assert_eq!(results.iter().filter(|result| result.as_ref().is_ok_and(|named| *named)).count(), 99);
        assert!(results[50].is_err());
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    /// *Scenario*: the only thread is busy; a caller gives up while it waits. *Guarantees*: its job never runs, and the next one does.
    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_nothing_behind() {
        let pool = Pool::with_threads("test", 1).expect("threads");
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (started, begun) = oneshot::channel();
        let busy = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    let _ = started.send(());
                    let _ = wait.recv();
                })
                .await;
            }
        });
        begun.await.expect("it begins");
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = ran.clone();
        let given_up = pool.run(move || counted.fetch_add(1, Ordering::SeqCst));
        assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
        go.send(()).expect("it waits");
        busy.await.expect("it ends");
        assert_eq!(pool.run(|| 7).await, 7);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }
}
