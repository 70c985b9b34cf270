//! What the stages have in common: where ownership meets sessions.
//!
//! - [`downlink`]: the opener's side: a session to whoever owns a shard now, opened again whenever it ends or the owner changes;
//! - [`reception`]: the answering side: units begin and drain, sessions are received, admitted and served;
//! - [`records`]: what this process's own copies of the metadata store say about what an opener claims; [`definitions`]: the streams as they should
//!   run now, references followed;
//! - [`shards`]: which shards this process owns, and the sessions that it serves for them;
//! - [`carry`]: the requests of both kinds of session, seen alike.
//!
//! # How a session ends in good order
//!
//! Either side may want it: the opener calls [`Downlink::finish`], which closes its half of the stream; the other side sends `Drain`, upon which
//! the opener does the same. Then the answering side forgets what it has not begun, finishes its own session to the next stage in the same
//! way, passes on the outcomes of what was with the target, and closes, but not before the opener has closed its half: so it knows that it
//! is heard to the end, whatever other news the opener gets meanwhile. Lanes end in order, so what was forgotten is a suffix of what was sent:
//! the opener sends exactly that again, to the next owner or after a restart, and nothing is repeated. Whoever stops waits a little longer
//! than the stage behind it; whoever goes on waits as long as it takes ([`patience`]).

pub mod carry;
pub mod definitions;
pub mod downlink;
pub mod patience;
pub mod reception;
pub mod records;
pub mod shards;

pub use carry::Carry;
pub use definitions::Definitions;
pub use downlink::{Downlink, Locate, News};
pub use patience::Patience;
pub use reception::{Admitted, Reception, Serve};
pub use records::{Copies, Records};
pub use shards::{Shards, Ticket};
