//! What the members of the mesh tell of streams.

use std::time::Duration;

use futures::future::BoxFuture;
use rocketbridge_model::MemberId;
use rocketbridge_model::status::StreamReport;

/// Longest that an answer of the API waits for members.
const DEADLINE: Duration = Duration::from_secs(1);

/// What one member tells, or why it does not.
pub type MemberAnswer = (MemberId, Result<Vec<StreamReport>, String>);

/// Asks every member, over the network or within the process.
pub trait Reports: Send + Sync {
    /// What each member tells of these streams, or why it does not.
    fn stream_reports(&self, streams: Vec<String>) -> BoxFuture<'_, Vec<MemberAnswer>>;
}

/// What was told, and by whom nothing was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// Reports with the member that gave them.
    pub reports: Vec<(MemberId, StreamReport)>,
    /// Members that gave none, and why.
    pub unreachable: Vec<(MemberId, String)>,
    /// Whether nobody could be asked within the deadline.
    pub late: bool,
}

/// Asks every member once, within a deadline.
pub async fn gather(reports: &dyn Reports, streams: Vec<String>) -> Gathered {
    let mut gathered = Gathered::default();
    match tokio::time::timeout(DEADLINE, reports.stream_reports(streams)).await {
        Err(_) => gathered.late = true,
        Ok(answers) => {
            for (member, answer) in answers {
                match answer {
                    Ok(told) => gathered.reports.extend(told.into_iter().map(|report| (member.clone(), report))),
                    Err(reason) => gathered.unreachable.push((member, reason)),
                }
            }
        }
    }
    gathered
}
