//! The RocketMQ inside a standalone process, in builds with the feature `embedded`.
//!
//! A build without it runs none: its configuration has `embedded_rocketmq` false, and refuses true.

#[cfg(feature = "embedded")]
mod inside {
    use std::net::SocketAddr;

    use rocketbridge_embedded_rocketmq::{Embedded, EmbeddedConfig, Error, NameServerPort};

    use crate::config::{NAME_SERVER_PORT, Standalone};
    use crate::{disk, process};

    /// A running RocketMQ.
    pub(crate) struct Rocketmq(Embedded);

    impl Rocketmq {
        /// Starts it on the data directory of the process; `None` if none is wanted.
        pub(crate) async fn start(config: &Standalone) -> anyhow::Result<Option<Self>> {
            if !config.embedded_rocketmq {
                return Ok(None);
            }
            let name_server_port = match config.name_server_port {
                None => NameServerPort::Kept { first: NAME_SERVER_PORT },
                Some(0) => NameServerPort::Kept { first: 0 },
                Some(port) => NameServerPort::Fixed(port),
            };
            let embedded = EmbeddedConfig { name_server_port, ..EmbeddedConfig::new("rocketbridge", config.data_dir.join("rocketmq")) };
            disk::check(&embedded.data_dir)?;
            Embedded::start(embedded).await.map(|embedded| Some(Self(embedded))).map_err(|error| match error {
                Error::PortTaken { .. } => anyhow::anyhow!(
                    "{error}; choose another with --embedded-name-server-port PORT (embedded.name_server_port in the configuration), or stop that program"
                ),
                _ => process::chained(error),
            })
        }

        /// Address of its name server.
        pub(crate) fn name_server(&self) -> String {
            self.0.name_server()
        }

        /// Addresses of its name server and its broker, which this process may dial whatever its rules say.
        pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
            [self.0.name_server(), self.0.broker()].iter().filter_map(|address| address.parse().ok()).collect()
        }

        /// Stops it and writes what is not yet on disk.
        pub(crate) async fn stop(self) {
            self.0.stop().await;
        }
    }
}

#[cfg(not(feature = "embedded"))]
mod inside {
    use crate::config::Standalone;

    /// There is none.
    pub(crate) enum Rocketmq {}

    impl Rocketmq {
        /// Says in the log that there is none.
        pub(crate) async fn start(_config: &Standalone) -> anyhow::Result<Option<Self>> {
            tracing::info!("this build has no RocketMQ inside: connections must name the name servers of your own clusters");
            Ok(None)
        }

        /// Never called.
        pub(crate) fn name_server(&self) -> String {
            match *self {}
        }

        /// Never called.
        pub(crate) fn addresses(&self) -> Vec<std::net::SocketAddr> {
            match *self {}
        }

        /// Never called.
        pub(crate) async fn stop(self) {
            match self {}
        }
    }
}

pub(crate) use inside::Rocketmq;
