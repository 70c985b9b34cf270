//! Numbers of messages that a source handed out: what stands for offsets in a partition that has none.
//!
//! They grow by one with each message. Nothing is stored of them: each owner begins anew, so the same message has another number when it is handed out
//! again. But no number ever stands for two messages: whoever asked for an event to be skipped by its number must never have another one skipped.

/// The first number of an owner that begins now (milliseconds since 1970), where the greatest number of those that an operator marked before is known.
///
/// Microseconds: an owner would have to receive a million messages a second to overtake the clock. All fit into the whole numbers of JSON (2⁵³) until the
/// year 2255.
pub(crate) fn first(now: i64, marked: Option<u64>) -> u64 {
    let clock = u64::try_from(now).unwrap_or_default().saturating_mul(1_000);
    clock.max(marked.map_or(0, |marked| marked + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: an owner follows another, at once or with a clock that is behind; an operator had marked a message of the former one. *Guarantees*: the mark is for no
    /// message of the new one.
    #[test]
    fn a_number_is_never_used_again() {
        let now = 1_764_300_000_000;
        let former = first(now, None);
        assert_eq!(former, 1_764_300_000_000_000);
        assert!(first(now + 1, None) >= former + 1_000);
        assert_eq!(first(now - 60_000, Some(former + 77)), former + 78);
        assert_eq!(first(-5, None), 0);
    }
}
