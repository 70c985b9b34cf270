//! The loop that makes, changes and removes the streams of routes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use rocketbridge_assignment::Election;
use rocketbridge_metastore::Mirror;
use rocketbridge_model::record::{Desired, RouteRecord, StreamRecord};
use rocketbridge_runtime::Chain;
use tokio::time::MissedTickBehavior;

use super::survey::survey;
use crate::book::Book;
use crate::clusters::Clusters;
use crate::error::Error;
use crate::unreadable::Listing;

/// How often the topics of a route's instances are listed. A new topic has its stream after about so long.
const PACE: Duration = Duration::from_secs(2);
/// Routes that are looked at together, so that an instance that does not answer holds up few others.
const TOGETHER: usize = 8;

/// What routes cannot do, by their names; nothing for a route that can do everything.
pub type Problems = BTreeMap<String, Vec<String>>;

/// Keeps the streams of routes as the routes want them.
#[derive(Clone)]
pub struct Reconciler {
    book: Book,
    clusters: Arc<dyn Clusters>,
}

impl Reconciler {
    pub(crate) fn new(book: Book, clusters: Arc<dyn Clusters>) -> Self {
        Self { book, clusters }
    }

    /// Reconciles while this process leads, for ever. `routes` tells when a route has changed; a change that is missed is seen at the next pass.
    pub(crate) async fn run(self, election: Election, mut routes: Mirror) {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = Problems::new();
        loop {
            // A change of a route only brings the next pass forward. Neither arm loses anything when it is dropped.
            tokio::select! {
                _ = ticks.tick() => {}
                () = routes.changed() => drop(routes.take()),
            }
            if election.leadership().is_none() {
                continue;
            }
            match self.reconcile().await {
                Ok(problems) => {
                    say(&problems, &said);
                    said = problems;
                }
                Err(error) => tracing::warn!(error = %Chain(&error), "the streams of routes are not looked at; it is tried again"),
            }
        }
    }

    /// Makes one pass over all routes. Returns what cannot be done.
    ///
    /// # Errors
    ///
    /// The metadata store fails.
    pub async fn reconcile(&self) -> Result<Problems, Error> {
        let Listing { records: routes, unreadable } = self.book.listing::<RouteRecord>().await?;
        let streams = self.book.streams_of_routes().await?;
        let is_alive = |uid: &str| routes.iter().any(|(_, route)| route.uid == uid);
        for (name, stream) in &streams {
            // A route that cannot be read may own any of them, and a stream that is deleted loses its progress.
            if unreadable.is_empty() && stream.owner.as_ref().is_some_and(|owner| !is_alive(&owner.uid)) {
                self.book.delete_orphan(name).await?;
            }
        }
        let started = routes.into_iter().filter(|(_, route)| route.desired != Desired::Ready);
        let looked_at = stream::iter(started).map(|(name, route)| {
            let streams = &streams;
            async move { (name, self.reconcile_route(&route, streams).await) }
        });
        let mut problems = Problems::new();
        let mut looked_at = std::pin::pin!(looked_at.buffer_unordered(TOGETHER));
        while let Some((name, found)) = looked_at.next().await {
            let found = found?;
            if !found.is_empty() {
                problems.insert(name, found);
            }
        }
        Ok(problems)
    }

    async fn reconcile_route(&self, route: &RouteRecord, streams: &BTreeMap<String, StreamRecord>) -> Result<Vec<String>, Error> {
        let known = self.book.known().await?;
        let mut survey = survey(&self.book, self.clusters.as_ref(), route, &known, streams).await;
        for change in &survey.changes {
            match self.book.change_owned(route, change).await {
                Ok(()) => tracing::info!(route = %route.definition.name, stream = change.stream(), "a stream of a route is changed"),
                // The others are not held up; the next pass tries again.
                Err(error @ (Error::Refused(_) | Error::Unreadable { .. })) => {
                    survey.problems.push(format!("stream {}: {error}", change.stream()))
                }
                Err(error) => return Err(error),
            }
        }
        if survey.is_whole && !route.complete && route.desired == Desired::Running {
            self.book.complete_route(route).await?;
        }
        Ok(survey.problems)
    }
}

/// Logs what is new.
fn say(problems: &Problems, said: &Problems) {
    for (route, problems) in problems {
        let before = said.get(route).map(Vec::as_slice).unwrap_or_default();
        for problem in problems.iter().filter(|problem| !before.contains(problem)) {
            tracing::warn!(%route, problem, "a route cannot do all that it should");
        }
    }
}
