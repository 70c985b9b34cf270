//! Answers that carry a status of their own.

use rocketbridge_rocketmq_proto::v2;

/// An answer of a proxy.
pub(crate) trait Answer {
    /// How the call ended.
    fn status(&self) -> Option<&v2::Status>;
}

/// Implements it for answers whose field `status` says it.
macro_rules! answers {
    ($($answer:ident),+ $(,)?) => {
        $(impl Answer for v2::$answer {
            fn status(&self) -> Option<&v2::Status> {
                self.status.as_ref()
            }
        })+
    };
}

answers!(AckMessageResponse, ChangeInvisibleDurationResponse, HeartbeatResponse, NotifyClientTerminationResponse, QueryRouteResponse);

impl Answer for v2::SendMessageResponse {
    /// The entry says it more exactly than the whole does.
    fn status(&self) -> Option<&v2::Status> {
        self.entries.iter().find_map(|entry| entry.status.as_ref()).or(self.status.as_ref())
    }
}
