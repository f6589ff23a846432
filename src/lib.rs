//! A Dapr pub/sub component for Apache Kafka and Redpanda, built on librdkafka.
//!
//! The rooms, lowest first; a room uses only the rooms above it in this list:

pub mod model;

pub mod engine;

pub mod metadata;

pub mod token;

pub mod resources;

pub mod connect;

pub mod doctor;

pub mod telemetry;

pub mod kafka;

pub mod delivery;

pub mod dapr;

pub mod heal;

pub mod admin;

pub mod probe;

pub mod dlq;

pub mod config;

pub mod topics;

pub mod lanes;

pub mod memory;

pub mod shutdown;

pub mod cli;

pub mod app;
