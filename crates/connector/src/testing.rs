//! A topic in memory that hands out messages, for tests of whoever receives. It keeps to everything that [`HandleSource`] promises, keeps the clock of
//! tokio (which tests may pause), and fails as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use rocketbridge_model::{Envelope, Event, Place};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::{Code, Error, Handle, HandleSource, Handles, OpenReceiver, PullLimits, Received, Receiver, Start, Terms};

/// How long a receive waits for messages.
const POLL: Duration = Duration::from_secs(3);

/// A topic. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Messages may be visible that were not before.
    changed: Notify,
}

/// What a topic is like now.
pub struct State {
    /// What it keeps to.
    pub terms: Terms,
    /// How it fails.
    pub faults: Faults,
    /// What was asked of it.
    pub counts: Counts,
    /// Messages without an acknowledgement, by identity.
    messages: BTreeMap<u64, Message>,
    /// Those that may be handed out, where there is no order.
    visible: BTreeSet<u64>,
    /// Those that were handed out, by when they are visible again.
    invisible: BTreeSet<(Instant, u64)>,
    /// Those of each group, where there is an order.
    groups: Vec<BTreeSet<u64>>,
    next: u64,
    next_token: u64,
}

/// How a topic fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Nobody can reach it.
    pub is_away: bool,
    /// It refuses to extend.
    pub refuses_to_extend: bool,
    /// So many of the next acknowledgements are lost on the way.
    pub lost_acknowledgements: usize,
    /// So many of the next acknowledgements are taken, and their answers lost.
    pub lost_answers: usize,
}

/// What was asked of a topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Messages that were handed out, with those that were before.
    pub handed_out: usize,
    /// Of those, messages that had been handed out before.
    pub again: usize,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Messages that were extended.
    pub extended: usize,
    /// Messages that were given back.
    pub released: usize,
    /// Most messages that were handed out at a time.
    pub most_out: usize,
    /// Acknowledgements before an earlier message of the same group was acknowledged, where there is an order.
    pub out_of_order: usize,
}

struct Message {
    group: usize,
    stored: i64,
    attempt: u32,
    /// The token of the last time that it was handed out, and until when it is invisible.
    out: Option<(u64, Instant)>,
}

impl Pool {
    /// A topic without messages.
    pub fn new(terms: Terms) -> Self {
        let state = State {
            terms,
            faults: Faults::default(),
            counts: Counts::default(),
            messages: BTreeMap::new(),
            visible: BTreeSet::new(),
            invisible: BTreeSet::new(),
            groups: Vec::new(),
            next: 0,
            next_token: 0,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }))
    }
}

impl Pool {
    /// Adds messages, stored at this time (milliseconds since 1970), to groups in turn. Their identities are numbers from 0, which are their
    /// bodies, eight bytes long.
    pub fn add(&self, count: u64, groups: usize, stored: i64) {
        self.with(|state| {
            let groups = groups.max(1);
            if state.groups.len() < groups {
                state.groups.resize_with(groups, BTreeSet::new);
            }
            for id in state.next..state.next + count {
                let group = id as usize % groups;
                state.messages.insert(id, Message { group, stored, attempt: 0, out: None });
                state.groups[group].insert(id);
                state.visible.insert(id);
            }
            state.next += count;
        });
        self.0.changed.notify_waiters();
    }

    /// Changes or asks it.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock())
    }

    /// The identity of a message that was handed out.
    pub fn id_of(event: &Event) -> u64 {
        event.envelope.body.first_chunk::<8>().map(|id| u64::from_be_bytes(*id)).unwrap_or(u64::MAX)
    }

    /// The group of a message, where messages were added to so many.
    pub fn group_of(id: u64, groups: u64) -> u64 {
        id % groups.max(1)
    }
}

impl State {
    /// Messages without an acknowledgement.
    pub fn left(&self) -> usize {
        self.messages.len()
    }

    /// Messages that are handed out now.
    pub fn out(&self) -> usize {
        self.invisible.len()
    }

