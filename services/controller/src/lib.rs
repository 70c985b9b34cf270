//! The controller: it serves the API, validates, stores definitions, and, where it leads, decides what there is to own.
//!
//! - [`book`]: the definitions, changed one at a time; [`resource`]: what their kinds have in common; [`request`]: requests that take effect once;
//! - [`route`]: the streams of routes, kept as the routes want them; [`clusters`]: the instances that routes copy between;
//! - [`page`]: pages of lists;
//! - [`reports`]: what members report; [`status`]: what a stream is doing, derived from it; [`placement`]: where processes are missing;
//! - [`examination`]: checks, away from the threads that serve; [`shelf`]: what was resolved, kept by revision;
//! - [`pace`]: how fast definitions may change; [`compaction`]: how the store is kept from filling up;
//! - [`unreadable`]: records that cannot be read, left out and named;
//! - [`units`]: what there is to own; [`planning`]: keeping that current, and sweeping;
//! - [`grpc`]: the services of the API; [`error`]: why a request fails.
//!
//! The data path runs without it: routers, filters and dispatchers read what it stored.

pub mod book;
mod clock;
pub mod clusters;
pub mod compaction;
pub mod controller;
pub mod error;
pub mod examination;
pub mod grpc;
pub mod pace;
pub mod page;
mod placement;
pub mod planning;
pub mod reports;
pub mod request;
pub mod resource;
pub mod route;
pub mod shelf;
pub mod status;
pub mod units;
pub mod unreadable;

pub use book::set_embedded;
pub use clusters::Clusters;
pub use controller::{Controller, Seat};
pub use error::{Code, Error};
pub use reports::Reports;
