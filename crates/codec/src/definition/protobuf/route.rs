//! Routes to and from their messages.

use rocketbridge_model::RouteDefinition;
use rocketbridge_model::route::{RenameDefinition, TopicName};
use rocketbridge_proto::route::v1 as route;

/// A route from its message.
pub fn route_from(message: route::Route) -> RouteDefinition {
    let name = |name: route::TopicName| TopicName { from: name.from, to: name.to };
    RouteDefinition {
        name: message.name,
        description: message.description,
        from: message.from,
        to: message.to,
        topics: message.topics,
        rename: message.rename.map(|rename| RenameDefinition {
            prefix: rename.prefix,
            suffix: rename.suffix,
            topics: rename.topics.into_iter().map(name).collect(),
        }),
        both_ways: message.both_ways,
        mode: message.mode,
        start: message.start,
        groups: message.groups,
        translation_interval_ms: message.translation_interval_ms,
    }
}

/// A route to its message.
pub fn route_to(definition: RouteDefinition) -> route::Route {
    let name = |name: TopicName| route::TopicName { from: name.from, to: name.to };
    route::Route {
        name: definition.name,
        description: definition.description,
        from: definition.from,
        to: definition.to,
        topics: definition.topics,
        rename: definition.rename.map(|rename| route::Rename {
            prefix: rename.prefix,
            suffix: rename.suffix,
            topics: rename.topics.into_iter().map(name).collect(),
        }),
        both_ways: definition.both_ways,
        mode: definition.mode,
        start: definition.start,
        groups: definition.groups,
        translation_interval_ms: definition.translation_interval_ms,
        ..Default::default()
    }
}
