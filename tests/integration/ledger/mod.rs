//! What a run for the ledger is made of: publishers, an app with moods, members
//! that come and go, and a separate client that reads what stands on the broker.
//! Which faults happen, and when, is the run's own.

mod app;
mod member;
mod plan;
mod publisher;
mod reader;

pub use app::Moody;
pub use member::{Member, Setup};
pub use plan::Plan;
pub use publisher::{Doors, publish};
pub use reader::{Reader, Readings, records};
