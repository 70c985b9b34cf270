//! Whether an object or array is JSON, found 64 bytes at a time.
//!
//! There is no step per token. JSON's grammar is local but for brackets: what may follow a token is decided by that token, by the
//! innermost bracket around it, and by whether it is a key. So each rule of RFC 8259 becomes an equation between sets of bits (see
//! [`block`](super::block)), four blocks at a time, and brackets alone are visited one by one.
//!
//! Guarantees: what is said to be well formed is. The converse is not promised: of a text that is rare in form (deeper than [`DEPTH`],
//! or no object or array) nothing is said; [`scan`](super::scan) decides then, and says of malformed text what is wrong where.

use std::cell::RefCell;

use super::block::{BYTES, Block, Classify, Portable, escapes};
use super::lanes::{LANES, Lanes, Sets};
use super::{scan, skip, token};

/// Brackets inside each other, at most: one bit each.
const DEPTH: u32 = 64;

/// Bytes of a group of blocks.
const GROUP: usize = LANES * BYTES;

/// Groups that are taken through each pass together, at most and at first: what is behind the end is looked at in vain.
const CHUNK: usize = 16;
const FIRST_CHUNK: usize = 2;

thread_local! {
    /// Memory for the sets of one chunk and of the last group before it, so that it need not be cleared for each text.
    static GROUPS: RefCell<[Group; CHUNK + 1]> = const { RefCell::new([Group::EMPTY; CHUNK + 1]) };
}

/// Shorter objects and arrays are looked at token by token.
const SHORT: usize = 3 * BYTES;

/// The offset after the object or array that begins at `at`, if it is well formed; `depth` containers are open around it.
pub(super) fn container(text: &[u8], at: usize, depth: u32) -> Option<usize> {
    let near = &text[..text.len().min(at + SHORT)];
    let is_long = skip::container(near, at) == near.len();
    let checked = if is_long { large(&text[at..]).map(|length| at + length) } else { token::value(text, at, depth) };
    checked.or_else(|| scan::value(text, at, depth).ok())
}

