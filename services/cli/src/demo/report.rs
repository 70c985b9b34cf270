//! What came of a demo.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::output::Table;
use crate::output::table::grouped;

/// The figures that the demo ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Orders that the source broker acknowledged.
    pub produced: u64,
    /// Of these, orders that the pattern wants.
    pub matched: u64,
    /// Different orders that arrived whole.
    pub delivered: u64,
    /// Orders that the stream says nothing wanted.
    pub filtered: u64,
    /// Wanted orders that did not arrive whole.
    pub lost: u64,
    /// Arrivals beyond the first of an order.
    pub duplicates: u64,
    /// Arrivals whose body, key or tag was not that of an order.
    pub corrupt: u64,
    /// Whole arrivals of orders that the pattern does not want.
    pub unwanted: u64,
    /// From the first order to the last arrival.
    pub elapsed: Duration,
    /// Time from production to arrival that half of the orders did not exceed.
    pub p50: Duration,
    /// The same for 99 of 100.
    pub p99: Duration,
}

impl Report {
    /// Whether everything arrived as it should. Duplicates are allowed: delivery is at least once.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.corrupt == 0 && self.unwanted == 0
    }

    /// 0 if everything arrived as it should, else 1.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Orders through the stream per second, matched or not.
    pub fn events_per_second(&self) -> u64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { (self.produced as f64 / seconds) as u64 } else { 0 }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1_000.0);
        let mut table = Table::new(["RESULT", ""]).right(&[1]);
        for (name, value) in [
            ("produced", grouped(self.produced)),
            ("matched", grouped(self.matched)),
            ("delivered", grouped(self.delivered)),
            ("filtered", grouped(self.filtered)),
            ("lost", grouped(self.lost)),
            ("duplicates", grouped(self.duplicates)),
            ("corrupt", grouped(self.corrupt)),
            ("events/s", grouped(self.events_per_second())),
            ("p50", milliseconds(self.p50)),
            ("p99", milliseconds(self.p99)),
        ] {
            table.row([name.to_owned(), value]);
        }
        if self.unwanted > 0 {
            table.row(["not filtered".to_owned(), grouped(self.unwanted)]);
        }
        write!(formatter, "{table}")
    }
}

/// Lines to try on a demo that keeps running.
pub fn grpcurl_lines(address: &str, stream: &str) -> String {
    let service = "rocketbridge.stream.v1.StreamService";
    [
        format!("grpcurl -plaintext {address} list"),
        format!("grpcurl -plaintext {address} {service}/ListStreams"),
        format!("grpcurl -plaintext -d '{{\"name\":\"{stream}\"}}' {address} {service}/GetStreamStatus"),
        format!("grpcurl -plaintext -d '{{\"name\":\"{stream}\"}}' {address} {service}/PauseStream"),
        format!("grpcurl -plaintext -d '{{\"name\":\"{stream}\"}}' {address} {service}/StartStream"),
        format!("rocketbridge --server http://{address} status stream {stream} --watch"),
    ]
    .map(|line| format!("  {line}\n"))
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_happened() {
        let report = Report {
            produced: 100_000,
            matched: 66_700,
            delivered: 66_700,
            filtered: 33_300,
            elapsed: Duration::from_secs(4),
            p50: Duration::from_micros(8_400),
            p99: Duration::from_millis(120),
            ..Report::default()
        };
        let expected = "\
RESULT
produced      100,000
matched        66,700
delivered      66,700
filtered       33,300
lost                0
duplicates          0
corrupt             0
events/s       25,000
p50            8.4 ms
p99          120.0 ms
";
        assert_eq!(report.to_string(), expected);
        assert!(report.is_good());
        assert!(!Report { lost: 1, ..report.clone() }.is_good());
        assert!(Report { duplicates: 9, ..report }.is_good());
    }
}
