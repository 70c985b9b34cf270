//! For tests, of this crate and of those above it: the suite that every implementation passes, and a real etcd.

pub mod cluster;
pub mod conformance;

pub use cluster::Cluster;
