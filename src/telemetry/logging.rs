//! Where log lines go and how they look.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, filter::ParseError};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// At trace the AWS signer logs what it signs with: the access key, and the session's
/// token.
const AWS_SIGNER: &str = "aws_sigv4=warn";

/// Starts logging to standard error.
///
/// `level` is a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter in
/// tracing's syntax, such as `info,librdkafka=debug`.
///
/// # Errors
/// When `level` is neither.
pub fn start(format: Format, level: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::builder()
        .parse(level)?
        .add_directive(AWS_SIGNER.parse()?);
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_target(false).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
