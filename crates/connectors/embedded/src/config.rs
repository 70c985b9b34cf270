//! How an embedded cluster is set up.

use std::path::PathBuf;

use rocketmq_broker::config::broker_config::{BrokerConfig, TopicQueueConfig};
use rocketmq_model::common::broker::broker_identity::BrokerIdentity;
use rocketmq_namesrv::NamesrvConfig;
use rocketmq_store::{FlushDiskType, MessageStoreConfig};
use rocketmq_transport::api::ServerConfig;

use crate::kept::NameServerPort;
use crate::ports::Ports;

/// Settings of one embedded cluster.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Name of the cluster; its broker is `<name>-a`.
    pub name: String,
    /// Where messages, topics and offsets are kept. One cluster per directory.
    pub data_dir: PathBuf,
    /// Port of the name server.
    pub name_server_port: NameServerPort,
    /// Port of the broker; 0 takes a free one. The broker also listens on the port two below.
    pub broker_port: u16,
    /// Size of a commit log file in bytes: what a fresh cluster takes on disk.
    pub commit_log_file_bytes: usize,
    /// When a message counts as stored.
    pub durability: Durability,
}

/// When a message counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is in the page cache: survives the end of the process, and loses at most about half a second if the machine fails.
    #[default]
    Process,
    /// When it is flushed to disk: survives a failure of the machine, at the price of throughput.
    Machine,
}

impl EmbeddedConfig {
    /// A cluster with free ports, files of 16 MiB, durable against the end of the process.
    pub fn new(name: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            data_dir: data_dir.into(),
            name_server_port: NameServerPort::Any,
            broker_port: 0,
            commit_log_file_bytes: 16 * 1024 * 1024,
            durability: Durability::Process,
        }
    }

    /// Name of the broker.
    pub(crate) fn broker_name(&self) -> String {
        format!("{}-a", self.name)
    }

    pub(crate) fn name_server(&self) -> NamesrvConfig {
        NamesrvConfig {
            rocketmq_home: self.path("namesrv"),
            kv_config_path: self.path("namesrv/kvConfig.json"),
            config_store_path: self.path("namesrv/namesrv.properties"),
            ..NamesrvConfig::default()
        }
    }

    pub(crate) fn broker(&self, ports: Ports) -> BrokerConfig {
        BrokerConfig {
            broker_identity: BrokerIdentity {
                broker_name: self.broker_name().into(),
                broker_cluster_name: self.name.as_str().into(),
                ..BrokerIdentity::default()
            },
            topic_queue_config: TopicQueueConfig { default_topic_queue_nums: 4 },
            broker_server_config: server(ports.broker),
            broker_ip1: LOOPBACK.into(),
            broker_ip2: Some(LOOPBACK.into()),
            listen_port: ports.broker.into(),
            namesrv_addr: Some(format!("{LOOPBACK}:{}", ports.name_server).into()),
            store_path_root_dir: self.path("store").into(),
            // A stream that names a missing topic must hear so.
            auto_create_topic_enable: false,
            auto_create_subscription_group: true,
            enable_property_filter: true,
            trace_topic_enable: false,
            // Consumer offsets reach the disk every so often; what is lost in a crash is read again.
            flush_consumer_offset_interval: 1000,
            ..BrokerConfig::default()
        }
    }

    pub(crate) fn store(&self, ports: Ports) -> MessageStoreConfig {
        let machine = self.durability == Durability::Machine;
        MessageStoreConfig {
            store_path_root_dir: self.path("store").into(),
            mapped_file_size_commit_log: self.commit_log_file_bytes,
            mapped_file_size_consume_queue: 20 * 50_000,
            // Costs throughput tenfold here.
            commit_log_micro_batch_enabled: false,
            // Nothing of ours queries by key; the index would take 410 MB.
            message_index_enable: false,
            flush_disk_type: if machine { FlushDiskType::SyncFlush } else { FlushDiskType::AsyncFlush },
            ha_listen_address: std::net::Ipv4Addr::LOCALHOST.into(),
            ha_listen_port: ports.replication.into(),
            // A pull may bring more than the 32 messages of the default: readers here are few and greedy.
            max_transfer_count_on_message_in_memory: 512,
            max_transfer_bytes_on_message_in_memory: 1024 * 1024,
            max_transfer_count_on_message_in_disk: 512,
            max_transfer_bytes_on_message_in_disk: 1024 * 1024,
            // People's disks are fuller than servers': refuse writes late.
            disk_max_used_space_ratio: 95,
            disk_space_clean_forcibly_ratio: 97,
            disk_space_warning_level_ratio: 98,
            ..MessageStoreConfig::default()
        }
    }

    fn path(&self, part: &str) -> String {
        self.data_dir.join(part).to_string_lossy().into_owned()
    }
}

pub(crate) const LOOPBACK: &str = "127.0.0.1";

pub(crate) fn server(port: u16) -> ServerConfig {
    ServerConfig { listen_port: port.into(), bind_address: LOOPBACK.to_owned(), ..ServerConfig::default() }
}
