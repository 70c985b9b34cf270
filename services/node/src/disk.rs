//! Whether the disk of the embedded RocketMQ has room.
//!
//! The embedded broker does not start on a disk that is more than 90 % full, and says nothing of the disk then. So this is checked first.

use std::path::{Path, PathBuf};

/// Percentage of use beyond which the embedded broker stores nothing (`disk_warning_ratio`, which the library bounds to 0.9).
const FULL: u64 = 90;

/// The disk is too full.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk that holds {} is {percent} % full ({} MiB of {} MiB are free), and the embedded RocketMQ stores nothing on a disk that is more than \
     {FULL} % full; free some space, or put the data on another disk with --data-dir DIR (data_dir in the configuration), or run without it: \
     --embedded-rocketmq=false (embedded_rocketmq in the configuration)",
    path.display(), available >> 20, total >> 20
)]
pub(crate) struct Full {
    path: PathBuf,
    percent: u64,
    available: u64,
    total: u64,
}

/// Checks the disk that holds a path, or will hold it once it is made. A disk that cannot be asked is not refused for that.
pub(crate) fn check(path: &Path) -> Result<(), Full> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(path);
    match rustix::fs::statvfs(existing) {
        Ok(disk) => judge(path, disk.f_blocks.saturating_mul(disk.f_frsize), disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "the disk cannot be asked how full it is");
            Ok(())
        }
    }
}

/// Judges a disk by its size, and what of it a user may still take, in bytes.
fn judge(path: &Path, total: u64, available: u64) -> Result<(), Full> {
    let used = u128::from(total.saturating_sub(available));
    let is_full = used * 100 > u128::from(total) * u128::from(FULL);
    let percent = u64::try_from(used * 100 / u128::from(total.max(1))).unwrap_or(100);
    if is_full { Err(Full { path: path.to_owned(), percent, available, total }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: disks of any size that are exactly as full as the broker allows, and a little fuller; one without a size. *Guarantees*: only the fuller one is
    /// refused, and the message names path, percentage, free space and each way out.
    #[test]
    fn a_disk_that_is_too_full_is_refused_with_cause_and_fix() {
        let path = Path::new("/data/rocketmq");
        assert_eq!(judge(path, 1_000, 100), Ok(()));
        assert_eq!(judge(path, 0, 0), Ok(()));
        assert_eq!(judge(path, u64::MAX, u64::MAX / 2), Ok(()));
        let full = judge(path, 400 << 20, 27 << 20).expect_err("more than 90 %");
        let text = full.to_string();
        let expected =
            "the disk that holds /data/rocketmq is 93 % full (27 MiB of 400 MiB are free), and the embedded RocketMQ stores nothing";
        assert!(text.starts_with(expected), "{text}");
        for fix in ["--data-dir DIR", "--embedded-rocketmq=false", "free some space"] {
            assert!(text.contains(fix), "{text}");
        }
        assert!(judge(path, 1_000, 99).is_err());
    }

    /// *Scenario*: a directory that does not exist yet. *Guarantees*: the disk that will hold it is asked.
    #[test]
    fn a_directory_that_is_not_made_yet_is_judged_by_its_parent() {
        let directory = tempfile::tempdir().expect("a directory");
        let (here, below) = (check(directory.path()), check(&directory.path().join("not/made/yet")));
        assert_eq!(here.is_ok(), below.is_ok());
    }
}
