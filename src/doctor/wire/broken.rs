use std::io::{self, ErrorKind};

use bytes::Bytes;

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::doctor) enum Broken {
    /// The other end closed the connection before it.
    Closed,
    /// Nothing came in time.
    Silent,
    /// Something came that no broker writes; its beginning.
    Garbage(Bytes),
    /// An answer came that can't be read.
    Nonsense(String),
    /// The broker serves this request in no version that we know, or not at all.
    Unserved {
        /// The request.
        key: i16,
    },
    /// The system says something else.
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("it closed the connection instead of an answer"),
            Self::Silent => f.write_str("no answer came in time"),
            Self::Garbage(_) => f.write_str("what came is no answer of a Kafka broker"),
            Self::Nonsense(why) => write!(f, "its answer can't be read: {why}"),
            Self::Unserved { key } => {
                write!(
                    f,
                    "it serves no version of {} that is known here",
                    super::name(*key)
                )
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}
