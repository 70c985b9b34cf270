//! The gRPC protocol of Apache RocketMQ 5.x, version 2: messages, client and server, as `proto/apache/rocketmq/v2` defines them.
//!
//! The definition is the public one of `apache/rocketmq-apis` at 3e60073 (Apache License 2.0; `proto/LICENSE`, `proto/NOTICE`), unchanged. It is no
//! interface of RocketBridge: our rules for protos (`proto/README.md`) do not apply to it. Holds no hand-written code.

/// `apache.rocketmq.v2`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, rustdoc::all)]
pub mod v2 {
    tonic::include_proto!("apache.rocketmq.v2");
}
