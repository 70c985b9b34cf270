//! Rules that are added and removed one by one while others are matched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rocketbridge_pattern::{Index, JsonEvent, Options, Pattern};

use crate::many::two_field_index;

/// Prints what an update takes, and the longest that a matching thread was kept from its next answer.
pub fn show(events: &[String], rules: usize) {
    const UPDATES: usize = 5_000;
    println!("\n## One rule added and one removed, beside {rules} rules (goal: 20 us, and 1 ms for the longest pause)");
    let index = two_field_index(rules);
    let text = r#"{"data":{"body":{"customer":["nobody"],"kind":["none"]}}}"#;
    let pattern = Pattern::compile(text, &Options::default()).expect("the pattern is well formed");
    let (mut added, mut removed) = (Vec::with_capacity(UPDATES), Vec::with_capacity(UPDATES));
    let quiet = longest_pause(&index, events, || thread::sleep(Duration::from_millis(300)));
    let busy = longest_pause(&index, events, || {
        for number in 0..UPDATES {
            let name = format!("more-{number}");
            let begin = Instant::now();
            index.insert(&name, &pattern);
            added.push(begin.elapsed());
            let begin = Instant::now();
            index.remove(&name);
            removed.push(begin.elapsed());
        }
    });
    for (what, times) in [("added", &mut added), ("removed", &mut removed)] {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 1_000].as_secs_f64() * 1e6;
        println!("  {what:<8} p50 {:.1} us, p99 {:.1} us", at(500), at(990));
    }
    println!("  longest pause of a matching thread: {} during updates, {} without", pause(&busy), pause(&quiet));
}

/// A pause between two answers: on the clock, and as time the thread itself spent. The machine may give the thread's core to somebody else;
/// what the engine makes it wait for by copying or computing is in the second.
struct Pauses {
    clock: Vec<Duration>,
    spent: Vec<Duration>,
}

/// Pauses between answers while `work` runs, in ascending order.
fn longest_pause(index: &Index, events: &[String], work: impl FnOnce()) -> Pauses {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut pauses = Pauses { clock: Vec::new(), spent: Vec::new() };
            let (mut last, mut last_spent) = (Instant::now(), spent());
            while !done.load(Ordering::Relaxed) {
                for event in events.iter().take(100) {
                    let found = index.snapshot().matches(&JsonEvent::new(event)).expect("the event is well formed").len();
                    std::hint::black_box(found);
                    let (now, now_spent) = (Instant::now(), spent());
                    pauses.clock.push(now - last);
                    pauses.spent.push(now_spent - last_spent);
                    (last, last_spent) = (now, now_spent);
                }
            }
            pauses.clock.sort_unstable();
            pauses.spent.sort_unstable();
            pauses
        });
        work();
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader did not panic")
    })
}

/// Processor time of this thread.
fn spent() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists, and the time can be written to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn pause(pauses: &Pauses) -> String {
    let most = |times: &[Duration]| times.last().copied().unwrap_or_default().as_secs_f64() * 1e6;
    format!("{:.0} us ({:.0} us of them its own)", most(&pauses.clock), most(&pauses.spent))
}
