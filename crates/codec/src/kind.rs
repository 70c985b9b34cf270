//! The kinds of definition.

/// The kinds of definition. They sort in the order in which they can refer to each other: networks, connections, streams, routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A network.
    Network,
    /// A connection.
    Connection,
    /// A stream.
    Stream,
    /// A route.
    Route,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Network, Self::Connection, Self::Stream, Self::Route];

    /// Most bytes of a definition of this kind, as it is stored.
    pub fn largest(self) -> usize {
        rocketbridge_model::limits::largest(self.as_str())
    }

    /// The word in files: `Stream`, `Connection`, `Network`, `Route`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Connection => "Connection",
            Self::Stream => "Stream",
            Self::Route => "Route",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}
