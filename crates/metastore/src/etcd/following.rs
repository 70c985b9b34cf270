//! A watch on etcd, with its three silent deaths made loud: compaction under it (the server says so once and keeps the stream open),
//! a server that stopped answering (nothing is said at all), and a stream that just ends.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{EventType, WatchRequestSender, WatchResponse, WatchResponseStream, WatchStream};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::Error;
use crate::watch::{Change, Source, WatchEvent};

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

    /// What an answer means; nothing for the confirmation of the watch itself.
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

    fn ended(&self, source: Option<crate::error::Source>) -> Error {
        Error::WatchEnded { prefix: self.prefix.clone(), place: self.place.clone(), source }
    }
}

impl Source for Following {
    fn next(&mut self) -> BoxFuture<'_, Result<WatchEvent, Error>> {
        async move {
            loop {
                // Counted from what was heard and asked, not from this call, so that being dropped and called again extends nothing.
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
