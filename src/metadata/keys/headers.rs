//! How headers and metadata become one another.

use super::{Compare, Key, honoured};
use crate::metadata::{headers::Pattern, parse};

pub(super) const KEYS: &[Key] = &[
    honoured(
        "escapeHeaders",
        Some("false"),
        |text, settings| {
            settings.headers.escape = parse::flag(text)?;
            Ok(())
        },
        "true: a received record's key and header values reach the app as Go's \
         url.QueryEscape writes them (a space is +, other bytes are %XX), so that \
         any bytes pass. What is published is sent as it is given. false: a value \
         that no HTTP header can carry is left out, and such a key is given as \
         __key.base64.",
    )
    .flag()
    .compare(Compare::Wider(
        "without it a value that no HTTP header can carry is left out and counted; \
         with the built-in an HTTP app never gets such a message, and its partition \
         is retried for ever",
    ))
    .unset(
        "a header that no HTTP header can carry is left out, and counted; with the \
         built-in an HTTP app never gets such a message, and its partition is retried \
         for ever",
    ),
    honoured(
        "excludeHeaderMetaRegex",
        None,
        |text, settings| {
            settings.headers.exclude = Some(Pattern::new(text)?);
            Ok(())
        },
        "A regular expression, searched for in names. Metadata of a publish whose \
         name matches becomes no header (partitionKey, __key and partitionNumber \
         have their effect all the same), and a received header whose name matches \
         is not passed to the app. The syntax is that of Rust's regex crate, which \
         is Go's but for this: \\Q…\\E and \\C are unknown, \\d, \\w, \\s and \\b \
         know Unicode, and [, &&, -- and ~~ inside a class are operators. A pattern \
         that can't be read is an error at Init.",
    )
    .example("^x-internal")
    .compare(Compare::Differs(
        "the syntax is Rust's, which is Go's but for a few signs",
    )),
];
