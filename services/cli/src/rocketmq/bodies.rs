//! Where the bodies of sent messages come from: the command line, files, lines, or a generator.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use rocketbridge_node::config::ByteSize;

/// Where bodies come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// The same one, so many times.
    Same(Bytes, u64),
    /// Each file is one; `-` is standard input.
    Files(Vec<PathBuf>),
    /// Each line of these files is one, without its line end.
    Lines(Vec<PathBuf>),
    /// So many of random bytes; the same ones every time.
    Random {
        /// How many.
        count: u64,
        /// How large.
        size: ByteSize,
    },
}

impl Bodies {
    /// Gives each body to `take` until that says to stop. Reads as it goes: nothing is held beyond one body. May block.
    pub fn each(self, mut take: impl FnMut(Bytes) -> bool) -> Result<(), Unreadable> {
        match self {
            Self::Same(body, count) => drop((0..count).all(|_| take(body.clone()))),
            Self::Random { count, size } => drop((0..count).all(|number| take(random(number, size)))),
            Self::Files(paths) => {
                for path in paths {
                    let mut body = Vec::new();
                    open(&path).and_then(|mut file| file.read_to_end(&mut body)).map_err(|source| Unreadable { path, source })?;
                    if !take(body.into()) {
                        break;
                    }
                }
            }
            Self::Lines(paths) => {
                for path in paths {
                    let lines = open(&path).and_then(|file| lines(file, &mut take));
                    if !lines.map_err(|source| Unreadable { path, source })? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", .path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

fn lines(mut file: impl BufRead, take: &mut impl FnMut(Bytes) -> bool) -> io::Result<bool> {
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        let content = line.strip_suffix(b"\n").map_or(line.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
        if !take(Bytes::copy_from_slice(content)) {
            return Ok(false);
        }
        line.clear();
    }
    Ok(true)
}

/// Bytes that do not compress (xorshift64*), different for each number.
fn random(number: u64, size: ByteSize) -> Bytes {
    let size = usize::try_from(size.0).unwrap_or(usize::MAX);
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut body = BytesMut::with_capacity(size.saturating_add(8));
    while body.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        body.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    body.truncate(size);
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(bodies: Bodies, most: usize) -> Vec<Bytes> {
        let mut collected = Vec::new();
        let all = bodies.each(|body| {
            collected.push(body);
            collected.len() < most
        });
        all.expect("readable");
        collected
    }

    #[test]
    fn lines_and_files_keep_their_bytes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("f");
        std::fs::write(&path, b"a\r\n\xff\n\nlast").expect("written");
        assert_eq!(collect(Bodies::Lines(vec![path.clone()]), 9), [&b"a"[..], b"\xff", b"", b"last"]);
        assert_eq!(collect(Bodies::Lines(vec![path.clone()]), 2), [&b"a"[..], b"\xff"]);
        assert_eq!(collect(Bodies::Files(vec![path]), 9), [&b"a\r\n\xff\n\nlast"[..]]);
        assert!(Bodies::Files(vec!["/nonexistent".into()]).each(|_| true).is_err());
    }

    #[test]
    fn generated_bodies_differ_and_repeat() {
        let bodies = collect(Bodies::Random { count: 3, size: ByteSize(17) }, 9);
        assert_eq!(bodies, collect(Bodies::Random { count: 3, size: ByteSize(17) }, 9));
        assert!(bodies.iter().all(|body| body.len() == 17) && bodies[0] != bodies[1]);
        assert_eq!(collect(Bodies::Same("x".into(), 2), 9), ["x", "x"]);
    }
}
