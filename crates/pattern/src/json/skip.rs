//! Passing over an object or array whose text was checked, or will be: quotes and brackets are all that is looked at, 64 bytes at a time.

use super::block::{BYTES, Classify, Portable, escapes};

/// Passes the object or array that begins at `at`. Of malformed text the result means nothing, but is not before `at`.
pub(super) fn container(text: &[u8], at: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = super::block::x86::Avx2::found() {
        #[expect(unsafe_code, reason = "a function of a processor's feature, called after it was found")]
        // SAFETY: an `Avx2` is made only where the features were found.
        return unsafe { container_avx2(text, at, avx2) };
    }
    pass(text, at, Portable)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq,popcnt")]
fn container_avx2(text: &[u8], at: usize, avx2: super::block::x86::Avx2) -> usize {
    pass(text, at, avx2)
}

#[inline(always)]
fn pass(text: &[u8], mut at: usize, classify: impl Classify) -> usize {
    let mut depth = 0_u32;
    let (mut in_string, mut escaping) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let mut last = [b' '; BYTES];
        let bytes = rest.first_chunk().unwrap_or_else(|| {
            last[..rest.len()].copy_from_slice(rest);
            &last
        });
        let marks = classify.marks(bytes);
        let mut quotes = marks.quotes;
        if marks.backslashes | escaping != 0 {
            let escaped;
            (escaped, escaping) = escapes(marks.backslashes, escaping);
            quotes &= !escaped;
        }
        let inside = classify.parity(quotes) ^ in_string;
        in_string = 0_u64.wrapping_sub(inside >> 63);
        let (opens, closes) = (marks.opens & !inside, marks.closes & !inside);
        let ended = closes.count_ones();
        if depth > ended {
            // In most blocks it does not end.
            depth = depth - ended + opens.count_ones();
        } else {
            let mut left = opens | closes;
            while left != 0 {
                let place = left.trailing_zeros();
                left &= left - 1;
                if opens >> place & 1 != 0 {
                    depth += 1;
                } else if depth <= 1 {
                    return at + place as usize + 1;
                } else {
                    depth -= 1;
                }
            }
        }
        at += BYTES;
    }
    text.len()
}
