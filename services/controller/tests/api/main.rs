//! The API over a real server on loopback and the embedded metadata store.

mod connections;
mod groups;
mod instances;
mod limits;
mod plan;
mod requests;
mod routes;
mod skips;
mod state;
mod streams;
mod support;
mod unreadable;
