//! Who may use which topic. daprd enforces these by the topic's exact name.

use super::{Key, Support, honoured, plain};

pub(super) const KEYS: &[Key] = &[
    plain(
        "allowedTopics",
        Support::Daprd,
        "The topics that may be used at all. daprd wants lanes (`topic~1`) listed \
         too.",
    )
    .example("orders,payments"),
    honoured(
        "protectedTopics",
        None,
        |text, settings| {
            settings.protected_topics = names(text);
            Ok(())
        },
        "Topics that need a scope. A lane of one (`topic~1`) is refused unless it \
         is listed here too: daprd knows it by its own name.",
    )
    .example("payments"),
    plain(
        "publishingScopes",
        Support::Daprd,
        "Which app may publish to which topic.",
    )
    .example("app1=orders;app2=payments"),
    honoured(
        "subscriptionScopes",
        None,
        |text, settings| {
            // app1=topic1,topic2;app2=topic3 (dapr/dapr v1.16.5, pkg/scopes/scopes.go)
            let of_an_app = |app: &str| app.split_once('=').map(|(_, topics)| names(topics));
            settings.scoped_topics = text.split(';').filter_map(of_an_app).flatten().collect();
            Ok(())
        },
        "Which app may subscribe to which topic. A lane of a topic that is named \
         here is refused unless it is named too.",
    )
    .example("app1=orders;app2=payments"),
];

fn names(text: &str) -> Vec<String> {
    let names = text.split(',').map(|name| name.replace(' ', ""));
    names.filter(|name| !name.is_empty()).collect()
}
