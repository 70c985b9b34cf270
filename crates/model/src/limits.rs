//! How long every text and every list of a definition may be: one table, which validation, the reference pages and the API share.
//!
//! Limits of single fields keep what is checked, shown and sent small; [`largest`] keeps a whole definition within what a metadata store takes
//! (etcd: 1.5 MiB a request). A definition that is stored already is not measured again.

/// The limit of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The message of the API that the field is in.
    pub message: &'static str,
    /// The field.
    pub field: &'static str,
    /// Most characters of the text, or of each text of the list.
    pub characters: Option<usize>,
    /// Most entries of the list; `None` for a field that is none.
    pub entries: Option<usize>,
}

/// Names of definitions, topics and instances (`EventStreamingName`, `TopicValidator.TOPIC_MAX_LENGTH`).
const NAME: usize = 127;
/// Names of routes, which the names of their streams begin with.
const ROUTE: usize = 63;
/// Consumer groups (`Validators.CHARACTER_MAX_LENGTH`), logins of proxies (RFC 1929) and names of hosts.
const LONGER_NAME: usize = 255;
/// Words of which one is chosen, addresses and CIDR blocks.
const WORD: usize = 64;
/// Descriptions for people.
const DESCRIPTION: usize = 1_024;
/// Access keys, ARNs and what else names something at a cloud.
const IDENTITY: usize = 1_224;
/// Lists within one text: endpoints, vSwitches, tags.
const LIST: usize = 4_096;
/// Policies of an STS.
const POLICY: usize = 2_048;
/// Values, templates, programs and expressions.
const PROGRAM: usize = 10_240;
/// Secret keys, passwords and tokens.
const SECRET: usize = 20_000;
/// Certificates and private keys, PEM.
const PEM: usize = 65_536;
/// Patterns. `pattern.text_bytes` of the configuration is lower, unless somebody raised it.
const PATTERN: usize = 1_048_576;

