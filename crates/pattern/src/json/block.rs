//! What each of 64 bytes of JSON text is, as sets of bits: the one place that knows the processor.
//!
//! Bit `n` of a set speaks of byte `n`. [`Portable`] is what the sets mean; [`x86`] gives the same answers in fewer instructions.

use super::lanes::{Lanes, Sets};

/// Bytes that are looked at together.
pub(super) const BYTES: usize = 64;

/// The sets that every block needs which is checked. Nothing here knows whether a byte is inside a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `"`
    pub(super) quotes: u64,
    /// `,`
    pub(super) commas: u64,
    /// `:`
    pub(super) colons: u64,
    /// `{` and `[`
    pub(super) opens: u64,
    /// `}` and `]`
    pub(super) closes: u64,
    /// `0` to `9`
    pub(super) digits: u64,
    /// `0`
    pub(super) zeros: u64,
    /// `-`
    pub(super) minuses: u64,
    /// `.`
    pub(super) points: u64,
    /// Whether there is a backslash or a control character: then [`Rare`] is needed too.
    pub(super) is_rare: bool,
}

/// The sets that few blocks need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// `\`
    pub(super) backslashes: u64,
    /// Bytes below 0x20, the white space among them too.
    pub(super) controls: u64,
    /// Space, tab, line feed, carriage return.
    pub(super) spaces: u64,
}

/// The sets that a block needs which is only passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// `"`
    pub(super) quotes: u64,
    /// `\`
    pub(super) backslashes: u64,
    /// `{` and `[`
    pub(super) opens: u64,
    /// `}` and `]`
    pub(super) closes: u64,
}

/// A way to find the sets, and to work on four of them at a time.
pub(super) trait Classify: Copy {
    /// Four of them.
    type Sets: Sets;

    /// Four of them, from memory.
    fn load(self, lanes: &Lanes) -> Self::Sets;

    /// The sets of these bytes.
    fn block(self, bytes: &[u8; BYTES]) -> Block;

    /// The others.
    fn rare(self, bytes: &[u8; BYTES]) -> Rare;

    /// The sets of bytes that are only passed over.
    fn marks(self, bytes: &[u8; BYTES]) -> Marks;

    /// Bit `n` is the parity of the bits up to `n`: of quotes, whether a byte is after an odd one.
    fn parity(self, bits: u64) -> u64;
}

/// The bytes that a backslash escapes, and whether the block after this one begins with one: `before` says it of this block.
#[inline(always)]
pub(super) fn escapes(backslashes: u64, before: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !before;
    let follows = backslashes << 1 | before;
    // In a run that begins at an odd place the sum moves the carry to where it tells even and odd lengths apart.
    let (sum, over) = (backslashes & !EVEN & !follows).overflowing_add(backslashes);
    ((EVEN ^ (sum << 1)) & follows, u64::from(over))
}

