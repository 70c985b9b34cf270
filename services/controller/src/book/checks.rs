//! What a change is checked against before it is made: the rules, and what else is defined.

use std::sync::Arc;

use rocketbridge_codec::definition::Kind;
use rocketbridge_codec::keyspace;
use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::validate::{self, Known, Moved, newly_shared, resolve, shared_progress, shares_progress};
use rocketbridge_program::Compiler;

use super::Book;
use crate::error::Error;
use crate::resource::Defines;

impl Book {
    /// Checks a definition against all rules, away from the threads that serve. One that is too long is refused at once.
    pub(super) async fn examine<D: Defines>(&self, definition: &D, known: &Arc<Known>) -> Result<(), Error> {
        validate::length(definition).map_err(Error::Refused)?;
        let (definition, known, compiler) = (definition.clone(), Arc::clone(known), Arc::clone(&self.compiler));
        self.examination.run(move || definition.check(&known, &compiler)).await.map_err(Error::Refused)
    }

    /// Refuses a stream that would share its progress with another one.
    pub(super) async fn check_progress<D: Defines>(&self, definition: &D, uid: &str) -> Result<(), Error> {
        let references = self.references().await?;
        let Some(source) = definition.source(uid, &references.known) else { return Ok(()) };
        let entries = self.store.list(keyspace::folder(Kind::Stream)).await?.entries;
        let (shelf, name) = (Arc::clone(&self.shelf), definition.name().to_owned());
        let look = move || {
            shelf.retain(entries.iter());
            let shared = entries.iter().find_map(|entry| {
                let (record, other) = shelf.resolved(entry, &references)?;
                let shares =
                    record.definition.name != name && other.as_ref().as_ref().is_ok_and(|other| shares_progress(&source, &other.source));
                shares.then_some(record)
            });
            shared.map(|other| shared_progress(&source, &other.definition.name))
        };
        match self.examination.run(look).await {
            Some(violation) => Err(Error::Refused(vec![violation])),
            None => Ok(()),
        }
    }

    /// Refuses a change of what is known if anything that was right before would be wrong after it.
    pub(super) async fn check_dependents(&self, change: impl FnOnce(&mut Known)) -> Result<(), Error> {
        let before = self.known().await?;
        let mut after = (*before).clone();
        change(&mut after);
        let entries = self.store.list(keyspace::folder(Kind::Stream)).await?.entries;
        let (shelf, compiler) = (Arc::clone(&self.shelf), Arc::clone(&self.compiler));
        let look = move || {
            let streams: Vec<Arc<StreamRecord>> = entries.iter().filter_map(|entry| shelf.stream(entry)).collect();
            dependents(&before, &after, &streams, &compiler)
        };
        self.examination.run(look).await
    }
}

/// Refuses what would break a connection or a stream, or bring two streams to one progress.
fn dependents(before: &Known, after: &Known, streams: &[Arc<StreamRecord>], compiler: &Compiler) -> Result<(), Error> {
    for connection in &after.connections {
        if before.connections.contains(connection)
            && connection.check(before, compiler).is_ok()
            && let Err(violations) = connection.check(after, compiler)
        {
            return Err(Error::BreaksDependents { dependent: format!("connection {}", connection.name), violations });
        }
    }
    let mut moved = Vec::new();
    for record in streams {
        let name = &record.definition.name;
        match (resolve(record, before), resolve(record, after)) {
            (Ok(_), Err(violations)) => return Err(Error::BreaksDependents { dependent: format!("stream {name}"), violations }),
            (Ok(before), Ok(after)) => moved.push(Moved { stream: name.clone(), before: before.source, after: after.source }),
            (Err(_), _) => {}
        }
    }
    match newly_shared(&moved) {
        Some((stream, other)) => Err(Error::BreaksDependents {
            dependent: format!("stream {}", stream.stream),
            violations: vec![shared_progress(&stream.after, &other.stream)],
        }),
        None => Ok(()),
    }
}

/// Puts a definition in place of the one of its name.
pub(super) fn replace<D: Defines>(definition: &D) -> impl FnOnce(&mut Known) + use<D> {
    let definition = definition.clone();
    move |known| {
        forget(known, D::KIND, definition.name());
        let any: &dyn std::any::Any = &definition;
        known.connections.extend(any.downcast_ref::<ConnectionDefinition>().cloned());
        known.networks.extend(any.downcast_ref::<NetworkDefinition>().cloned());
    }
}

/// Removes the definition of a name.
pub(super) fn forget(known: &mut Known, kind: Kind, name: &str) {
    match kind {
        Kind::Connection => known.connections.retain(|connection| connection.name != name),
        Kind::Network => known.networks.retain(|network| network.name != name),
        Kind::Stream | Kind::Route => {}
    }
}
