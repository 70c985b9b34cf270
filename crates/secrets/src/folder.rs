//! Files below a folder.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Longest file that is read, bytes: a secret, a token or a private key with its certificates.
const LONGEST: u64 = 65_536;

/// A folder that files are read below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of this path, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path as it was given.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether an absolute path is written as one below this folder.
    pub fn holds(&self, path: &Path) -> bool {
        path.strip_prefix(&self.0).is_ok_and(is_plain)
    }

    /// Reads a file below the folder as text. `path` is relative to the folder, or absolute and below it.
    ///
    /// Links are followed within the folder, as Kubernetes makes them for what it projects, and never out of it. Only regular files of at most 64 KiB are read.
    /// The error never shows what is in a file.
    pub fn read(&self, path: &Path) -> Result<String, String> {
        let relative = if path.is_absolute() { path.strip_prefix(&self.0).ok() } else { Some(path) };
        let Some(relative) = relative.filter(|relative| is_plain(relative)) else {
            return Err(format!("it is not below {}", self.0.display()));
        };
        let root =
            self.0.canonicalize().map_err(|error| format!("the folder {} cannot be opened: {}", self.0.display(), reason(&error)))?;
        let file = root.join(relative).canonicalize().map_err(|error| reason(&error))?;
        if !file.starts_with(&root) {
            return Err(format!("it is a link out of {}", self.0.display()));
        }
        read(&file)
    }
}

/// Reads any regular file that is not too long, as text.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    // Not to wait for whoever should write to a pipe; the path is canonical, so a link was put there this moment.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| reason(&error))?;
    text(file)
}

fn text(file: File) -> Result<String, String> {
    if !file.metadata().map_err(|error| reason(&error))?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| reason(&error))?;
    if text.len() as u64 > LONGEST { Err(format!("it is longer than {LONGEST} bytes")) } else { Ok(text) }
}

/// Whether a path only goes down.
fn is_plain(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_))) && path.components().next().is_some()
}

pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// *Scenario*: a folder with a file, a file below a further folder, links as Kubernetes makes them, links out of the folder to a file and to a folder, a pipe, a device by
    /// link, a folder, a file that is too long and one that is not text. *Guarantees*: what is in the folder is read, however it is written; everything else is refused, and
    /// nothing waits for a pipe.
    #[test]
    fn only_files_of_the_folder_are_read() {
        let place = tempfile::tempdir().expect("a folder");
        let root = place.path().join("secrets");
        std::fs::create_dir_all(root.join("..2024/deep")).expect("folders");
        std::fs::write(place.path().join("outside"), "outside").expect("a file");
        std::fs::write(root.join("plain"), "plain\n").expect("a file");
        std::fs::write(root.join("..2024/token"), "token").expect("a file");
        symlink("..2024", root.join("..data")).expect("a link");
        symlink("..data/token", root.join("token")).expect("a link");
        symlink("../outside", root.join("leak")).expect("a link");
        symlink("..", root.join("up")).expect("a link");
        symlink("/dev/zero", root.join("zero")).expect("a link");
        std::fs::write(root.join("long"), "x".repeat(65_537)).expect("a file");
        std::fs::write(root.join("binary"), [0xff, 0xfe]).expect("a file");
        let pipe = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().expect("mkfifo");
        assert!(pipe.success());
        let folder = Folder::new(&root);
        let read = |path: &str| folder.read(Path::new(path));
        assert_eq!(read("plain").as_deref(), Ok("plain\n"));
        assert_eq!(read("token").as_deref(), Ok("token"));
        assert_eq!(read(root.join("plain").to_str().expect("text")).as_deref(), Ok("plain\n"));
        let (out, below) = (format!("it is a link out of {}", root.display()), format!("it is not below {}", root.display()));
        let outside = place.path().join("outside");
        for (path, expected) in [
            ("leak", out.as_str()),
            ("up/outside", &out),
            ("zero", &out),
            ("../outside", &below),
            ("a/../plain", &below),
            ("", &below),
            ("/etc/passwd", &below),
            (outside.to_str().expect("text"), &below),
            (root.to_str().expect("text"), &below),
            ("..2024", "it is not a regular file"),
            ("pipe", "it is not a regular file"),
            ("long", "it is longer than 65536 bytes"),
            ("binary", "it is not text in UTF-8"),
            ("absent", "there is no such file"),
        ] {
            assert_eq!(read(path).as_ref().map_err(String::as_str), Err(expected), "{path}");
        }
    }
}
