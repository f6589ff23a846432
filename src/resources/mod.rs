//! Dapr's resource files: Components and Subscriptions, read as daprd reads them.
//!
//! The rules are those of dapr/dapr v1.18.3, `pkg/internal/loader/disk/manifest.go`: a file is
//! split at lines that begin with `---`, each part is YAML 1.1 that becomes JSON, and the names of
//! fields match in any case.

mod component;
mod document;
mod plain;
mod subscription;
mod yaml;

pub use component::{Component, Elsewhere};
pub use document::{Document, documents};
pub use subscription::Subscription;

#[cfg(test)]
mod tests;