    fn reachable(&self, attempt: &str) -> Result<(), Error> {
        if self.faults.is_away { Err(Error::new(Code::Unavailable, attempt, "connection refused")) } else { Ok(()) }
    }

    /// Makes messages visible whose time is over.
    fn wake(&mut self, now: Instant) {
        while let Some((until, id)) = self.invisible.first().copied().filter(|(until, _)| *until <= now) {
            self.invisible.remove(&(until, id));
            self.show(id);
        }
    }

    fn show(&mut self, id: u64) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.out = None;
            self.visible.insert(id);
        }
    }

    /// Identities to hand out next, in order.
    fn choose(&self, most: usize) -> Vec<u64> {
        if !self.terms.is_ordered {
            return self.visible.iter().take(most).copied().collect();
        }
        let mut chosen = Vec::new();
        // Nothing more of a group before everything that was handed out of it is acknowledged or visible again. What was handed out stands at its front.
        for group in self.groups.iter().filter(|group| self.is_free(group)) {
            chosen.extend(group.iter().take(most - chosen.len()));
        }
        chosen
    }

    /// Whether nothing of a group is handed out. At most a batch of it is, from its oldest message on.
    fn is_free(&self, group: &BTreeSet<u64>) -> bool {
        group.iter().take(self.terms.batch as usize).all(|id| self.visible.contains(id))
    }

    fn receive(&mut self, limits: PullLimits, invisible: Duration, now: Instant) -> Result<Vec<Received>, Error> {
        self.reachable("receive")?;
        self.wake(now);
        let chosen = self.choose(limits.events.min(self.terms.batch) as usize);
        let received: Vec<Received> = chosen.into_iter().map(|id| self.hand_out(id, now + invisible)).collect();
        self.counts.most_out = self.counts.most_out.max(self.out());
        Ok(received)
    }

    fn hand_out(&mut self, id: u64, until: Instant) -> Received {
        self.next_token += 1;
        let token = self.next_token;
        let message = self.messages.get_mut(&id).expect("what is visible is there");
        message.attempt += 1;
        message.out = Some((token, until));
        self.counts.handed_out += 1;
        self.counts.again += usize::from(message.attempt > 1);
        let envelope = Envelope {
            body: Bytes::copy_from_slice(&id.to_be_bytes()),
            store_timestamp: message.stored,
            place: Some(Arc::new(Place { broker: "pool".into(), queue: message.group as u32, offset: id })),
            ..Envelope::default()
        };
        let attempt = message.attempt;
        self.visible.remove(&id);
        self.invisible.insert((until, id));
        Received { event: Event { offset: 0, envelope, attributes: None }, handle: handle(id, token), attempt }
    }

    /// The message that a handle stands for, if the handle counts.
    fn find(&mut self, handle: &Handle, attempt: &str, now: Instant) -> Result<(u64, Instant), Error> {
        self.reachable(attempt)?;
        self.wake(now);
        let (id, token) = parse(handle);
        match self.messages.get(&id).and_then(|message| message.out) {
            Some((current, until)) if current == token => Ok((id, until)),
            _ => Err(Error::new(Code::Rejected, attempt, format!("the handle of message {id} counts no more"))),
        }
    }

    fn extend(&mut self, handle: &Handle, invisible: Duration, now: Instant) -> Result<Handle, Error> {
        let (id, until) = self.find(handle, "extend", now)?;
        if self.faults.refuses_to_extend {
            return Err(Error::new(Code::Denied, "extend", "it is not allowed"));
        }
        self.next_token += 1;
        self.invisible.remove(&(until, id));
        self.invisible.insert((now + invisible, id));
        self.messages.get_mut(&id).expect("it was found").out = Some((self.next_token, now + invisible));
        self.counts.extended += 1;
        Ok(self::handle(id, self.next_token))
    }

    fn acknowledge(&mut self, handle: &Handle, now: Instant) -> Result<(), Error> {
        if self.faults.lost_acknowledgements > 0 {
            self.faults.lost_acknowledgements -= 1;
            return Err(Error::new(Code::Unavailable, "acknowledge", "no answer"));
        }
        if !self.messages.contains_key(&parse(handle).0) {
            return self.reachable("acknowledge");
        }
        let (id, until) = self.find(handle, "acknowledge", now)?;
        self.invisible.remove(&(until, id));
        let message = self.messages.remove(&id).expect("it was found");
        let group = &mut self.groups[message.group];
        self.counts.out_of_order += usize::from(self.terms.is_ordered && group.first() != Some(&id));
        group.remove(&id);
        self.counts.acknowledged += 1;
        if self.faults.lost_answers > 0 {
            self.faults.lost_answers -= 1;
            return Err(Error::new(Code::Unavailable, "acknowledge", "no answer"));
        }
        Ok(())
    }

    fn release(&mut self, handle: &Handle, now: Instant) -> Result<(), Error> {
        let (id, until) = self.find(handle, "release", now)?;
        self.invisible.remove(&(until, id));
        self.show(id);
        self.counts.released += 1;
        Ok(())
    }
}

