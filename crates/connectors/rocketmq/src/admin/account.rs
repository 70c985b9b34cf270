//! Accounts of access control 1.0, which RocketMQ 4.x keeps and no request reads.

use rocketbridge_connector::Error;
use rocketbridge_model::Secret;

use super::Admin;
use crate::remoting::Request;
use crate::remoting::code::request;

/// An account of 4.x (`PlainAccessConfig` of Apache RocketMQ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Access key; more than 6 characters.
    pub access_key: String,
    /// Secret key, more than 6 characters; not a reference.
    pub secret_key: Secret,
    /// Whether it may do everything.
    pub admin: bool,
    /// `DENY`, `PUB`, `SUB` or `PUB|SUB`, for topics that are not named.
    pub default_topic_permission: String,
    /// As above, for groups.
    pub default_group_permission: String,
    /// `TOPIC=PERMISSION`.
    pub topic_permissions: Vec<String>,
    /// `GROUP=PERMISSION`.
    pub group_permissions: Vec<String>,
}

impl Admin {
    /// Makes or changes an account at all masters.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses: access control 2.0 has users and rules instead. Then the account may be set at some; the error names them.
    pub async fn set_account(&self, account: &Account) -> Result<(), Error> {
        let attempt = format!("set account {} through name server {}", account.access_key, self.client.name_servers());
        self.at_masters(None, &attempt, set(account)).await.map(drop)
    }

    /// Removes an account from all masters.
    ///
    /// # Errors
    ///
    /// As for [`set_account`](Self::set_account).
    pub async fn delete_account(&self, access_key: &str) -> Result<(), Error> {
        let attempt = format!("delete account {access_key} through name server {}", self.client.name_servers());
        self.at_masters(None, &attempt, Request::new(request::DELETE_ACL_CONFIG).field("accessKey", access_key.to_owned())).await.map(drop)
    }
}

/// The fields of `CreateAccessConfigRequestHeader`. Brokers of 4.9 take an empty list for one with an empty name, so it is left out.
fn set(account: &Account) -> Request {
    let request = Request::new(request::UPDATE_AND_CREATE_ACL_CONFIG)
        .field("accessKey", account.access_key.clone())
        .field("secretKey", account.secret_key.expose().to_owned())
        .field("admin", account.admin.to_string())
        .field("defaultTopicPerm", account.default_topic_permission.clone())
        .field("defaultGroupPerm", account.default_group_permission.clone());
    let lists = [("topicPerms", &account.topic_permissions), ("groupPerms", &account.group_permissions)];
    lists.into_iter().filter(|(_, list)| !list.is_empty()).fold(request, |request, (name, list)| request.field(name, list.join(",")))
}