/// For every processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Classify for Portable {
    type Sets = Lanes;

    #[inline]
    fn load(self, lanes: &Lanes) -> Lanes {
        *lanes
    }

    #[inline]
    fn block(self, bytes: &[u8; BYTES]) -> Block {
        Block {
            quotes: set(bytes, |byte| byte == b'"'),
            commas: set(bytes, |byte| byte == b','),
            colons: set(bytes, |byte| byte == b':'),
            opens: set(bytes, |byte| byte | 0x20 == b'{'),
            closes: set(bytes, |byte| byte | 0x20 == b'}'),
            digits: set(bytes, |byte| byte.is_ascii_digit()),
            zeros: set(bytes, |byte| byte == b'0'),
            minuses: set(bytes, |byte| byte == b'-'),
            points: set(bytes, |byte| byte == b'.'),
            is_rare: bytes.iter().any(|&byte| byte < 0x20 || byte == b'\\'),
        }
    }

    #[inline]
    fn rare(self, bytes: &[u8; BYTES]) -> Rare {
        Rare {
            backslashes: set(bytes, |byte| byte == b'\\'),
            controls: set(bytes, |byte| byte < 0x20),
            spaces: set(bytes, |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')),
        }
    }

    #[inline]
    fn marks(self, bytes: &[u8; BYTES]) -> Marks {
        Marks {
            quotes: set(bytes, |byte| byte == b'"'),
            backslashes: set(bytes, |byte| byte == b'\\'),
            opens: set(bytes, |byte| byte | 0x20 == b'{'),
            closes: set(bytes, |byte| byte | 0x20 == b'}'),
        }
    }

    #[inline]
    fn parity(self, mut bits: u64) -> u64 {
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}

#[inline]
fn set(bytes: &[u8; BYTES], is: impl Fn(u8) -> bool) -> u64 {
    bytes.iter().rev().fold(0, |bits, &byte| bits << 1 | u64::from(is(byte)))
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! AVX2 and carry-less multiplication.

    use std::arch::x86_64::{
        __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_add_epi8, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_setr_epi8,
        _mm256_shuffle_epi8,
    };

    use super::super::lanes::Lanes;
    use super::super::lanes::x86::Wide;
    use super::{BYTES, Block, Classify, Marks, Rare};

    /// The processor has what this needs: only [`Avx2::found`] makes one.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Avx2(());

    impl Avx2 {
        /// If this processor has it.
        #[inline]
        pub(in super::super) fn found() -> Option<Self> {
            let is_here = std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("bmi1")
                && std::arch::is_x86_feature_detected!("bmi2")
                && std::arch::is_x86_feature_detected!("pclmulqdq")
                && std::arch::is_x86_feature_detected!("popcnt");
            is_here.then_some(Self(()))
        }
    }

    #[expect(unsafe_code, reason = "functions of a processor's feature, called by one who has found it")]
    impl Classify for Avx2 {
        type Sets = Wide;

        #[inline(always)]
        fn load(self, lanes: &Lanes) -> Wide {
            Wide::load(self, lanes)
        }

        #[inline(always)]
        fn block(self, bytes: &[u8; BYTES]) -> Block {
            // SAFETY: an `Avx2` is made only where the features were found.
            unsafe { block(bytes) }
        }

        #[inline(always)]
        fn rare(self, bytes: &[u8; BYTES]) -> Rare {
            // SAFETY: as above.
            unsafe { rare(bytes) }
        }

        #[inline(always)]
        fn marks(self, bytes: &[u8; BYTES]) -> Marks {
            // SAFETY: as above.
            unsafe { marks(bytes) }
        }

        #[inline(always)]
        fn parity(self, bits: u64) -> u64 {
            // SAFETY: as above.
            unsafe { parity(bits) }
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn block(bytes: &[u8; BYTES]) -> Block {
        let (low, high) = halves(bytes);
        let is = |byte: u8| equal(low, high, byte);
        let (lower_low, lower_high) = (lower(low), lower(high));
        let rare = |half| _mm256_or_si256(controls(half), _mm256_cmpeq_epi8(half, _mm256_set1_epi8(b'\\'.cast_signed())));
        Block {
            quotes: is(b'"'),
            commas: is(b','),
            colons: is(b':'),
            opens: equal(lower_low, lower_high, b'{'),
            closes: equal(lower_low, lower_high, b'}'),
            digits: bits(digits(low), digits(high)),
            zeros: is(b'0'),
            minuses: is(b'-'),
            points: is(b'.'),
            is_rare: _mm256_movemask_epi8(_mm256_or_si256(rare(low), rare(high))) != 0,
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn rare(bytes: &[u8; BYTES]) -> Rare {
        let (low, high) = halves(bytes);
        Rare {
            backslashes: equal(low, high, b'\\'),
            controls: bits(controls(low), controls(high)),
            spaces: bits(spaces(low), spaces(high)),
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn marks(bytes: &[u8; BYTES]) -> Marks {
        let (low, high) = halves(bytes);
        let (lower_low, lower_high) = (lower(low), lower(high));
        Marks {
            quotes: equal(low, high, b'"'),
            backslashes: equal(low, high, b'\\'),
            opens: equal(lower_low, lower_high, b'{'),
            closes: equal(lower_low, lower_high, b'}'),
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn parity(bits: u64) -> u64 {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    #[expect(unsafe_code, reason = "a load through a pointer has no safe form that compiles to one instruction")]
    fn halves(bytes: &[u8; BYTES]) -> (__m256i, __m256i) {
        let half = bytes.as_ptr().cast::<__m256i>();
        // SAFETY: both halves are inside the array, and the load needs no alignment.
        unsafe { (_mm256_loadu_si256(half), _mm256_loadu_si256(half.add(1))) }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn equal(low: __m256i, high: __m256i, byte: u8) -> u64 {
        let wanted = _mm256_set1_epi8(byte.cast_signed());
        bits(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn bits(low: __m256i, high: __m256i) -> u64 {
        let half = |half: __m256i| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
        half(low) | half(high) << 32
    }

    /// With bit 5, which makes one of both kinds of brackets.
    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn lower(half: __m256i) -> __m256i {
        _mm256_or_si256(half, _mm256_set1_epi8(0x20))
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn controls(half: __m256i) -> __m256i {
        _mm256_cmpeq_epi8(_mm256_min_epu8(half, _mm256_set1_epi8(0x1f)), half)
    }

    /// A table of what white space has in its lower half byte; what differs is none.
    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn spaces(half: __m256i) -> __m256i {
        let table = _mm256_setr_epi8(
            32, -1, -1, -1, -1, -1, -1, -1, -1, 9, 10, -1, -1, 13, -1, -1, 32, -1, -1, -1, -1, -1, -1, -1, -1, 9, 10, -1, -1, 13, -1, -1,
        );
        _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, half), half)
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
    #[inline]
    fn digits(half: __m256i) -> __m256i {
        let value = _mm256_add_epi8(half, _mm256_set1_epi8(-0x30));
        _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(9)), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: every byte at every place. *Guarantees*: the processor's instructions give the sets that are meant.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_processor_agrees() {
        let Some(avx2) = x86::Avx2::found() else {
            return;
        };
        for byte in 0..=255_u8 {
            for at in 0..BYTES {
                let mut bytes = *b"{\"a\":[1.5,-20,\"____\", true ]}___~{\"a\":[1.5,-20,\"\\\\\", true]}\t\n\r\x01~";
                if byte % 2 == 0 {
                    bytes.fill(b'a');
                }
                bytes[at] = byte;
                assert_eq!(avx2.block(&bytes), Portable.block(&bytes), "{byte} at {at}");
                assert_eq!(avx2.rare(&bytes), Portable.rare(&bytes), "{byte} at {at}");
                assert_eq!(avx2.marks(&bytes), Portable.marks(&bytes), "{byte} at {at}");
                let bits = u64::from_le_bytes([byte; 8]) ^ (1 << at);
                assert_eq!(avx2.parity(bits), Portable.parity(bits));
            }
        }
    }

    /// *Scenario*: runs of backslashes of every length at every place. *Guarantees*: what follows a run is escaped if its length is odd.
    #[test]
    fn every_other_backslash_escapes() {
        for start in 0..BYTES {
            for length in 1..=BYTES - start {
                let run = if length == BYTES { !0 } else { ((1_u64 << length) - 1) << start };
                let expected =
                    (start..start + length).step_by(2).map(|at| at + 1).filter(|&at| at < BYTES).fold(0, |set, at| set | 1 << at);
                assert_eq!(escapes(run, 0), (expected, u64::from(start + length == BYTES && length % 2 == 1)), "{start} {length}");
            }
        }
        assert_eq!(escapes(0b1, 1), (1, 0));
    }
}
