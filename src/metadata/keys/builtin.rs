//! Keys of the built-in component about headers.

use super::{Key, refused};

pub(super) const KEYS: &[Key] = &[
    refused(
        "escapeHeaders",
        "not honoured by this version; remove it, or stay with the built-in component until it is",
        "A key of the built-in component.",
    )
    .flag()
    .example("true"),
    refused(
        "excludeHeaderMetaRegex",
        "not honoured by this version; remove it, or stay with the built-in component until it is",
        "A key of the built-in component.",
    )
    .example("^x-internal"),
];
