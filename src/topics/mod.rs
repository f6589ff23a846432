//! `dapr-rdkafka topics`: topics as a file says they should be.
//!
//! A file is read whole, and everything that is wrong with it is told at once, before any
//! broker is asked. What it wants and what is there make a plan, which is pure; `apply`
//! does it. No topic is deleted, no partition taken away, and nothing that loses data or
//! safety is done without `--allow`.

mod apply;
mod command;
mod file;
mod plan;
mod present;
mod refused;
mod render;
mod wanted;

pub use command::{Action, Ended, Failed, Topics, command};
