//! Bodies that a producer compressed: zlib, LZ4 or Zstandard, as the message's system flag says.
//!
//! An event's body travels and is delivered as it was stored; code that must read it calls [`plain`]. This takes time and memory in
//! proportion to the plain body, which is bounded ([`MOST`]): call it off the asynchronous threads, for one body at a time.

use std::borrow::Cow;
use std::io::Read;

use bytes::Bytes;
use rocketbridge_model::Envelope;
use rocketbridge_model::event::system_flag;

/// Longest plain body: a compressed one of a few KiB could claim any length. Producers send at most 4 MiB unless they are set up otherwise.
pub const MOST: usize = 64 * 1024 * 1024;
/// `CompressionType` of Apache RocketMQ, in its place in the system flag; none is zlib, as before 5.0.
const LZ4: i32 = 1 << 8;
const ZSTANDARD: i32 = 2 << 8;
/// First bytes of an LZ4 frame.
const LZ4_FRAME: u32 = 0x184D_2204;
/// An LZ4 block becomes at most so many times longer: a byte of a length adds 255.
const LZ4_GROWTH: usize = 255;

/// The body as its producer had it: the body itself if it is not compressed.
///
/// # Errors
/// The body is not what its flag says, or would be longer than [`MOST`].
pub fn plain(envelope: &Envelope) -> Result<Cow<'_, Bytes>, Error> {
    if envelope.is_compressed() {
        decompress(&envelope.body, envelope.system_flag).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(&envelope.body))
    }
}

/// Decompresses what a system flag describes.
///
/// # Errors
/// As [`plain`].
pub fn decompress(body: &[u8], flag: i32) -> Result<Bytes, Error> {
    let (kind, plain) = match flag & system_flag::COMPRESSION_KIND {
        LZ4 => ("LZ4", lz4(body)),
        ZSTANDARD => ("Zstandard", zstd::stream::read::Decoder::new(body).map_err(Fault::from).and_then(limited)),
        _ => ("zlib", limited(flate2::read::ZlibDecoder::new(body))),
    };
    plain.map_err(|fault| Error { kind, length: body.len(), fault })
}

/// Why a body cannot be decompressed.
#[derive(Debug, thiserror::Error)]
#[error("cannot decompress a body of {length} bytes by {kind}: {fault}")]
pub struct Error {
    kind: &'static str,
    length: usize,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it is cut off")]
    Cut,
    #[error("it would be longer than {} MiB", MOST >> 20)]
    TooLong,
    #[error("it is an LZ4 frame of linked blocks or of another version")]
    Frame,
    #[error("{0}")]
    Malformed(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

fn limited(reader: impl Read) -> Result<Bytes, Fault> {
    let mut plain = Vec::new();
    reader.take(MOST as u64 + 1).read_to_end(&mut plain)?;
    if plain.len() > MOST { Err(Fault::TooLong) } else { Ok(plain.into()) }
}

/// Java writes LZ4 frames of independent blocks; the Rust client writes one block behind its length.
fn lz4(body: &[u8]) -> Result<Bytes, Fault> {
    let word = body.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)).ok_or(Fault::Cut)?;
    if word == LZ4_FRAME {
        return lz4_frame(&body[4..]);
    }
    let plain = lz4_block(&body[4..], word as usize)?;
    if plain.len() == word as usize { Ok(plain.into()) } else { Err(Fault::Cut) }
}

