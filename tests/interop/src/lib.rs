//! Placeholder.
#![recursion_limit = "256"]
pub use rocketmq_client_rust::DefaultMQProducer;
