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