/// The LZ4 frame format: descriptor, blocks, end mark. Checksums are not compared: TCP and the broker did.
fn lz4_frame(mut frame: &[u8]) -> Result<Bytes, Fault> {
    let [flags, block, ..] = *frame else { return Err(Fault::Cut) };
    let independent = flags & 0x20 != 0;
    if !independent || flags >> 6 != 1 {
        return Err(Fault::Frame);
    }
    let descriptor = 2 + if flags & 0x08 != 0 { 8 } else { 0 } + if flags & 0x01 != 0 { 4 } else { 0 } + 1;
    let block_checksum = if flags & 0x10 != 0 { 4 } else { 0 };
    let block_maximum = 1_usize << (8 + 2 * usize::from((block >> 4) & 7));
    frame = frame.get(descriptor..).ok_or(Fault::Cut)?;
    let mut plain = Vec::new();
    loop {
        let (size, rest) = frame.split_first_chunk::<4>().ok_or(Fault::Cut)?;
        let size = u32::from_le_bytes(*size);
        let (stored, size) = (size >> 31 == 1, (size & 0x7FFF_FFFF) as usize);
        if size == 0 {
            return Ok(plain.into());
        }
        let data = rest.get(..size).ok_or(Fault::Cut)?;
        if stored {
            plain.extend_from_slice(data);
        } else {
            plain.extend_from_slice(&lz4_block(data, block_maximum)?);
        }
        if plain.len() > MOST {
            return Err(Fault::TooLong);
        }
        frame = rest.get(size + block_checksum..).ok_or(Fault::Cut)?;
    }
}

/// Decompresses a block of at most `most` bytes. No more memory is taken than the block could fill.
fn lz4_block(block: &[u8], most: usize) -> Result<Vec<u8>, Fault> {
    if most > MOST {
        return Err(Fault::TooLong);
    }
    let most = most.min(block.len().saturating_mul(LZ4_GROWTH));
    lz4_flex::block::decompress(block, most).map_err(|error| Fault::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text() -> Vec<u8> {
        (0..=255).cycle().take(100_000).collect()
    }

    /// *Scenario*: one body in each form that producers write, and one that is not compressed. *Guarantees*: the same bytes come out; the last is
    /// not copied.
    #[test]
    fn every_form_is_read() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&text()).expect("to memory");
        let zlib = zlib.finish().expect("to memory");
        assert_eq!(decompress(&zlib, 1).expect("zlib without a kind"), text());
        assert_eq!(decompress(&zlib, 1 | 3 << 8).expect("zlib"), text());
        let zstandard = zstd::stream::encode_all(&text()[..], 3).expect("to memory");
        assert_eq!(decompress(&zstandard, 1 | ZSTANDARD).expect("Zstandard"), text());
        let block = lz4_flex::block::compress(&text());
        let mut sized = u32::try_from(text().len()).expect("short").to_le_bytes().to_vec();
        sized.extend(&block);
        assert_eq!(decompress(&sized, 1 | LZ4).expect("a sized LZ4 block"), text());
        // Version 1, independent blocks of at most 4 MiB: one compressed, one stored.
        let mut frame = LZ4_FRAME.to_le_bytes().to_vec();
        frame.extend([0x60, 0x70, 0]);
        frame.extend(u32::try_from(block.len()).expect("short").to_le_bytes());
        frame.extend(&block);
        frame.extend((3_u32 | 1 << 31).to_le_bytes());
        frame.extend([1, 2, 3, 0, 0, 0, 0]);
        assert_eq!(decompress(&frame, 1 | LZ4).expect("an LZ4 frame"), [&text()[..], &[1, 2, 3]].concat());
        for length in 0..frame.len() {
            decompress(&frame[..length], 1 | LZ4).expect_err("a cut frame");
        }
        let stored = Envelope { body: Bytes::from(zlib), system_flag: 8, ..Envelope::default() };
        assert!(matches!(plain(&stored), Ok(Cow::Borrowed(body)) if body == &stored.body));
        assert_eq!(*plain(&Envelope { system_flag: 9, ..stored }).expect("compressed"), text());
    }

    /// *Scenario*: small bodies that would become, or claim to become, huge. *Guarantees*: refused, with what they are.
    #[test]
    fn a_bomb_is_refused() {
        let bomb = zstd::stream::encode_all(std::io::repeat(0).take(MOST as u64 + 1), 1).expect("to memory");
        let error = decompress(&bomb, 1 | ZSTANDARD).expect_err("too long").to_string();
        assert_eq!(error, format!("cannot decompress a body of {} bytes by Zstandard: it would be longer than 64 MiB", bomb.len()));
        decompress(&[0, 0, 0, 4, 0x10, 1], 1 | LZ4).expect_err("six bytes are no 64 MiB");
        assert_eq!(
            decompress(b"no", 1).expect_err("not zlib").to_string().split(": ").next(),
            Some("cannot decompress a body of 2 bytes by zlib")
        );
    }
}
