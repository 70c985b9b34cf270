//! Definitions that a process makes itself: the connection to the RocketMQ inside a standalone process.
//!
//! It is stored like any other connection, so everybody who follows definitions finds it. The API shows it as built in and refuses to
//! change or delete it. A connection of the same name that a user defined is left alone.

use std::sync::Arc;

use futures::FutureExt;
use rocketbridge_codec::definition::{Kind, stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Compare, Metastore, Transaction};
use rocketbridge_model::connection::{ConnectionDefinition, EMBEDDED};
use rocketbridge_model::record::Record;

use super::{Book, Found, Step};
use crate::clock;
use crate::error::Error;
use crate::request::Request;
use crate::resource::Resource;

type Connection = Record<ConnectionDefinition>;

/// Makes the built-in connection `embedded` in a metadata store; see [`Book::set_embedded`].
///
/// # Errors
///
/// The store cannot be asked.
pub async fn set_embedded(store: Arc<dyn Metastore>, name_server: Option<&str>) -> Result<(), Error> {
    Book::new(store, Arc::default()).set_embedded(name_server).await
}

impl Book {
    /// Makes the built-in connection `embedded` lead to this name server, or removes the connection if there is none.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn set_embedded(&self, name_server: Option<&str>) -> Result<(), Error> {
        let found = match self.find::<Connection>(EMBEDDED).await {
            Err(Error::Unreadable { source, .. }) => {
                tracing::error!(error = %source, "the connection embedded is not set; delete it and start this process again");
                return Ok(());
            }
            found => found?,
        };
        if let Some(Found { record, .. }) = found
            && !record.built_in
        {
            if name_server.is_some() {
                tracing::warn!("the connection embedded was defined by a user and hides the built-in one of this name");
            }
            return Ok(());
        }
        if name_server.is_none() {
            let users = self.users(Kind::Connection, EMBEDDED).await?;
            if !users.is_empty() {
                tracing::warn!(users = users.join(", "), "the connection embedded is gone: no RocketMQ runs inside this process");
            }
        }
        self.change::<Connection>(&Request::default(), || self.embedded_step(name_server).boxed()).await.map(drop)
    }

    async fn embedded_step(&self, name_server: Option<&str>) -> Result<Step<Connection>, Error> {
        let found = self.find::<Connection>(EMBEDDED).await?;
        let definition = name_server.map(|name_server| ConnectionDefinition {
            name: EMBEDDED.to_owned(),
            description: "The RocketMQ inside this process".to_owned(),
            endpoints: vec![name_server.to_owned()],
            ..ConnectionDefinition::default()
        });
        Ok(match (found, definition) {
            (Some(Found { record, .. }), _) if !record.built_in => Step::Answer(None),
            (None, None) => Step::Answer(None),
            (Some(Found { record, .. }), Some(definition)) if record.definition == definition => Step::Answer(Some(record)),
            (Some(Found { mut record, mod_revision }), Some(definition)) => {
                record.amend(definition, clock::now());
                Self::replacement(record, mod_revision)?
            }
            (None, Some(definition)) => {
                let uid = uuid::Uuid::new_v4().to_string();
                let record = Connection { built_in: true, ..Connection::made(definition, uid, "", clock::now()) };
                let key = keyspace::definition(Kind::Connection, EMBEDDED);
                let transaction = Transaction::new().when(Compare::KeyAbsent(key.clone())).put(key, stored::encode(record.clone()));
                Step::Commit { transaction, answer: Some(record) }
            }
            (Some(Found { mod_revision, .. }), None) => {
                let key = keyspace::definition(Kind::Connection, EMBEDDED);
                let transaction = Transaction::new().when(Compare::ModRevision(key.clone(), mod_revision)).delete(key);
                Step::Commit { transaction, answer: None }
            }
        })
    }
}
