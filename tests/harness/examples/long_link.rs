//! `long_link HOST:PORT MILLISECONDS`: passes connections on to an address over a link with this round trip, and prints where it listens. For `make bench`.

use std::time::Duration;

use rocketbridge_harness::Relay;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [to, round_trip] = arguments.as_slice() else { panic!("long_link HOST:PORT MILLISECONDS") };
    let to = to.parse().expect("HOST:PORT");
    let round_trip = Duration::from_millis(round_trip.parse().expect("milliseconds"));
    let link = Relay::start("127.0.0.1:0", to, round_trip / 2, None).await;
    println!("serving {}", link.address());
    std::future::pending::<()>().await;
}