fn handle(id: u64, token: u64) -> Handle {
    Handle { message: id.to_string().into(), token: format!("{id}:{token}").into() }
}

fn parse(handle: &Handle) -> (u64, u64) {
    let (id, token) = handle.token.split_once(':').expect("a handle of this topic");
    (id.parse().expect("an identity"), token.parse().expect("a token"))
}

impl HandleSource for Pool {
    fn terms(&self) -> BoxFuture<'_, Result<Terms, Error>> {
        let terms = self.with(|state| state.reachable("ask for the terms").map(|()| state.terms));
        async move { terms }.boxed()
    }

    fn waiting(&self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        let waiting = self.with(|state| Some(state.visible.len() as u64));
        async move { Ok(waiting) }.boxed()
    }

    fn open(&self, _start: Start) -> BoxFuture<'_, Result<OpenReceiver, Error>> {
        let open = OpenReceiver { receiver: Box::new(self.clone()), handles: Arc::new(self.clone()) };
        async move { Ok(open) }.boxed()
    }
}

impl Receiver for Pool {
    fn receive(&mut self, limits: PullLimits, invisible: Duration) -> BoxFuture<'_, Result<Vec<Received>, Error>> {
        async move {
            let until = Instant::now() + POLL;
            loop {
                let changed = self.0.changed.notified();
                let (received, next) = self.with(|state| {
                    let received = state.receive(limits, invisible, Instant::now());
                    (received, state.invisible.first().map_or(until, |(visible, _)| (*visible).min(until)))
                });
                let received = received?;
                if !received.is_empty() || Instant::now() >= until {
                    return Ok(received);
                }
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(next) => {}
                }
            }
        }
        .boxed()
    }
}

impl Handles for Pool {
    fn extend<'a>(&'a self, handles: &'a [Handle], invisible: Duration) -> BoxFuture<'a, Vec<Result<Handle, Error>>> {
        let now = Instant::now();
        let answers = self.with(|state| handles.iter().map(|handle| state.extend(handle, invisible, now)).collect());
        async move { answers }.boxed()
    }

    fn acknowledge<'a>(&'a self, handles: &'a [Handle]) -> BoxFuture<'a, Vec<Result<(), Error>>> {
        let now = Instant::now();
        let answers = self.with(|state| handles.iter().map(|handle| state.acknowledge(handle, now)).collect());
        self.0.changed.notify_waiters();
        async move { answers }.boxed()
    }

    fn release<'a>(&'a self, handles: &'a [Handle]) -> BoxFuture<'a, Vec<Result<(), Error>>> {
        let now = Instant::now();
        let answers = self.with(|state| handles.iter().map(|handle| state.release(handle, now)).collect());
        self.0.changed.notify_waiters();
        async move { answers }.boxed()
    }
}