fn large(text: &[u8]) -> Option<usize> {
    GROUPS.with_borrow_mut(|groups| {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = super::block::x86::Avx2::found() {
            #[expect(unsafe_code, reason = "a function of a processor's feature, called after it was found")]
            // SAFETY: an `Avx2` is made only where the features were found.
            return unsafe { check_avx2(groups, text, avx2) };
        }
        check(groups, text, Portable)
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
fn check_avx2(groups: &mut [Group; CHUNK + 1], text: &[u8], avx2: super::block::x86::Avx2) -> Option<usize> {
    check(groups, text, avx2)
}

/// The sets of four blocks.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// Quotes that begin or end a string.
    quotes: Lanes,
    /// From each opening quote to before its closing quote.
    inside: Lanes,
    /// Each of these characters, also those inside of strings.
    commas: Lanes,
    colons: Lanes,
    opens: Lanes,
    closes: Lanes,
    digits: Lanes,
    zeros: Lanes,
    minuses: Lanes,
    points: Lanes,
    /// Bytes whose innermost bracket is curly; a closing bracket counts as inside of what it ends.
    in_object: Lanes,
    /// White space outside of strings.
    spaces: Lanes,
    /// Bytes of numbers and words.
    scalars: Lanes,
    /// Those of them that were checked one by one: words, and numbers with exponents.
    checked: Lanes,
    /// Digits outside of strings.
    plain_digits: Lanes,
    /// First digits of fractions, then what is behind fractions.
    fractions: Lanes,
    /// Quotes that begin a member's name.
    keys: Lanes,
    /// What is behind these names.
    key_ends: Lanes,
    /// Zeros that no digit may follow.
    first_zeros: Lanes,
}

impl Group {
    const EMPTY: Self = Self {
        quotes: Lanes::NONE,
        inside: Lanes::NONE,
        commas: Lanes::NONE,
        colons: Lanes::NONE,
        opens: Lanes::NONE,
        closes: Lanes::NONE,
        digits: Lanes::NONE,
        zeros: Lanes::NONE,
        minuses: Lanes::NONE,
        points: Lanes::NONE,
        in_object: Lanes::NONE,
        spaces: Lanes::NONE,
        scalars: Lanes::NONE,
        checked: Lanes::NONE,
        plain_digits: Lanes::NONE,
        fractions: Lanes::NONE,
        keys: Lanes::NONE,
        key_ends: Lanes::NONE,
        first_zeros: Lanes::NONE,
    };
}

/// Takes chunk after chunk through the passes: characters and strings, brackets, what begins where, and what ends there.
#[inline(always)]
fn check<C: Classify>(groups: &mut [Group; CHUNK + 1], text: &[u8], classify: C) -> Option<usize> {
    let mut lexer = Lexer::default();
    let mut nesting = Nesting::default();
    let mut grammar = Grammar::default();
    groups[0] = Group::EMPTY;
    // The text is a value like that of a member.
    groups[0].colons.0[LANES - 1] = 1 << 63;
    let mut padded = [b' '; GROUP];
    let (mut start, mut most) = (0, FIRST_CHUNK);
    while start < text.len() {
        let mut used = 0;
        for bytes in text[start..].chunks(GROUP).take(most) {
            let whole = bytes.first_chunk().unwrap_or_else(|| {
                padded[..bytes.len()].copy_from_slice(bytes);
                &padded
            });
            used += 1;
            lexer.group(whole, text, start + (used - 1) * GROUP, &mut groups[used], classify)?;
        }
        nesting.visit(&mut groups[1..=used], text, start)?;
        // What is behind the end is not judged.
        let text = &text[..nesting.end.unwrap_or(text.len())];
        used = used.min((text.len() - start).div_ceil(GROUP));
        let last = Lanes::first(text.len() - start - (used - 1) * GROUP);
        // Loops and no closures: the compiler gives these the processor's features.
        let mut wrong = classify.load(&Lanes::NONE);
        for index in 1..=used {
            let (before, group) = groups.split_at_mut(index);
            let found = grammar.check(&before[index - 1], &mut group[0], text, start + (index - 1) * GROUP, classify)?;
            wrong = wrong | if index < used { found } else { found & classify.load(&last) };
        }
        grammar.follow(&mut groups[1..=used]);
        for index in 1..=used {
            let found = grammar.check_ends(&groups[index - 1], &groups[index], classify);
            wrong = wrong | if index < used { found } else { found & classify.load(&last) };
        }
        if !wrong.is_empty() {
            return None;
        }
        if nesting.end.is_some() {
            return nesting.end;
        }
        groups[0] = groups[used];
        start += used * GROUP;
        most = (2 * most).min(CHUNK);
    }
    None
}

/// Finds strings.
#[derive(Debug, Default)]
struct Lexer {
    /// All ones inside a string.
    in_string: u64,
    /// Whether the byte before is a backslash that escapes.
    escaping: u64,
}

impl Lexer {
    #[inline(always)]
    fn group<C: Classify>(&mut self, bytes: &[u8; GROUP], text: &[u8], at: usize, group: &mut Group, classify: C) -> Option<()> {
        let (blocks, _) = bytes.as_chunks::<BYTES>();
        let mut is_rare = self.escaping != 0;
        for (lane, bytes) in blocks.iter().enumerate() {
            let block: Block = classify.block(bytes);
            group.commas.0[lane] = block.commas;
            group.colons.0[lane] = block.colons;
            group.digits.0[lane] = block.digits;
            group.zeros.0[lane] = block.zeros;
            group.minuses.0[lane] = block.minuses;
            group.points.0[lane] = block.points;
            group.opens.0[lane] = block.opens;
            group.closes.0[lane] = block.closes;
            group.quotes.0[lane] = block.quotes;
            is_rare |= block.is_rare;
            let inside = classify.parity(block.quotes) ^ self.in_string;
            self.in_string = 0_u64.wrapping_sub(inside >> 63);
            group.inside.0[lane] = inside;
        }
        if is_rare { self.rare(bytes, text, at, group, classify) } else { Some(()) }
    }

    /// The same for a group with escapes or control characters.
    #[inline(never)]
    fn rare<C: Classify>(&mut self, bytes: &[u8; GROUP], text: &[u8], at: usize, group: &mut Group, classify: C) -> Option<()> {
        let (blocks, _) = bytes.as_chunks::<BYTES>();
        // Back to what it was before the group: until here every quote counted, also one that is escaped.
        if group.quotes.0.iter().map(|set| set.count_ones()).sum::<u32>() % 2 == 1 {
            self.in_string = !self.in_string;
        }
        for (lane, block) in blocks.iter().enumerate() {
            let rare = classify.rare(block);
            let escaped;
            (escaped, self.escaping) = escapes(rare.backslashes, self.escaping);
            let quotes = group.quotes.0[lane] & !escaped;
            let inside = classify.parity(quotes) ^ self.in_string;
            self.in_string = 0_u64.wrapping_sub(inside >> 63);
            if rare.controls & inside != 0 {
                return None;
            }
            check_escapes(text, at + lane * BYTES, escaped & inside)?;
            (group.quotes.0[lane], group.inside.0[lane]) = (quotes, inside);
        }
        Some(())
    }
}

/// Whether each of `escaped`, which are inside strings, may be escaped. Those outside do not matter: the backslash is refused there.
fn check_escapes(text: &[u8], at: usize, mut escaped: u64) -> Option<()> {
    while escaped != 0 {
        scan::escape(text, at + escaped.trailing_zeros() as usize - 1).ok()?;
        escaped &= escaped - 1;
    }
    Some(())
}

/// Which brackets are open.
#[derive(Debug, Default)]
struct Nesting {
    depth: u32,
    /// Whether each is curly, the innermost in bit 0.
    kinds: u64,
    /// Where the outermost one was closed.
    end: Option<usize>,
}

impl Nesting {
    /// Visits the brackets one by one; finds the bytes whose innermost bracket is curly.
    #[inline(never)]
    fn visit(&mut self, groups: &mut [Group], text: &[u8], start: usize) -> Option<()> {
        let (mut depth, mut kinds) = (self.depth, self.kinds);
        for (number, group) in groups.iter_mut().enumerate() {
            for lane in 0..LANES {
                let at = start + number * GROUP + lane * BYTES;
                let opens = group.opens.0[lane];
                let mut left = (opens | group.closes.0[lane]) & !(group.inside.0[lane] | group.quotes.0[lane]);
                let mut in_object = 0_u64.wrapping_sub(kinds & 1);
                while left != 0 {
                    let place = left.trailing_zeros();
                    let kind = u64::from(text[at + place as usize] >> 5 & 1);
                    let outer = kinds;
                    if opens >> place & 1 != 0 {
                        if depth == DEPTH {
                            return None;
                        }
                        depth += 1;
                        kinds = kinds << 1 | kind;
                    } else {
                        if depth == 0 || kinds & 1 != kind {
                            return None;
                        }
                        depth -= 1;
                        kinds >>= 1;
                        if depth == 0 {
                            self.end = Some(at + place as usize + 1);
                            group.in_object.0[lane] = in_object;
                            return Some(());
                        }
                    }
                    // What follows the bracket changes its side if the kind does.
                    let lower = left ^ (left - 1);
                    in_object ^= 0_u64.wrapping_sub((outer ^ kinds) & 1) & !lower;
                    left &= left - 1;
                }
                group.in_object.0[lane] = in_object;
            }
        }
        (self.depth, self.kinds) = (depth, kinds);
        Some(())
    }
}

/// Checks the sets of one group of blocks after the other. What it keeps is what is left to the next group beside the sets.
#[derive(Debug, Default)]
struct Grammar {
    /// Behind commas, colons, opening brackets and keys, whether the white space goes on.
    spaces_go_on: [bool; 4],
    key_goes_on: bool,
    fraction_goes_on: bool,
    /// Up to where scalars were checked one by one.
    checked: usize,
}

impl Grammar {
    /// What is wrong in a group, but for what is told by the ends of keys and fractions. Finds where keys and fractions begin.
    #[inline(always)]
    fn check<C: Classify>(&mut self, before: &Group, group: &mut Group, text: &[u8], at: usize, classify: C) -> Option<C::Sets> {
        let load = |lanes: &Lanes| classify.load(lanes);
        let (quotes, inside) = (load(&group.quotes), load(&group.inside));
        let outside = !(inside | quotes);
        let behind_outside = outside.after(!(load(&before.inside) | load(&before.quotes)));
        let behind = |set: C::Sets, before: &Lanes| set.after(classify.load(before)) & behind_outside;
        let (commas, colons) = (load(&group.commas), load(&group.colons));
        let (opens, closes) = (load(&group.opens), load(&group.closes));
        let (digits, minuses, points) = (load(&group.digits), load(&group.minuses), load(&group.points));
        let mut past_comma = behind(commas, &before.commas);
        let mut past_colon = behind(colons, &before.colons);
        let mut past_open = behind(opens, &before.opens);
        let mut scalars = outside.without(commas | colons | opens | closes);
        if text.len() - at < GROUP {
            scalars = scalars & load(&Lanes::first(text.len() - at));
        }
        let others = scalars.without(digits | minuses | points);
        (group.spaces, group.checked) = (Lanes::NONE, Lanes::NONE);
        if !others.is_empty() || self.goes_on(at) {
            self.find_spaces(group, text, at, others.store(), classify)?;
            let spaces = &group.spaces;
            scalars = scalars.without(load(spaces));
            past_comma = load(&spaces.past_runs(&past_comma.store(), &mut self.spaces_go_on[0]));
            past_colon = load(&spaces.past_runs(&past_colon.store(), &mut self.spaces_go_on[1]));
            past_open = load(&spaces.past_runs(&past_open.store(), &mut self.spaces_go_on[2]));
        }
        group.scalars = scalars.store();
        let (opens, past_open) = (opens & outside, past_open.without(closes));
        let first_quotes = quotes & inside;
        let scalar_starts = scalars.without(scalars.after(load(&before.scalars)));
        let keys = (past_comma | past_open) & load(&group.in_object);
        group.keys = keys.store();
        let misplaced = ((first_quotes | scalar_starts | opens) ^ (past_comma | past_colon | past_open)) | keys.without(first_quotes);

        // After a minus or a point comes a digit.
        let (behind_minus, behind_point) = (behind(minuses, &before.minuses), behind(points, &before.points));
        let plain_digits = digits & outside;
        let undue = (behind_minus | behind_point).without(plain_digits);
        // A minus begins a number, a point follows a digit.
        let misplaced_signs = (minuses & outside).without(scalar_starts) | (points & outside).without(behind(digits, &before.digits));
        // A zero that begins a number is not followed by another digit.
        let first_zeros = (scalar_starts | behind_minus) & plain_digits & load(&group.zeros);
        let behind_zero = first_zeros.after(load(&before.first_zeros)) & plain_digits;
        group.first_zeros = first_zeros.store();
        group.plain_digits = plain_digits.store();
        group.fractions = (behind_point & plain_digits).store();
        Some(misplaced | (undue | misplaced_signs | behind_zero).without(load(&group.checked)))
    }

    /// Finds the ends of keys and fractions: long additions, in which a carry runs through each of them.
    #[inline(always)]
    fn follow(&mut self, groups: &mut [Group]) {
        for group in groups.iter_mut() {
            group.key_ends = group.inside.past_runs(&group.keys, &mut self.key_goes_on);
        }
        for group in groups {
            group.fractions = group.plain_digits.past_runs(&group.fractions, &mut self.fraction_goes_on);
        }
    }

    /// What is wrong behind keys and fractions: a key is followed by a colon, and nothing else is; digits of a fraction are not followed by another point.
    #[inline(always)]
    fn check_ends<C: Classify>(&mut self, before: &Group, group: &Group, classify: C) -> C::Sets {
        let load = |lanes: &Lanes| classify.load(lanes);
        let mut due = load(&group.key_ends).after(load(&before.key_ends));
        if !load(&group.spaces).is_empty() || self.spaces_go_on[3] {
            due = load(&group.spaces.past_runs(&due.store(), &mut self.spaces_go_on[3]));
        }
        let colons = load(&group.colons).without(load(&group.inside));
        (colons ^ due) | (load(&group.fractions) & load(&group.points)).without(load(&group.checked) | load(&group.inside))
    }

    /// Whether white space, or what was checked one by one, goes on from the group before.
    #[inline(always)]
    fn goes_on(&self, at: usize) -> bool {
        let [comma, colon, open, _] = self.spaces_go_on;
        comma | colon | open | (self.checked > at)
    }

    /// Of the bytes `others`, which are neither structure nor of plain numbers, finds the white space, and checks the rest.
    #[inline(never)]
    fn find_spaces<C: Classify>(&mut self, group: &mut Group, text: &[u8], at: usize, others: Lanes, classify: C) -> Option<()> {
        group.checked = Lanes::first(self.checked.saturating_sub(at));
        for lane in 0..LANES {
            let block = at + lane * BYTES;
            let rest = text.get(block..).unwrap_or_default();
            let mut padded = [b' '; BYTES];
            let bytes = rest.first_chunk().unwrap_or_else(|| {
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            });
            let spaces = classify.rare(bytes).spaces & others.0[lane];
            group.spaces.0[lane] = spaces;
            let mut letters = others.0[lane] & !spaces;
            while letters != 0 {
                let place = block + letters.trailing_zeros() as usize;
                letters &= letters - 1;
                if place >= self.checked {
                    self.checked = end_of_scalar(text, place)?;
                    group.checked = group.checked | (Lanes::first(self.checked - at) & !Lanes::first(place - at));
                }
            }
        }
        Some(())
    }
}

/// The end of the scalar that has a letter at `at`, which is the first one in it: a word, or a number with an exponent.
fn end_of_scalar(text: &[u8], at: usize) -> Option<usize> {
    let is_number = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let before = text[..at].iter().rev().take_while(is_number).count();
    let end = match text[at] {
        b'e' | b'E' => scan::number(text, at - before).ok().filter(|end| *end > at)?,
        _ if before > 0 => return None,
        b't' if text[at..].starts_with(b"true") => at + 4,
        b'f' if text[at..].starts_with(b"false") => at + 5,
        b'n' if text[at..].starts_with(b"null") => at + 4,
        _ => return None,
    };
    // What stands before is judged as that of every scalar is.
    matches!(text.get(end), None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}')).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts made of pieces that mostly fit, so that they are well formed or nearly so for long.
    fn text() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
            "\"[a-z{}\\[\\],:0-9 é]{0,80}\"",
            "\"([a-z]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,20}\"",
        ];
        let space = || prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\n\t  ")];
        scalar.prop_recursive(8, 200, 8, move |inner| {
            prop_oneof![
                (space(), proptest::collection::vec((inner.clone(), space(), space()), 0..10)).prop_map(|(open, elements)| {
                    let elements: Vec<String> = elements.iter().map(|(value, before, after)| format!("{before}{value}{after}")).collect();
                    format!("[{open}{}]", elements.join(","))
                }),
                (space(), proptest::collection::vec(("\"[a-z\\\\\\\\]{0,70}\"", inner, space(), space()), 0..10)).prop_map(
                    |(open, members)| {
                        let members: Vec<String> = members
                            .iter()
                            .map(|(key, value, before, after)| {
                                format!("{before}{}{after}:{before}{value}{after}", key.replace('\\', "\\\\"))
                            })
                            .collect();
                        format!("{{{open}{}}}", members.join(","))
                    }
                ),
            ]
        })
    }

    fn agree(text: &[u8]) -> Result<(), TestCaseError> {
        let slow = scan::value(text, 0, 0).ok();
        let mut groups = [Group::EMPTY; CHUNK + 1];
        let (portable, fast) = (check(&mut groups, text, Portable), large(text));
        prop_assert_eq!(portable, fast, "{}", String::from_utf8_lossy(text));
        // What is behind the end may make it fall silent.
        if fast.is_some() || slow == Some(text.len()) {
            prop_assert_eq!(fast, slow, "{}", String::from_utf8_lossy(text));
        }
        prop_assert_eq!(token::value(text, 0, 0), slow, "{}", String::from_utf8_lossy(text));
        prop_assert_eq!(container(text, 0, 0), slow, "{}", String::from_utf8_lossy(text));
        if let Some(end) = slow {
            prop_assert_eq!(skip::container(text, 0), end);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// *Scenario*: objects and arrays, whole, and with bytes replaced, added and removed, at every distance from the edges of blocks.
        /// *Guarantees*: they end where the careful reader says, or are refused as it does.
        #[test]
        fn both_readers_agree(
            value in text(),
            behind in prop_oneof![Just(String::new()), text().prop_map(|text| format!(",{text}]}}")), "[a-z\"\\\\{}\\[\\]:,0-9 ]{0,200}"],
            edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[]:,0123-.eE+ tfn\nx\x01".to_vec()), 0..3_u8), 0..3),
        ) {
            let wrapped = format!("[{value},{{\"k\":{value}}},{value}]{behind}").into_bytes();
            agree(&wrapped)?;
            let mut edited = wrapped;
            for (place, byte, kind) in edits {
                // The first bracket stays.
                let place = 1 + place.index(edited.len() - 1);
                match kind {
                    0 => edited[place] = byte,
                    1 => edited.insert(place, byte),
                    _ => drop(edited.remove(place)),
                }
                agree(&edited)?;
            }
        }
    }

    /// *Scenario*: numbers, words and keys across the edges of blocks and groups. *Guarantees*: both readers agree.
    #[test]
    fn tokens_cross_edges() {
        for token in [
            "-12.50",
            "0.0e-05",
            "1E+300",
            "01",
            "1.2.3",
            "-",
            "1.",
            "--1",
            "1-2",
            "true",
            "falsey",
            "nul",
            "\"a\\\"b\"",
            "\"\\u12g4\"",
            "1e5e5",
            "\"\t\"",
            "{\"a\" 1}",
            "{\"a\":1,}",
        ] {
            for before in 0..300 {
                let text = format!("[\"{}\",{token},{{\"key {token}\":{token}}},{}1]", "x".repeat(before), " ".repeat(before % 7));
                agree(text.as_bytes()).unwrap_or_else(|error| panic!("{before}: {error}"));
            }
        }
        let long = format!("[{}.{}e5,{{\"{}\":1}}]", "1".repeat(5_000), "2".repeat(5_000), "k".repeat(10_000));
        agree(long.as_bytes()).expect("both readers agree");
    }
}
