//! `dapr-rdkafka lanes`: prints Dapr Subscriptions that open lanes, so that no app has to
//! change.
//!
//! What an app subscribes to comes from the command line or from the app itself. Which
//! topics get lanes and what the Subscriptions look like is decided by pure functions;
//! only `app` talks to anybody.

mod answer;
mod app;
mod command;
mod document;
mod plan;
mod subscription;

pub use app::AppUrl;
pub use command::{Failed, Lanes, Source, command};
pub use plan::Selection;
pub use subscription::{Bulk, Rule, Subscription};
