//! Progress of groups, and which end is in use, as messages.

use rocketbridge_model::record::Active;
use rocketbridge_model::route::Direction;
use rocketbridge_proto::route::v1 as proto;

use crate::route::{GroupProgress, QueueProgress};

pub(super) fn message(progress: GroupProgress) -> proto::GroupProgress {
    proto::GroupProgress {
        behind: progress.behind(),
        group: progress.group,
        direction: direction(progress.direction).into(),
        source_topic: progress.source_topic,
        target_topic: progress.target_topic,
        reason: progress.reason.unwrap_or_default(),
        queues: progress.queues.into_iter().map(queue).collect(),
    }
}

fn queue(progress: QueueProgress) -> proto::QueueProgress {
    proto::QueueProgress {
        behind: progress.behind(),
        source_queue: progress.source.map(|queue| queue.to_string()).unwrap_or_default(),
        source_committed: progress.source_committed,
        target_queue: progress.target.to_string(),
        target_committed: progress.target_committed,
        translated: progress.translated,
        copied: progress.is_copied,
    }
}

pub(super) fn active(active: Active) -> proto::Active {
    match active {
        Active::From => proto::Active::From,
        Active::FailingOver => proto::Active::FailingOver,
        Active::To => proto::Active::To,
        Active::FailingBack => proto::Active::FailingBack,
    }
}

/// Which way a stream goes.
pub(super) fn direction(direction: Direction) -> proto::Direction {
    match direction {
        Direction::Forward => proto::Direction::Forward,
        Direction::Back => proto::Direction::Back,
    }
}
