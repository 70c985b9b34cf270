//! Which messages are sent one after the other. Pure.
//!
//! Messages of a message group are a chain: each waits for the one before it. Messages without a group have no order, as proxies put each of them into
//! whichever queue is next; so each is a chain of its own.
//!
//! Several messages never go into one call, though the protocol would take them: open-source proxies (5.3.3) send the properties of the first message as those of
//! the whole call, and brokers then add them to each message, where they win: keys, tags and message ids of all become those of the first.

use std::collections::HashMap;

use super::outgoing::Ready;

/// Messages that are sent one after the other, with the indices of their deliveries.
pub(crate) type Chain = Vec<(usize, Ready)>;

/// Puts messages into chains, in order.
pub(crate) fn chains(messages: Vec<(usize, Ready)>) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::with_capacity(messages.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, ready) in messages {
        match ready.group().map(str::to_owned) {
            None => chains.push(vec![(index, ready)]),
            Some(group) => {
                let place = *places.entry(group).or_insert_with(|| {
                    chains.push(Chain::new());
                    chains.len() - 1
                });
                chains[place].push((index, ready));
            }
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use rocketbridge_rocketmq_proto::v2::{Message, SystemProperties};

    use super::*;

    fn ready(group: Option<&str>) -> Ready {
        let system = SystemProperties { message_group: group.map(str::to_owned), ..SystemProperties::default() };
        Ready { message: Message { system_properties: Some(system), ..Message::default() }, left_out: Vec::new() }
    }

    /// *Scenario*: messages of two groups among some of none. *Guarantees*: each group is a chain in order; each of the others is alone.
    #[test]
    fn message_groups_are_chains() {
        let messages = [None, Some("a"), Some("b"), None, Some("a")].map(ready);
        let chains = chains(messages.into_iter().enumerate().collect());
        let indices: Vec<Vec<_>> = chains.iter().map(|chain| chain.iter().map(|(index, _)| *index).collect()).collect();
        assert_eq!(indices, [vec![0], vec![1, 4], vec![2], vec![3]]);
    }
}
