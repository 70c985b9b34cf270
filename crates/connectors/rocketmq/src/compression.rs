//! Bodies that a producer compressed: zlib, LZ4 or Zstandard, as the message's system flag says.

use std::io::Read;

use bytes::Bytes;

use crate::message::system_flag;

/// Longest body that is made: a compressed one of a few KiB could claim any length.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// `CompressionType` of Apache RocketMQ, in its place in the system flag; none is zlib, as before 5.0.
const LZ4: i32 = 1 << 8;
const ZSTANDARD: i32 = 2 << 8;
/// First bytes of an LZ4 frame.
const LZ4_FRAME: u32 = 0x184D_2204;

/// The body as the producer had it.
pub(crate) fn decompress(body: &[u8], flag: i32) -> Result<Bytes, Error> {
    match flag & system_flag::COMPRESSION_KIND {
        LZ4 => lz4(body),
        ZSTANDARD => limited(zstd::stream::read::Decoder::new(body).map_err(|error| Error(error.to_string()))?),
        _ => limited(flate2::read::ZlibDecoder::new(body)),
    }
}

/// Why a body cannot be decompressed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(String);

fn limited(reader: impl Read) -> Result<Bytes, Error> {
    let mut plain = Vec::new();
    reader.take(MAX_BODY as u64 + 1).read_to_end(&mut plain).map_err(|error| Error(error.to_string()))?;
    if plain.len() > MAX_BODY { Err(too_long()) } else { Ok(plain.into()) }
}

/// Java writes LZ4 frames of independent blocks; the Rust client writes one block behind its length.
fn lz4(body: &[u8]) -> Result<Bytes, Error> {
    let word = body.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(cut)?;
    if word == LZ4_FRAME { lz4_frame(&body[4..]) } else { lz4_block(&body[4..], word as usize) }
}

/// The LZ4 frame format: descriptor, blocks, end mark. Checksums are not compared: TCP and the broker did.
fn lz4_frame(mut frame: &[u8]) -> Result<Bytes, Error> {
    let [flags, block, ..] = *frame else { return Err(cut()) };
    let independent = flags & 0x20 != 0;
    if !independent || flags >> 6 != 1 {
        return Err(Error("an LZ4 frame of linked blocks or another version".to_owned()));
    }
    let descriptor = 2 + if flags & 0x08 != 0 { 8 } else { 0 } + if flags & 0x01 != 0 { 4 } else { 0 } + 1;
    let block_checksum = if flags & 0x10 != 0 { 4 } else { 0 };
    let block_maximum = 1_usize << (8 + 2 * usize::from((block >> 4) & 7));
    frame = frame.get(descriptor..).ok_or_else(cut)?;
    let mut plain = Vec::new();
    loop {
        let (size, rest) = frame.split_first_chunk::<4>().ok_or_else(cut)?;
        let size = u32::from_le_bytes(*size);
        let (stored, size) = (size >> 31 == 1, (size & 0x7FFF_FFFF) as usize);
        if size == 0 {
            return Ok(plain.into());
        }
        let data = rest.get(..size).ok_or_else(cut)?;
        if stored {
            plain.extend_from_slice(data);
        } else {
            plain.extend_from_slice(&lz4_block(data, block_maximum)?);
        }
        if plain.len() > MAX_BODY {
            return Err(too_long());
        }
        frame = rest.get(size + block_checksum..).ok_or_else(cut)?;
    }
}

fn lz4_block(block: &[u8], maximum: usize) -> Result<Bytes, Error> {
    if maximum > MAX_BODY {
        return Err(too_long());
    }
    lz4_flex::block::decompress(block, maximum).map(Bytes::from).map_err(|error| Error(error.to_string()))
}

fn cut() -> Error {
    Error("the compressed body is cut off".to_owned())
}

fn too_long() -> Error {
    Error(format!("the body would be longer than {} MiB", MAX_BODY >> 20))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text() -> Vec<u8> {
        (0..=255).cycle().take(100_000).collect()
    }

    /// *Scenario*: one body in each form that producers write. *Guarantees*: the same bytes come out.
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
    }

    /// *Scenario*: a small body that would become huge. *Guarantees*: refused.
    #[test]
    fn a_bomb_is_refused() {
        let bomb = zstd::stream::encode_all(std::io::repeat(0).take(MAX_BODY as u64 + 1), 1).expect("to memory");
        decompress(&bomb, 1 | ZSTANDARD).expect_err("too long");
    }
}
