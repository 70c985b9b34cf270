//! The loop of the leader that keeps the progress of groups current.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use rocketbridge_assignment::Election;
use rocketbridge_model::record::{Desired, RouteRecord};
use rocketbridge_runtime::Chain;
use tokio::time::{Instant, MissedTickBehavior};

use super::leg::{Leg, legs};
use super::translate::{Memory, Pass, Translating};
use crate::book::Book;
use crate::clusters::Clusters;
use crate::error::Error;

/// How often it is looked whose turn it is: half of the shortest interval of translation.
const TICK: Duration = Duration::from_millis(50);
/// How often the routes and their streams are read.
const REFRESH: Duration = Duration::from_secs(1);

/// Keeps the progress of the groups of all routes current.
pub struct Keeper {
    book: Book,
    clusters: Arc<dyn Clusters>,
    turns: BTreeMap<String, Turn>,
    /// What could not be done at the last pass, by route, so that it is logged once.
    said: HashMap<String, HashSet<String>>,
}

/// A route whose groups have progress.
struct Turn {
    route: Arc<RouteRecord>,
    legs: Arc<[Leg]>,
    /// When its next pass begins.
    due: Instant,
    /// What its passes remember; absent while one is under way.
    memory: Option<Memory>,
}

/// A pass that is under way: it ends with the route's uid, what it found, and what passes remember.
type UnderWay = BoxFuture<'static, (String, Pass, Memory)>;

impl Keeper {
    pub(crate) fn new(book: Book, clusters: Arc<dyn Clusters>) -> Self {
        Self { book, clusters, turns: BTreeMap::new(), said: HashMap::new() }
    }

    /// Translates while this process leads, for ever. A route has one pass at a time, and waits for no other.
    pub(crate) async fn run(mut self, election: Election) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut under_way, mut refresh) = (FuturesUnordered::<UnderWay>::new(), Instant::now());
        loop {
            // A tick that is missed comes again; a pass that has ended is kept by `under_way` until it is taken.
            tokio::select! {
                _ = ticks.tick() => {}
                Some((uid, pass, memory)) = under_way.next() => self.end(&uid, &pass, memory),
            }
            if election.leadership().is_none() {
                // Passes that are under way end by themselves. Whoever leads next looks at everything anew.
                self.turns.clear();
                continue;
            }
            if refresh <= Instant::now() {
                if let Err(error) = self.refresh().await {
                    tracing::warn!(error = %Chain(&error), "the routes are not read; the progress of groups goes on as they were");
                }
                refresh = Instant::now() + REFRESH;
            }
            under_way.extend(self.due(Instant::now()));
        }
    }

    /// Makes a pass over every route that has groups, now; what each found, by the route's name.
    ///
    /// # Errors
    ///
    /// The metadata store fails, or holds what this version cannot read.
    pub async fn translate(&mut self) -> Result<BTreeMap<String, Pass>, Error> {
        self.refresh().await?;
        let now = Instant::now();
        self.turns.values_mut().for_each(|turn| turn.due = now);
        let mut under_way: FuturesUnordered<_> = self.due(now).into_iter().collect();
        let mut passes = BTreeMap::new();
        while let Some((uid, pass, memory)) = under_way.next().await {
            self.end(&uid, &pass, memory);
            passes.extend(self.turns.get(&uid).map(|turn| (turn.route.definition.name.clone(), pass)));
        }
        Ok(passes)
    }

    /// Reads which routes have groups.
    async fn refresh(&mut self) -> Result<(), Error> {
        let routes = self.book.list::<RouteRecord>().await?;
        let is_wanted = |route: &RouteRecord| route.desired == Desired::Running && !route.definition.groups.is_empty();
        let routes: Vec<_> = routes.into_iter().map(|(_, route)| route).filter(is_wanted).collect();
        let (streams, known) = match routes.is_empty() {
            true => Default::default(),
            false => (self.book.streams_of_routes().await?, self.book.known().await?),
        };
        let mut before = std::mem::take(&mut self.turns);
        for route in routes {
            let (uid, legs) = (route.uid.clone(), Arc::from(legs(&route, &known, &streams)));
            let turn = match before.remove(&uid) {
                Some(turn) => Turn { route: Arc::new(route), legs, ..turn },
                None => Turn { route: Arc::new(route), legs, due: Instant::now(), memory: Some(Memory::default()) },
            };
            self.turns.insert(uid, turn);
        }
        self.said.retain(|uid, _| self.turns.contains_key(uid));
        Ok(())
    }

    /// The passes that begin now.
    fn due(&mut self, now: Instant) -> Vec<UnderWay> {
        let mut passes = Vec::new();
        for (uid, turn) in &mut self.turns {
            if turn.due > now {
                continue;
            }
            let Some(mut memory) = turn.memory.take() else { continue };
            turn.due = now + turn.route.definition.translation_interval();
            let (uid, route, legs, clusters) = (uid.clone(), Arc::clone(&turn.route), Arc::clone(&turn.legs), Arc::clone(&self.clusters));
            passes.push(
                async move {
                    let pass = Translating::new(clusters.as_ref(), &route, &legs).pass(&mut memory, true).await;
                    (uid, pass, memory)
                }
                .boxed(),
            );
        }
        passes
    }

    /// Takes note of a pass that has ended.
    fn end(&mut self, uid: &str, pass: &Pass, memory: Memory) {
        let Some(turn) = self.turns.get_mut(uid) else { return };
        turn.memory = Some(memory);
        let route = &turn.route.definition.name;
        let reasons: HashSet<String> = pass.told.iter().filter_map(|told| told.as_ref().err()).cloned().collect();
        let said = self.said.entry(uid.to_owned()).or_default();
        for reason in reasons.difference(said) {
            tracing::warn!(route, reason, "an instance does not tell what groups have committed; their progress waits");
        }
        *said = reasons;
    }
}
