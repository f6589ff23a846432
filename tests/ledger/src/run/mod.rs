//! What a run is made of: publishers, an app with moods, members that come and go, and a
//! separate client that reads what stands on the broker. Which faults happen, and when,
//! is not said here.

mod app;
mod member;
mod place;
mod plan;
mod publisher;
mod reader;
mod server;
mod writer;

pub use app::{Conditions, Moody};
pub use member::{Member, Setup};
pub use plan::{Mood, Moods, Plan};
pub use publisher::{Doors, Pace, Publishers, publish_once};
pub use reader::{Reader, Readings, records};
pub use writer::{Transaction, Written, transact, write};
