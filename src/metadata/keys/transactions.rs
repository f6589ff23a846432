//! The transactions of Dapr 1.19's built-in component: none are written or joined here.

use super::{Compare, Key, honoured, inert};
use crate::metadata::parse;

/// Why publishing in transactions is refused: accepted, a bulk publish of which one entry
/// fails would leave the others published.
const NO_PRODUCER: &str = "Publish writes no transactions. Remove the key: each publish is \
                           idempotent, and a failed bulk publish names the entries that were not \
                           published. If a bulk publish must be atomic, stay with the built-in \
                           component";

/// Why consuming in transactions is refused: accepted, what an app publishes would stay
/// published when its delivery fails.
const NO_CONSUMER: &str = "a delivery runs in no transaction, so what the app publishes meanwhile \
                           stays published when the delivery fails. Remove the key and make the \
                           app idempotent, since a message may be delivered again. If the app \
                           relies on exactly-once processing, stay with the built-in component";

const IS_REFUSED: Compare =
    Compare::Differs("true is refused, since nothing is published in a transaction");

/// Takes only what turns a transaction off.
fn off(text: &str, reason: &str) -> Result<(), String> {
    if parse::flag(text)? {
        return Err(reason.into());
    }
    Ok(())
}

pub(super) const KEYS: &[Key] = &[
    honoured(
        "producerTransactionsEnabled",
        Some("false"),
        |text, _| off(text, NO_PRODUCER),
        "Whether every publish is a Kafka transaction, so that a bulk publish is atomic. Only \
         false is accepted.",
    )
    .words(&["false"])
    .since("1.19")
    .compare(IS_REFUSED),
    honoured(
        "consumerTransactionsEnabled",
        Some("false"),
        |text, _| off(text, NO_CONSUMER),
        "Whether each delivery is a Kafka transaction that the app's own publishes join by \
         repeating the delivery's __txnToken. Only false is accepted. A publish that carries a \
         __txnToken fails with InvalidArgument, since it would be in no transaction.",
    )
    .words(&["false"])
    .since("1.19")
    .compare(IS_REFUSED),
    inert(
        "transactionalIdPrefix",
        "It is for producerTransactionsEnabled and consumerTransactionsEnabled, which must be \
         false.",
    )
    .since("1.19")
    .example("orders"),
    inert(
        "transactionTimeout",
        "It is for producerTransactionsEnabled and consumerTransactionsEnabled, which must be \
         false.",
    )
    .seconds()
    .since("1.19")
    .example("60s"),
];
