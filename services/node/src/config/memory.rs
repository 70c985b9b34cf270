//! How much memory there is, for the default of the budget.

use std::fs;

use super::ByteSize;

/// The smallest budget that is accepted.
pub(super) const LEAST_BUDGET: ByteSize = ByteSize(16 << 20);
/// The largest budget that is accepted.
pub(super) const MOST_BUDGET: ByteSize = ByteSize(1 << 40);
/// The default is at least and at most this.
const DEFAULT: (u64, u64) = (64 << 20, 4 << 30);

/// A quarter of what this process may use, in whole MiB, at most 4 GiB.
pub(super) fn default_budget() -> ByteSize {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").as_deref().and_then(machine).unwrap_or(1 << 30);
    let group = read("/sys/fs/cgroup/memory.max").as_deref().and_then(group).unwrap_or(u64::MAX);
    ByteSize(budget_of(machine.min(group)))
}

fn budget_of(memory: u64) -> u64 {
    (memory / 4).clamp(DEFAULT.0, DEFAULT.1) >> 20 << 20
}

/// `MemTotal` of /proc/meminfo, bytes.
fn machine(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The limit of a control group, bytes; `max` is none.
fn group(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_memory_within_bounds() {
        assert_eq!(machine("MemFree: 1 kB\nMemTotal:       24644124 kB\n"), Some(24_644_124 << 10));
        assert_eq!((group("max\n"), group("2147483648\n")), (None, Some(2 << 30)));
        assert_eq!([1 << 20, 2 << 30, (2 << 30) + 5, 1 << 40].map(budget_of), [64 << 20, 512 << 20, 512 << 20, 4 << 30]);
        assert!((LEAST_BUDGET..=MOST_BUDGET).contains(&default_budget()));
    }
}
