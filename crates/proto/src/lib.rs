//! What `proto/` compiles to: message types, clients and servers, and the descriptors that gRPC reflection serves.
//!
//! Nothing is written by hand here. Generated types stay within the codec and transport crates, the controller's API and
//! the command line.
#![allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]

/// Every file of `proto/` with its imports, encoded as a `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! package {
    ($module:ident) => {
        pub mod $module {
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/rocketbridge.", stringify!($module), ".v1.rs"));
            }
        }
    };
}

package!(admin);
package!(connection);
package!(dispatch);
package!(event);
package!(filter);
package!(network);
package!(record);
package!(route);
package!(session);
package!(stream);
