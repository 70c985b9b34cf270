//! Four sets of bits side by side, of four blocks that follow each other.

use std::ops::{BitAnd, BitOr, BitXor, Not};

/// How many.
pub(super) const LANES: usize = 4;

/// The sets in memory, the first block's first. Also [`Sets`] for every processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(align(32))]
pub(super) struct Lanes(pub(super) [u64; LANES]);

/// The sets in a register, where one instruction is for all of them.
pub(super) trait Sets: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self> {
    /// To memory.
    fn store(self) -> Lanes;

    /// The bits that are not in `other`.
    fn without(self, other: Self) -> Self;

    /// The bits one place further, across blocks; `before` is the same set of the four blocks before.
    fn after(self, before: Self) -> Self;

    /// Whether all sets are empty.
    fn is_empty(self) -> bool;
}

impl Lanes {
    /// Empty sets.
    pub(super) const NONE: Self = Self([0; LANES]);

    /// So many of the first bits.
    pub(super) fn first(bits: usize) -> Self {
        let set = |bits: usize| if bits >= 64 { !0 } else { (1 << bits) - 1 };
        Self(std::array::from_fn(|lane| set(bits.saturating_sub(lane * 64))))
    }

    /// The first bit after each run of bits here that begins with one of `firsts`, across blocks. `carry` says whether such a run goes on.
    ///
    /// It is one long addition: the sum carries through a run, and out of it.
    #[inline(always)]
    pub(super) fn past_runs(&self, firsts: &Self, carry: &mut bool) -> Self {
        let mut ends = Self::NONE;
        for lane in 0..LANES {
            let sum;
            (sum, *carry) = self.0[lane].carrying_add(firsts.0[lane], *carry);
            ends.0[lane] = sum & !self.0[lane];
        }
        ends
    }
}

impl Sets for Lanes {
    #[inline(always)]
    fn store(self) -> Lanes {
        self
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        self & !other
    }

    #[inline(always)]
    fn after(self, before: Self) -> Self {
        let [a, b, c, d] = self.0;
        let last = before.0[LANES - 1];
        Self([a << 1 | last >> 63, b << 1 | a >> 63, c << 1 | b >> 63, d << 1 | c >> 63])
    }

    #[inline(always)]
    fn is_empty(self) -> bool {
        self.0 == [0; LANES]
    }
}

impl BitAnd for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] & other.0[lane]))
    }
}

impl BitOr for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] | other.0[lane]))
    }
}

impl BitXor for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] ^ other.0[lane]))
    }
}

impl Not for Lanes {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|set| !set))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! AVX2.

    use std::arch::x86_64::{
        __m256i, _mm256_add_epi64, _mm256_alignr_epi8, _mm256_and_si256, _mm256_andnot_si256, _mm256_load_si256, _mm256_or_si256,
        _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_srli_epi64, _mm256_store_si256, _mm256_testz_si256, _mm256_xor_si256,
    };
    use std::ops::{BitAnd, BitOr, BitXor, Not};

    use super::super::block::x86::Avx2;
    use super::{Lanes, Sets};

    /// A register. Only [`Wide::load`] makes one, and what is made of others.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Wide(__m256i);

    // SAFETY of all that follows: to load a `Wide` takes an `Avx2`, which exists only where the features were found.
    #[expect(unsafe_code, reason = "instructions of a processor's feature, of a type that exists only where it was found")]
    impl Wide {
        /// From memory.
        #[inline(always)]
        pub(in super::super) fn load(_: Avx2, lanes: &Lanes) -> Self {
            // SAFETY: as above; `Lanes` are 32 bytes, aligned to 32.
            Self(unsafe { _mm256_load_si256(std::ptr::from_ref(lanes).cast()) })
        }
    }

    #[expect(unsafe_code, reason = "as above")]
    impl Sets for Wide {
        #[inline(always)]
        fn store(self) -> Lanes {
            let mut lanes = Lanes::NONE;
            // SAFETY: as above; `Lanes` are 32 bytes, aligned to 32.
            unsafe { _mm256_store_si256(std::ptr::from_mut(&mut lanes).cast(), self.0) };
            lanes
        }

        #[inline(always)]
        fn without(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_andnot_si256(other.0, self.0) })
        }

        #[inline(always)]
        fn after(self, before: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe {
                let middle = _mm256_permute2x128_si256::<0x21>(before.0, self.0);
                let carried = _mm256_srli_epi64::<63>(_mm256_alignr_epi8::<8>(self.0, middle));
                _mm256_or_si256(_mm256_add_epi64(self.0, self.0), carried)
            })
        }

        #[inline(always)]
        fn is_empty(self) -> bool {
            // SAFETY: as above.
            unsafe { _mm256_testz_si256(self.0, self.0) == 1 }
        }
    }

    #[expect(unsafe_code, reason = "as above")]
    impl BitAnd for Wide {
        type Output = Self;

        #[inline(always)]
        fn bitand(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_and_si256(self.0, other.0) })
        }
    }

    #[expect(unsafe_code, reason = "as above")]
    impl BitOr for Wide {
        type Output = Self;

        #[inline(always)]
        fn bitor(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_or_si256(self.0, other.0) })
        }
    }

    #[expect(unsafe_code, reason = "as above")]
    impl BitXor for Wide {
        type Output = Self;

        #[inline(always)]
        fn bitxor(self, other: Self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_xor_si256(self.0, other.0) })
        }
    }

    #[expect(unsafe_code, reason = "as above")]
    impl Not for Wide {
        type Output = Self;

        #[inline(always)]
        fn not(self) -> Self {
            // SAFETY: as above.
            Self(unsafe { _mm256_xor_si256(self.0, _mm256_set1_epi8(-1)) })
        }
    }
}
