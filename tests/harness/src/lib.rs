//! Starts and stops the real daprd, Kafka, component and Todo app.
