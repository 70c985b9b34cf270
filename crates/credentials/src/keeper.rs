//! The keys of one setting: kept, replaced before they end, replaced early when a peer refuses them.
//!
//! One task gets keys, so that however many requests wait, one question is asked. What it got is in a `watch` channel: readers take the newest value, and
//! nobody waits for a reader. [`Notify`] wakes the task; several wake-ups before it looks are one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_model::resolved::Credentials;
use rocketbridge_network::Dialer;
use rocketbridge_runtime::{Backoff, TaskHandle, TaskKind, Tasks};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::answer::Issued;
use crate::error::{Code, Error};
use crate::issue;
use crate::schedule::{PAUSES, Rule};
use crate::token::Token;

/// How long one attempt may take: a metadata service is asked up to three questions.
const ATTEMPT: Duration = Duration::from_secs(20);
/// How long whoever was refused waits for newer keys.
const NEWER: Duration = Duration::from_secs(3);

/// The keys of one setting. Cheap to clone; the task ends with the last clone.
#[derive(Clone)]
pub struct Keeper(Arc<Kept>);

pub(crate) struct Kept {
    shared: Arc<Shared>,
    /// `None` where keys never change.
    task: Option<TaskHandle>,
}

struct Shared {
    credentials: Credentials,
    dialer: Dialer,
    rule: Rule,
    state: watch::Sender<State>,
    /// Newer keys are wanted before their time.
    wanted: Notify,
}

#[derive(Clone, Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Why the last attempt failed; `None` if it did not.
    failure: Option<Error>,
    /// Attempts that have ended.
    attempts: u64,
    /// When the last one began.
    asked: Option<Instant>,
}

impl State {
    /// The keys if they may be used, or why there are none; `None` while the first attempt, or one that replaces keys that have ended, is under way.
    fn standing(&self) -> Option<Result<Arc<Token>, Error>> {
        match (&self.token, &self.failure) {
            (Some(token), _) if token.is_alive(Instant::now()) => Some(Ok(Arc::clone(token))),
            (_, Some(failure)) => Some(Err(failure.clone())),
            _ => None,
        }
    }
}

impl Keeper {
    /// Keeps the keys of a setting. Must be called within a tokio runtime.
    pub(crate) fn new(credentials: Credentials, dialer: Dialer, tasks: &Tasks) -> Self {
        let rule = Rule::of(&credentials);
        let name = issue::attempt(&credentials);
        let state = watch::Sender::new(State { token: written(&credentials, rule), ..State::default() });
        let shared = Arc::new(Shared { credentials, dialer, rule, state, wanted: Notify::new() });
        let task = (rule != Rule::Never).then(|| {
            let shared = Arc::clone(&shared);
            tasks.spawn(format!("credentials: {name}"), TaskKind::Worker, async move {
                shared.keep().await;
                Ok::<_, Infallible>(())
            })
        });
        Self(Arc::new(Kept { shared, task }))
    }

    /// The keys of the moment. It waits while the first ones are asked for. It is cancel-safe.
    pub async fn current(&self) -> Result<Arc<Token>, Error> {
        let shared = &self.0.shared;
        if let Some(standing) = shared.state.borrow().standing() {
            return standing;
        }
        // Keys that have ended although nothing failed: the clock was stopped, or the task is late.
        shared.wanted.notify_one();
        let mut states = shared.state.subscribe();
        let standing = match states.wait_for(|state| state.standing().is_some()).await {
            Ok(state) => state.standing(),
            Err(_) => None,
        };
        standing.unwrap_or_else(|| Err(Error::new(Code::Unavailable, issue::attempt(&shared.credentials), "the process stops")))
    }

    /// Keys that are newer than these, which a peer refused; `None` if there are none, or none soon. It is cancel-safe.
    ///
    /// An issuer is asked at most once in 30 s for this: most refusals are about permissions, which newer keys do not mend.
    pub async fn newer_than(&self, refused: &Token) -> Option<Arc<Token>> {
        let shared = &self.0.shared;
        let mut states = shared.state.subscribe();
        let newer = |state: &State| state.token.clone().filter(|token| **token != *refused && token.is_alive(Instant::now()));
        let (before, asked) = {
            let state = states.borrow_and_update();
            if let Some(token) = newer(&state) {
                return Some(token);
            }
            (state.attempts, state.asked)
        };
        if !shared.rule.may_answer_a_refusal(asked.map_or(Duration::MAX, |asked| asked.elapsed())) {
            return None;
        }
        shared.wanted.notify_one();
        // An attempt that was under way may have looked before there were newer ones; the one behind it, for which the wake-up stands, has not.
        let looked = states.wait_for(|state| newer(state).is_some() || state.attempts >= before + 2);
        match timeout(NEWER, looked).await {
            Ok(Ok(state)) => newer(&state),
            _ => newer(&shared.state.borrow()),
        }
    }

