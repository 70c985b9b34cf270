//! What a client reads from a refused call.

use std::time::Duration;

use rocketbridge_transport::status::{DOMAIN, StatusBuilder};
use tonic_types::StatusExt;

/// *Scenario*: a refusal with every kind of detail. *Guarantees*: a client reads each of them.
#[test]
fn details_reach_the_client() {
    let refusal = StatusBuilder::new(tonic::Code::FailedPrecondition, "IN_USE", "connection \"q\" is used by stream s")
        .metadata("name", "q")
        .field("name", "found \"q\"")
        .precondition("q", "stream s uses it")
        .precondition("q", "stream t uses it")
        .resource("rocketbridge.connection.v1.Connection", "q")
        .transient();
    let status = refusal.into_status();
    let info = status.get_details_error_info().expect("ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str(), info.metadata["name"].as_str()), ("IN_USE", DOMAIN, "q"));
    assert_eq!(status.get_details_bad_request().expect("BadRequest").field_violations[0].field, "name");
    let violations = status.get_details_precondition_failure().expect("PreconditionFailure").violations;
    let described: Vec<_> = violations.iter().map(|violation| (violation.r#type.as_str(), violation.description.as_str())).collect();
    assert_eq!(described, [("IN_USE", "stream s uses it"), ("IN_USE", "stream t uses it")]);
    assert_eq!(status.get_details_resource_info().expect("ResourceInfo").description, status.message());
    assert_eq!(status.get_details_retry_info().expect("RetryInfo").retry_delay, Some(Duration::from_millis(200)));
}

/// *Scenario*: 600 violations of long texts, in Chinese and with quotes, a long message, name and metadata. *Guarantees*: the status takes less than 8 KiB in headers, so that
/// every client reads it; it shows the first violations, and says how many more there are.
#[test]
fn a_status_stays_small() {
    let long = "订单\"\n".repeat(500);
    let refusal = StatusBuilder::new(tonic::Code::InvalidArgument, "DEFINITION_REFUSED", long.as_str());
    let refusal = (0..600).fold(refusal, |refusal, number| refusal.field(format!("tags[{number}].key"), long.as_str()));
    let refusal = (0..600).fold(refusal, |refusal, _| refusal.precondition(long.as_str(), long.as_str()));
    let status = refusal.metadata("name", long.as_str()).resource("rocketbridge.stream.v1.Stream", &long).transient().into_status();
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).expect("headers");
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(size < 8 << 10, "{size} bytes");
    let shown = status.get_details_bad_request().expect("BadRequest").field_violations;
    assert_eq!(shown[0].field, "tags[0].key");
    let more = 600 - (shown.len() - 1);
    let last = &shown[shown.len() - 1];
    let expected = format!("{more} more violations are not shown; correct those that are shown first");
    assert_eq!((last.field.as_str(), last.description.as_str()), ("", expected.as_str()));
    assert!(shown.len() > 2 && status.message().ends_with('…'));
}
