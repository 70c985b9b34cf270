//! The services of the API: convert, call, convert.

mod connection;
mod network;
mod progress;
mod route;
mod status;
mod stream;
mod switch;

pub use connection::ConnectionApi;
pub use network::NetworkApi;
pub use route::RouteApi;
pub use stream::StreamApi;