/// Every text and list that a user may write.
pub const LIMITS: &[Limit] = &[
    text("Stream", "name", NAME),
    text("Stream", "description", DESCRIPTION),
    text("Stream", "filter_pattern", PATTERN),
    text("Stream", "filter_pattern_dialect", WORD),
    list("Stream", "tags", 64),
    list("Stream", "transforms", 16),
    text("Tag", "key", 128),
    text("Tag", "value", 256),
    text("TransformReference", "arn", IDENTITY),
    text("SourceRocketMqParameters", "connection", NAME),
    text("SourceRocketMqParameters", "region_id", NAME),
    text("SourceRocketMqParameters", "instance_id", NAME),
    text("SourceRocketMqParameters", "topic", NAME),
    text("SourceRocketMqParameters", "tag", LIST),
    text("SourceRocketMqParameters", "offset", WORD),
    text("SourceRocketMqParameters", "group_id", LONGER_NAME),
    text("SourceRocketMqParameters", "instance_type", WORD),
    text("SourceRocketMqParameters", "instance_protocol", WORD),
    text("SourceRocketMqParameters", "instance_network", WORD),
    text("SourceRocketMqParameters", "instance_vpc_id", NAME),
    text("SourceRocketMqParameters", "instance_vswitch_ids", LIST),
    text("SourceRocketMqParameters", "instance_security_group_id", NAME),
    text("SourceRocketMqParameters", "instance_endpoint", LIST),
    text("SourceRocketMqParameters", "instance_username", IDENTITY),
    text("SourceRocketMqParameters", "instance_password", SECRET),
    text("SourceRocketMqParameters", "auth_type", WORD),
    text("SourceRocketMqParameters", "filter_type", WORD),
    text("SourceRocketMqParameters", "filter_sql", PROGRAM),
    text("SourceRocketMqParameters", "body_data_type", WORD),
    text("SourceRocketMqParameters", "network", WORD),
    text("SourceRocketMqParameters", "vpc_id", NAME),
    text("SourceRocketMqParameters", "vswitch_ids", LIST),
    text("SourceRocketMqParameters", "security_group_id", NAME),
    text("TargetParameter", "value", PROGRAM),
    text("TargetParameter", "form", WORD),
    text("TargetParameter", "template", PROGRAM),
    text("RunOptions", "errors_tolerance", WORD),
    text("RunOptions", "mode", WORD),
    text("RunOptions", "loop_guard", WORD),
    text("RetryStrategy", "push_retry_strategy", WORD),
    text("DeadLetterQueue", "arn", IDENTITY),
    text("DeadLetterQueue", "network", WORD),
    text("DeadLetterQueue", "vpc_id", NAME),
    text("DeadLetterQueue", "vswitch_ids", LIST),
    text("DeadLetterQueue", "security_group_id", NAME),
    text("BusinessOption", "business_mode", WORD),
    text("Connection", "name", NAME),
    text("Connection", "description", DESCRIPTION),
    text("Connection", "region", NAME),
    text("Connection", "instance_type", WORD),
    text("Connection", "instance_id", NAME),
    text("Connection", "protocol", WORD),
    texts("Connection", "endpoints", 64, LONGER_NAME + 6),
    text("Connection", "namespace", NAME),
    text("Connection", "access_key", IDENTITY),
    text("Connection", "secret_key", SECRET),
    text("Connection", "security_token", SECRET),
    text("Connection", "network", NAME),
    text("StaticCredentials", "access_key", IDENTITY),
    text("StaticCredentials", "secret_key", SECRET),
    text("StaticCredentials", "security_token", SECRET),
    text("StsCredentials", "endpoint", IDENTITY),
    text("StsCredentials", "role_arn", IDENTITY),
    text("StsCredentials", "role_session_name", WORD),
    text("StsCredentials", "policy", POLICY),
    text("StsCredentials", "external_id", IDENTITY),
    text("StsCredentials", "access_key", IDENTITY),
    text("StsCredentials", "secret_key", SECRET),
    text("OidcCredentials", "endpoint", IDENTITY),
    text("OidcCredentials", "provider_arn", IDENTITY),
    text("OidcCredentials", "role_arn", IDENTITY),
    text("OidcCredentials", "role_session_name", WORD),
    text("OidcCredentials", "policy", POLICY),
    text("OidcCredentials", "token_file", LIST),
    text("InstanceRoleCredentials", "role", IDENTITY),
    text("InstanceRoleCredentials", "address", IDENTITY),
    text("FileCredentials", "path", LIST),
    text("Tls", "ca", PEM),
    text("Tls", "client_certificate", PEM),
    text("Tls", "client_key", PEM),
    text("Tls", "server_name", LONGER_NAME),
    text("Network", "name", NAME),
    text("Network", "description", DESCRIPTION),
    text("Network", "region", NAME),
    text("Network", "vpc_id", NAME),
    text("Network", "egress_proxy", IDENTITY),
    text("Network", "egress_proxy_username", LONGER_NAME),
    text("Network", "egress_proxy_password", SECRET),
    list("Network", "vswitches", 100),
    list("Network", "security_groups", 50),
    text("Vswitch", "id", NAME),
    text("Vswitch", "address", WORD),
    text("SecurityGroup", "id", NAME),
    list("SecurityGroup", "egress", 200),
    list("SecurityGroup", "rules", 200),
    text("EgressRule", "cidr", WORD),
    text("SecurityGroupRule", "direction", WORD),
    text("SecurityGroupRule", "protocol", WORD),
    text("SecurityGroupRule", "port_range", WORD),
    text("SecurityGroupRule", "cidr", WORD),
    text("SecurityGroupRule", "policy", WORD),
    text("SecurityGroupRule", "description", DESCRIPTION),
    text("Route", "name", ROUTE),
    text("Route", "description", DESCRIPTION),
    text("Route", "from", LIST),
    text("Route", "to", LIST),
    texts("Route", "topics", 1_000, NAME + 1),
    texts("Route", "groups", 1_000, LONGER_NAME + 1),
    text("Route", "mode", WORD),
    text("Route", "start", WORD),
    text("Rename", "prefix", NAME),
    text("Rename", "suffix", NAME),
    list("Rename", "topics", 1_000),
    text("TopicName", "from", NAME),
    text("TopicName", "to", NAME),
];

/// The limit of a field; `None` if it is neither a text nor a list.
pub fn of(message: &str, field: &str) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| limit.field == field && limit.message == message)
}

/// Most bytes of a whole definition, as it is stored, by the message of its kind.
pub fn largest(message: &str) -> usize {
    match message {
        "Stream" => 1 << 20,
        "Network" | "Route" => 512 << 10,
        _ => 320 << 10,
    }
}

/// Most characters of a name in a request. Longer ones name nothing.
pub const LONGEST_NAME: usize = NAME;

const fn text(message: &'static str, field: &'static str, characters: usize) -> Limit {
    Limit { message, field, characters: Some(characters), entries: None }
}

const fn list(message: &'static str, field: &'static str, entries: usize) -> Limit {
    Limit { message, field, characters: None, entries: Some(entries) }
}

const fn texts(message: &'static str, field: &'static str, entries: usize, characters: usize) -> Limit {
    Limit { message, field, characters: Some(characters), entries: Some(entries) }
}

impl Limit {
    /// Whether the field holds names, words, addresses or lists of them, and not a text for people, a program, a secret or a certificate: then it holds no control
    /// characters.
    pub fn is_of_names(&self) -> bool {
        self.characters.is_some_and(|characters| ![DESCRIPTION, PATTERN, PROGRAM, POLICY, SECRET, PEM].contains(&characters))
    }
}

impl std::fmt::Display for Limit {
    /// As the reference pages say it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.entries, self.characters) {
            (None, Some(characters)) => write!(formatter, "At most {characters} characters."),
            (Some(entries), None) => write!(formatter, "At most {entries} entries."),
            (Some(entries), Some(characters)) => write!(formatter, "At most {entries} entries of at most {characters} characters."),
            (None, None) => Ok(()),
        }
    }
}
