//! Who does what: membership, leadership, the plan, and fenced ownership (invariant I3, design §5).
//!
//! A process has one lease ([`lease`]) and an [`authority`] clock that says whether the lease can still be trusted. Under it the process
//! registers ([`member`]), may be elected ([`election`]), and claims units ([`claim`]). The leader's [`planner`] runs the pure function
//! [`plan`] over members and units and writes the result, one key per stream ([`plans`]). Each process makes the units it owns match the
//! units planned for it ([`ownership`]). Every process can look up who owns what ([`owners`]).
//!
//! Every loop is a level-triggered reconcile: it compares the present state with the wanted one, and treats watches as hints. No clock of one
//! machine is ever compared with the clock of another.

pub mod authority;
pub mod claim;
pub mod election;
pub mod error;
pub mod lease;
pub mod member;
pub mod owners;
pub mod ownership;
pub mod plan;
pub mod planner;
pub mod plans;
pub mod shortage;
pub mod stage;
pub mod unit;
mod value;

pub use authority::Authority;
pub use claim::Claims;
pub use election::{Election, Leadership};
pub use error::Error;
pub use lease::{Lease, Term};
pub use member::{Member, Members, Registration};
pub use owners::{Owner, Owners, UnitOwner};
pub use ownership::{Claim, Handler, Ownership};
pub use plan::{Assignment, Reason, plan};
pub use planner::Planner;
pub use plans::{Plans, StreamPlan};
pub use stage::Stage;
pub use unit::{Unit, UnitId, UnitKind};
