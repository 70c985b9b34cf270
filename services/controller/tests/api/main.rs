//! The API over a real server on loopback and the embedded metadata store.

mod connections;
mod plan;
mod requests;
mod routes;
mod skips;
mod state;
mod streams;
mod support;
mod unreadable;