    /// Looks for newer keys without waiting for them: a peer refused those of the moment. An issuer is asked at most once in 30 s for this.
    pub fn look(&self) {
        let shared = &self.0.shared;
        let asked = shared.state.borrow().asked;
        if shared.rule.may_answer_a_refusal(asked.map_or(Duration::MAX, |asked| asked.elapsed())) {
            shared.wanted.notify_one();
        }
    }

    /// What will stop whoever uses the keys, or does already, for people: `end in 4 min: AssumeRole … answered 403 …`. `None` if nothing is wrong.
    pub fn concern(&self) -> Option<String> {
        let state = self.0.shared.state.borrow();
        let failure = state.failure.as_ref()?;
        Some(match &state.token {
            None => format!("there are no keys: {failure}"),
            Some(token) => match token.end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => format!("the keys cannot be renewed: {failure}"),
                Some(Duration::ZERO) => format!("the keys have ended: {failure}"),
                Some(left) => format!("the keys end in {}: {failure}", span(left)),
            },
        })
    }

    pub(crate) fn downgrade(&self) -> std::sync::Weak<Kept> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn of(kept: Arc<Kept>) -> Self {
        Self(kept)
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Keeper").field(&issue::attempt(&self.0.shared.credentials)).finish()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.cancel();
        }
    }
}

impl Shared {
    /// Gets keys again and again. It ends only by being dropped.
    async fn keep(&self) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let asked = Instant::now();
            let issued = match timeout(ATTEMPT, issue::issue(&self.credentials, &self.dialer)).await {
                Ok(issued) => issued,
                Err(_) => {
                    let reason = format!("no answer within {} s", ATTEMPT.as_secs());
                    Err(Error::new(Code::Unavailable, issue::attempt(&self.credentials), reason))
                }
            };
            let issued = issued.and_then(|issued| self.alive(issued));
            let pause = self.settle(asked, issued, &mut backoff);
            let pause = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            // Both are cancel-safe: a sleep that is dropped costs nothing, and a wake-up that nobody took stays.
            tokio::select! {
                biased;
                () = self.wanted.notified() => {}
                () = pause => {}
            }
        }
    }

    /// Keys that have ended are no keys.
    fn alive(&self, issued: Issued) -> Result<Issued, Error> {
        if issued.life == Some(Duration::ZERO) {
            return Err(Error::new(Code::Denied, issue::attempt(&self.credentials), "the keys that it gives have ended already"));
        }
        Ok(issued)
    }

    /// Notes what an attempt brought, and answers how long to wait before the next; `None` for ever.
    fn settle(&self, asked: Instant, issued: Result<Issued, Error>, backoff: &mut Backoff) -> Option<Duration> {
        let before = self.state.borrow().failure.clone();
        match issued {
            Ok(issued) => {
                if before.is_some() {
                    tracing::info!(credentials = issue::attempt(&self.credentials), "credentials are issued again");
                }
                backoff.reset();
                let life = issued.life;
                let token = Token {
                    access_key: issued.access_key,
                    secret_key: issued.secret_key,
                    security_token: issued.security_token,
                    end: life.and_then(|life| asked.checked_add(life)),
                };
                self.state.send_modify(|state| {
                    let is_same = state.token.as_ref().is_some_and(|former| same(former, &token));
                    if !is_same {
                        state.token = Some(Arc::new(token));
                    }
                    state.failure = None;
                    state.attempts += 1;
                    state.asked = Some(asked);
                });
                self.rule.renewal(life, dice())
            }
            Err(error) => {
                let pause = backoff.next_delay();
                if before.as_ref() != Some(&error) {
                    tracing::warn!(%error, "credentials cannot be renewed; this is tried again");
                }
                self.state.send_modify(|state| {
                    state.failure = Some(error);
                    state.attempts += 1;
                    state.asked = Some(asked);
                });
                Some(match self.rule {
                    // A file costs nothing to read, and whoever mends it need not wait.
                    Rule::Every(period) => pause.min(period),
                    Rule::Life | Rule::Never => pause,
                })
            }
        }
    }
}

/// Whether these are the same keys: when they end is computed anew at each look.
fn same(one: &Token, other: &Token) -> bool {
    (&one.access_key, &one.secret_key, &one.security_token) == (&other.access_key, &other.secret_key, &other.security_token)
        && one.end.is_some() == other.end.is_some()
}

/// Keys that never change, which need no task.
fn written(credentials: &Credentials, rule: Rule) -> Option<Arc<Token>> {
    match (credentials, rule) {
        (Credentials::Static(keys), Rule::Never) => Some(Arc::new(Token {
            access_key: keys.access_key.clone(),
            secret_key: keys.secret_key.clone(),
            security_token: keys.security_token.clone(),
            end: None,
        })),
        _ => None,
    }
}

/// Uniform in [0, 1).
fn dice() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A time for people: its largest unit.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}
