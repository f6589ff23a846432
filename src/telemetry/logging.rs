//! Where log lines go and how they look.

use std::io::IsTerminal as _;

use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{ParseError, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// What the AWS SDK's crates begin with. They log what they sign with, and whole answers
/// with keys in them, at trace; an access key at info; and at warn the token for a
/// container's credentials, if that can't be used. What goes wrong there is told anyway,
/// as the reason of a login that failed.
const AWS_SDK: &str = "aws_";

/// Starts logging to standard error.
///
/// `level` is a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter in
/// tracing's syntax, such as `info,librdkafka=debug`. No filter lets the AWS SDK's own
/// lines through: they hold secrets.
///
/// # Errors
/// When `level` is neither.
pub fn start(format: Format, level: &str) -> Result<(), ParseError> {
    let lines = fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_target(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    passing(level)?.with(lines).init();
    Ok(())
}

/// Lets through what `level` asks for, and may be shown.
fn passing(
    level: &str,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync, ParseError> {
    let level = EnvFilter::builder().parse(level)?;
    // A filter of its own: a directive of the user's may be more specific than any here.
    Ok(Registry::default()
        .with(level)
        .with(filter_fn(may_be_shown)))
}

fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with(AWS_SDK)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written at that level of lines like the AWS SDK's, and of ours.
    fn written(level: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        let subscriber = passing(level).expect("a filter").with(lines);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "aws_config::ecs", "hunter2");
            tracing::warn!(target: "aws_config::ecs", "hunter2");
            tracing::info!(target: "aws_config::meta::credentials", "hunter2");
            tracing::trace!(target: "aws_sigv4::http_request", "hunter2");
            let span = tracing::error_span!(target: "aws_smithy_runtime", "call", key = "hunter2");
            let _call = span.enter();
            tracing::trace!(target: "aws_smithy_runtime::client", "hunter2");
            tracing::error!(target: "dapr_rdkafka", "shown");
        });
        let bytes = kept.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn no_filter_shows_what_the_aws_sdk_logs() {
        for level in [
            "error",
            "info",
            "trace",
            "info,aws_sigv4=trace",
            "trace,aws_sigv4::http_request=trace,aws_smithy_runtime::client=trace",
            "info,aws_config::ecs=trace,aws_config::meta::credentials=debug",
            "error,aws_smithy_runtime[call]=trace",
            "error,[call{key=hunter2}]=trace",
        ] {
            let written = written(level);
            assert!(written.contains("shown"), "{level}: {written}");
            assert!(!written.contains("hunter2"), "{level}: {written}");
        }
    }
}
