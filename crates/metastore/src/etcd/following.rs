//! A watch on etcd that fails loudly where etcd's own watch ends in silence: when the revision it needs is compacted (the server reports this
//! once and keeps the stream open), when the server stops answering, and when the stream just ends.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{EventType, WatchRequestSender, WatchResponse, WatchResponseStream, WatchStream};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::Error;
use crate::watch::{Change, Feed, WatchEvent};

use super::config::Config;
use super::{entry, from_server, local_key};

pub(super) struct Following {
    place: String,
    namespace: Arc<str>,
    prefix: String,
    /// Kept open, because the server ends the watch when it is closed.
    requests: WatchRequestSender,
    answers: WatchResponseStream,
    silence: Duration,
    patience: Duration,
    heard: Instant,
    asked: Option<Instant>,
}

impl Following {
    pub(super) fn new(place: String, namespace: Arc<str>, prefix: &str, config: &Config, stream: WatchStream) -> Self {
        let (requests, answers) = stream.split();
        Self {
            place,
            namespace,
            prefix: prefix.to_owned(),
            requests,
            answers,
            silence: config.watch_silence,
            patience: config.attempt_timeout,
            heard: Instant::now(),
            asked: None,
        }
    }

    /// The event in an answer; `None` if the answer only confirms the watch itself.
    fn read(&self, answer: &WatchResponse) -> Result<Option<WatchEvent>, Error> {
        if answer.compact_revision() > 0 {
            return Err(Error::Compacted {
                prefix: self.prefix.clone(),
                place: self.place.clone(),
                revision: from_server(answer.compact_revision()),
            });
        }
        if answer.canceled() {
            return Err(self.ended(Some(answer.cancel_reason().into())));
        }
        let changes: Vec<Change> = answer.events().iter().filter_map(|event| self.change(event)).collect();
        let revision = changes.iter().map(Change::revision).max();
        Ok(match revision {
            Some(revision) => Some(WatchEvent::Changes { revision, changes }),
            None if answer.created() => None,
            None => Some(WatchEvent::Progress),
        })
    }

    fn change(&self, event: &etcd_client::Event) -> Option<Change> {
        let row = event.kv()?;
        Some(match event.event_type() {
            EventType::Put => Change::Put(entry(&self.namespace, row.clone())),
            EventType::Delete => Change::Delete { key: local_key(&self.namespace, row.key()), revision: from_server(row.mod_revision()) },
        })
    }

    fn silent(&self) -> Error {
        Error::WatchSilent { prefix: self.prefix.clone(), place: self.place.clone(), silence: self.heard.elapsed() }
    }

    fn ended(&self, source: Option<crate::error::BoxError>) -> Error {
        Error::WatchEnded { prefix: self.prefix.clone(), place: self.place.clone(), source }
    }
}

impl Feed for Following {
    fn next(&mut self) -> BoxFuture<'_, Result<WatchEvent, Error>> {
        async move {
            loop {
                // The deadline counts from the last answer or request, not from this call, so that a dropped and repeated call does not extend it.
                let deadline = self.asked.map_or(self.heard + self.silence, |asked| asked + self.patience);
                match timeout_at(deadline, self.answers.message()).await {
                    Ok(Ok(Some(answer))) => {
                        self.heard = Instant::now();
                        self.asked = None;
                        if let Some(event) = self.read(&answer)? {
                            return Ok(event);
                        }
                    }
                    Ok(Ok(None)) => return Err(self.ended(None)),
                    Ok(Err(error)) => return Err(self.ended(Some(error.into()))),
                    Err(_) if self.asked.is_some() => return Err(self.silent()),
                    Err(_) => {
                        self.asked = Some(Instant::now());
                        match timeout(self.patience, self.requests.request_progress()).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => return Err(self.ended(Some(error.into()))),
                            Err(_) => return Err(self.silent()),
                        }
                    }
                }
            }
        }
        .boxed()
    }
}
