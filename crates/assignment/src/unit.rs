//! What can be owned, and the key of its owner.

use std::fmt;
use std::str::FromStr;

use rocketbridge_codec::keyspace::{self, part};
use rocketbridge_model::{PartitionId, Region};
use serde::{Deserialize, Serialize};

use crate::stage::Stage;

/// A part of a stream that exactly one process works on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnitKind {
    /// Finding the partitions of the source.
    Discovery,
    /// Reading one partition of the source.
    Partition(PartitionId),
    /// One shard of matching and transforming.
    FilterShard(u32),
    /// One shard of delivering.
    DispatchShard(u32),
}

/// A unit of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitId {
    /// The stream's name.
    pub stream: String,
    /// The part of the stream.
    pub kind: UnitKind,
}

/// A unit, and where it should be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its identity.
    pub id: UnitId,
    /// The region whose members should own it. Absent: any.
    pub region: Option<Region>,
    /// The network that its owner must reach. Absent: any member will do.
    pub network: Option<String>,
}

/// The text does not name a unit.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} names no unit")]
pub struct NoUnit(String);

impl UnitKind {
    /// The stage that owns such units.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Discovery | Self::Partition(_) => Stage::Router,
            Self::FilterShard(_) => Stage::Filter,
            Self::DispatchShard(_) => Stage::Dispatcher,
        }
    }
}

impl UnitId {
    /// A unit of a stream.
    pub fn new(stream: impl Into<String>, kind: UnitKind) -> Self {
        Self { stream: stream.into(), kind }
    }

    /// The stage that owns it.
    pub fn stage(&self) -> Stage {
        self.kind.stage()
    }

    /// The key of its owner: `owners/{stream}/{kind}/{index}`.
    pub fn key(&self) -> String {
        keyspace::owner(&self.stream, &self.kind.to_string())
    }

    /// Reads back a key of [`key`](Self::key).
    pub fn from_key(key: &str) -> Option<Self> {
        let (stream, kind) = keyspace::owned(key)?;
        Some(Self::new(stream, kind.parse().ok()?))
    }
}

/// `discovery/0`, `partition/{name}`, `filter/{number}` or `dispatch/{number}`, in the encoding of keys.
impl fmt::Display for UnitKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery => formatter.write_str("discovery/0"),
            Self::Partition(partition) => {
                write!(formatter, "partition/{}", part::encode(partition.as_str()))
            }
            Self::FilterShard(number) => write!(formatter, "filter/{number}"),
            Self::DispatchShard(number) => write!(formatter, "dispatch/{number}"),
        }
    }
}

impl FromStr for UnitKind {
    type Err = NoUnit;

    fn from_str(text: &str) -> Result<Self, NoUnit> {
        let no_unit = || NoUnit(text.to_owned());
        let (kind, index) = text.split_once('/').ok_or_else(no_unit)?;
        let number = || index.parse::<u32>().ok().filter(|number| number.to_string() == index).ok_or_else(no_unit);
        match kind {
            "discovery" if index == "0" => Ok(Self::Discovery),
            "partition" => part::decode(index).map(|name| Self::Partition(PartitionId::new(name))).ok_or_else(no_unit),
            "filter" => number().map(Self::FilterShard),
            "dispatch" => number().map(Self::DispatchShard),
            _ => Err(no_unit()),
        }
    }
}

/// `{stream}/{kind}/{index}`, in the encoding of keys.
impl fmt::Display for UnitId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", part::encode(&self.stream), self.kind)
    }
}

impl Serialize for UnitKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = UnitKind> {
        prop_oneof![
            Just(UnitKind::Discovery),
            ".*".prop_map(|name| UnitKind::Partition(PartitionId::new(name))),
            any::<u32>().prop_map(UnitKind::FilterShard),
            any::<u32>().prop_map(UnitKind::DispatchShard),
        ]
    }

    proptest! {
        /// *Scenario*: units of any name. *Guarantees*: keys and JSON come back as what they were made from.
        #[test]
        fn keys_come_back(stream in ".*", kind in kinds()) {
            let unit = UnitId::new(stream, kind);
            prop_assert_eq!(UnitId::from_key(&unit.key()), Some(unit.clone()));
            let json = serde_json::to_string(&unit.kind).expect("a string");
            prop_assert_eq!(serde_json::from_str::<UnitKind>(&json).expect("the same"), unit.kind);
        }

        /// *Scenario*: any text taken for a key. *Guarantees*: no panic, and no unit has two keys.
        #[test]
        fn no_two_keys_for_one_unit(text in "owners/[a-z%0-9]{0,3}/(discovery|filter|dispatch|partition)/[0-9a-z%+]{0,4}") {
            if let Some(unit) = UnitId::from_key(&text) {
                prop_assert_eq!(unit.key(), text);
            }
        }
    }

    /// *Scenario*: a partition with a separator in its name. *Guarantees*: the key is the documented one.
    #[test]
    fn keys_are_as_documented() {
        let unit = UnitId::new("orders", UnitKind::Partition(PartitionId::new("broker-a/3")));
        assert_eq!(unit.key(), "owners/orders/partition/broker-a%2F3");
        assert_eq!(UnitId::new("o", UnitKind::Discovery).key(), "owners/o/discovery/0");
    }
}
