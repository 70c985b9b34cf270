//! Request and response codes (`RequestCode` and `ResponseCode` of Apache RocketMQ).

/// Requests.
pub(crate) mod request {
    pub(crate) const PULL_MESSAGE: i32 = 11;
    pub(crate) const QUERY_CONSUMER_OFFSET: i32 = 14;
    pub(crate) const UPDATE_CONSUMER_OFFSET: i32 = 15;
    pub(crate) const UPDATE_AND_CREATE_TOPIC: i32 = 17;
    pub(crate) const GET_ALL_TOPIC_CONFIG: i32 = 21;
    pub(crate) const SEARCH_OFFSET_BY_TIMESTAMP: i32 = 29;
    pub(crate) const GET_MAX_OFFSET: i32 = 30;
    pub(crate) const GET_MIN_OFFSET: i32 = 31;
    pub(crate) const HEART_BEAT: i32 = 34;
    pub(crate) const UNREGISTER_CLIENT: i32 = 35;
    pub(crate) const GET_ALL_CONSUMER_OFFSET: i32 = 43;
    pub(crate) const UPDATE_AND_CREATE_ACL_CONFIG: i32 = 50;
    pub(crate) const DELETE_ACL_CONFIG: i32 = 51;
    pub(crate) const GET_ROUTE_BY_TOPIC: i32 = 105;
    pub(crate) const GET_BROKER_CLUSTER_INFO: i32 = 106;
    pub(crate) const UPDATE_AND_CREATE_SUBSCRIPTION_GROUP: i32 = 200;
    pub(crate) const GET_ALL_SUBSCRIPTION_GROUP_CONFIG: i32 = 201;
    pub(crate) const GET_CONSUMER_CONNECTION_LIST: i32 = 203;
    pub(crate) const GET_ALL_TOPICS: i32 = 206;
    pub(crate) const DELETE_TOPIC_IN_BROKER: i32 = 215;
    pub(crate) const DELETE_TOPIC_IN_NAME_SERVER: i32 = 216;
    pub(crate) const SEND_MESSAGE_V2: i32 = 310;
    pub(crate) const SEND_BATCH_MESSAGE: i32 = 320;
    pub(crate) const GET_TOPIC_CONFIG: i32 = 351;
}

/// Responses.
pub(crate) mod response {
    pub(crate) const SUCCESS: i32 = 0;
    pub(crate) const SYSTEM_ERROR: i32 = 1;
    pub(crate) const SYSTEM_BUSY: i32 = 2;
    pub(crate) const REQUEST_CODE_NOT_SUPPORTED: i32 = 3;
    pub(crate) const FLUSH_DISK_TIMEOUT: i32 = 10;
    pub(crate) const SLAVE_NOT_AVAILABLE: i32 = 11;
    pub(crate) const FLUSH_SLAVE_TIMEOUT: i32 = 12;
    pub(crate) const MESSAGE_ILLEGAL: i32 = 13;
    pub(crate) const SERVICE_NOT_AVAILABLE: i32 = 14;
    pub(crate) const NO_PERMISSION: i32 = 16;
    pub(crate) const TOPIC_NOT_EXIST: i32 = 17;
    pub(crate) const PULL_NOT_FOUND: i32 = 19;
    pub(crate) const PULL_RETRY_IMMEDIATELY: i32 = 20;
    pub(crate) const PULL_OFFSET_MOVED: i32 = 21;
    pub(crate) const QUERY_NOT_FOUND: i32 = 22;
    pub(crate) const SUBSCRIPTION_GROUP_NOT_EXIST: i32 = 26;
    pub(crate) const INVALID_PARAMETER: i32 = 29;
    pub(crate) const CONSUMER_NOT_ONLINE: i32 = 206;
    pub(crate) const FLOW_CONTROL: i32 = 215;
    pub(crate) const NOT_LEADER_FOR_QUEUE: i32 = 501;
    pub(crate) const GO_AWAY: i32 = 1500;
}
