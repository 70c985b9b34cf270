//! Asks a source whether it is still what was read, and where reading goes on: [`continuity`](crate::continuity) judges what it answers.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector::{Error, OffsetSource, Partition, Survey};
use rocketbridge_model::partition::Landmark;

use crate::continuity::{Question, Verdict, judge};

/// A partition of a source, and where a stream began in it.
#[derive(Clone)]
pub(crate) struct Bearing {
    pub(crate) source: Arc<dyn OffsetSource>,
    pub(crate) partition: Partition,
    pub(crate) origin: u64,
}

impl Bearing {
    /// Where reading goes on that wants to go on at an offset and knows these messages; and what the source holds.
    pub(crate) async fn take(&self, wanted: u64, known: &[Landmark], waited: Duration) -> Result<(Verdict, Survey), Error> {
        // Where the last one stands, so do those before it: the others are asked for only if it does not.
        let last: Vec<u64> = known.last().map(|landmark| landmark.offset).into_iter().collect();
        let mut survey = self.source.survey(&self.partition, &last).await?;
        if known.len() > 1 && survey.landmarks.last() != known.last() {
            let offsets: Vec<u64> = known.iter().map(|landmark| landmark.offset).collect();
            survey = self.source.survey(&self.partition, &offsets).await?;
        }
        let newest = match survey.maximum.checked_sub(1) {
            Some(newest) if wanted > survey.maximum && survey.maximum > survey.minimum => {
                self.source.survey(&self.partition, &[newest]).await?.landmarks.pop()
            }
            _ => None,
        };
        let question = Question { wanted, origin: self.origin, known, survey: &survey, newest: newest.as_ref(), waited };
        Ok((judge(&question), survey))
    }

    /// Some message from which a topic that is made anew can be told apart: the one before an offset, or else the oldest there is.
    pub(crate) async fn landmarks(&self, offset: u64, survey: &Survey) -> Result<Vec<Landmark>, Error> {
        if survey.minimum >= survey.maximum {
            return Ok(Vec::new());
        }
        let before = offset.saturating_sub(1).clamp(survey.minimum, survey.maximum - 1);
        Ok(self.source.survey(&self.partition, &[before]).await?.landmarks)
    }
}
