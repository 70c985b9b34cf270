//! The data folder of a standalone process: for its user alone.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;

/// What the folder allows: its owner everything, nobody else anything. What is in it needs no permissions of its own then.
const PRIVATE: u32 = 0o700;

/// Makes the folder, or closes one that is there to others. A folder of another user is left as it is, with a warning.
pub(crate) fn folder(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE)
        .create(path)
        .with_context(|| format!("cannot make the data folder {}", path.display()))?;
    let mode = std::fs::metadata(path).with_context(|| format!("cannot look at the data folder {}", path.display()))?.permissions().mode();
    if mode & 0o077 != 0
        && let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(PRIVATE))
    {
        tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), %error, "other users can look into the data folder");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a data folder that is not there, and one that others may read. *Guarantees*: afterwards nobody else may look into it.
    #[test]
    fn a_data_folder_is_for_its_user_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let new = place.path().join("a/data");
        folder(&new).expect("made");
        let open = place.path().join("open");
        std::fs::create_dir(&open).expect("made");
        std::fs::set_permissions(&open, Permissions::from_mode(0o755)).expect("set");
        folder(&open).expect("closed");
        assert_eq!((mode(&new), mode(&open)), (0o700, 0o700));
    }
}
