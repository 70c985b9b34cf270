//! Sixteen bytes at a time: what every processor of a kind can do without being asked.

/// Bytes that are looked at together.
pub(super) const BYTES: usize = 16;

/// The bytes at `at`, if there are as many.
#[inline(always)]
pub(super) fn at<const N: usize>(text: &[u8], at: usize) -> Option<&[u8; N]> {
    text.get(at..)?.first_chunk()
}

/// Bytes in which a member's name and a short value are found together.
pub(super) const WIDE: usize = 2 * BYTES;

/// Which bytes are quotes, backslashes and control characters.
#[inline(always)]
pub(super) fn special(window: &[u8; WIDE]) -> u32 {
    let (halves, _) = window.as_chunks::<BYTES>();
    special_half(&halves[0]) | special_half(&halves[1]) << BYTES
}

/// The first eight bytes, of which only the first `length` are not zeroed.
#[inline(always)]
pub(super) fn head(window: &[u8; WIDE], length: usize) -> u64 {
    let (words, _) = window.as_chunks::<8>();
    let word = u64::from_le_bytes(words[0]);
    if length < size_of::<u64>() { word & ((1 << (8 * length)) - 1) } else { word }
}

/// How many bytes come before the first quote, backslash or control character: [`BYTES`] if there is none.
#[inline(always)]
pub(super) fn plain(window: &[u8; BYTES]) -> usize {
    (special_half(window) | 1 << BYTES).trailing_zeros() as usize
}

#[inline(always)]
fn special_half(window: &[u8; BYTES]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    return x86::special(window);
    #[cfg(not(target_arch = "x86_64"))]
    special_portable(window)
}

/// How many digits there are at the start.
#[inline(always)]
pub(super) fn digits(window: &[u8; BYTES]) -> usize {
    #[cfg(target_arch = "x86_64")]
    return x86::digits(window);
    #[cfg(not(target_arch = "x86_64"))]
    digits_portable(window)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn special_portable(window: &[u8; BYTES]) -> u32 {
    window.iter().rev().fold(0, |set, byte| set << 1 | u32::from(matches!(byte, b'"' | b'\\' | 0..0x20)))
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn digits_portable(window: &[u8; BYTES]) -> usize {
    window.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that every x86-64 processor has")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };

    use super::BYTES;

    #[inline(always)]
    pub(super) fn special(window: &[u8; BYTES]) -> u32 {
        let bytes = load(window);
        // SAFETY: SSE2 is a part of x86-64.
        let special = unsafe {
            let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
            let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
            let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls))
        };
        special.cast_unsigned()
    }

    #[inline(always)]
    pub(super) fn digits(window: &[u8; BYTES]) -> usize {
        let bytes = load(window);
        // SAFETY: as above.
        let digits = unsafe {
            let value = _mm_add_epi8(bytes, _mm_set1_epi8(-0x30));
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value))
        };
        (!digits).trailing_zeros() as usize
    }

    #[inline(always)]
    fn load(window: &[u8; BYTES]) -> __m128i {
        // SAFETY: as above; the window is as long as the load, which needs no alignment.
        unsafe { _mm_loadu_si128(window.as_ptr().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: every byte at every place. *Guarantees*: the processor's instructions find what is meant.
    #[test]
    fn the_processor_agrees() {
        for byte in 0..=255 {
            for at in 0..BYTES {
                for fill in *b"7a" {
                    let mut window = [fill; BYTES];
                    window[at] = byte;
                    assert_eq!(special_half(&window), special_portable(&window), "{byte} at {at}");
                    assert_eq!(digits(&window), digits_portable(&window), "{byte} at {at}");
                }
            }
        }
    }
}
