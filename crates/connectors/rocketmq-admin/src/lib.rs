//! Administration of RocketMQ instances through `rocketmq-client-rust`, at the pace of people: topics, subscription groups, consumer progress, offset
//! reset, access control, statistics.
//!
//! - [`Administration`]: one instance, for the length of a command or of a look at it; [`topic`], [`group`], [`progress`], [`reset`], [`acl`] and
//!   [`statistics`] hold what it can be asked, `ends` what the sync of a route's ends asks of it;
//! - `relay`: loopback ports through which the library reaches servers, by our own dialer;
//! - `hook`: what stands between the library and a server: signatures, answers of 4.x made readable, the words of refusals.
//!
//! Guarantees: the library dials nothing but loopback ports of this process, so networks, proxies, TLS, security groups and egress rules hold as they do
//! for streams; one request at a time, each with a deadline; an error names the instance, the request and what the server said, and no secret.
//! It moves no events: the data path has its own client (ADR 3).

#![recursion_limit = "256"]

pub mod acl;
mod administration;
mod ends;
pub mod group;
mod hook;
pub mod progress;
mod relay;
pub mod reset;
pub mod statistics;
pub mod topic;

pub use acl::{Rule, User};
pub use administration::Administration;
pub use group::GroupSettings;
pub use progress::{GroupMember, GroupMembers, GroupProgress, QueueLag};
pub use reset::QueueReset;
pub use statistics::{BrokerStatistics, TopicStatistics};
