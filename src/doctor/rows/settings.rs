//! What can be found in the stage `settings`.

use crate::doctor::row::rows;

rows! { Settings:
    METADATA "RDK-CFG-01" Problem
        "The component's metadata can't be used"
        why "Init refuses it, and daprd goes on without the component or ends."
        found "The metadata is read as Init reads it; `dapr-rdkafka config check` says the same."
        fix "Write the key as docs/metadata.md has it, or remove it if it is refused.";
    WITHOUT_EFFECT "RDK-CFG-02" Warning
        "A key has no effect"
        why "Whoever wrote it wanted something that does not happen."
        found "The metadata is read as Init reads it: the key is unknown, or another one makes it \
               meaningless."
        fix "Write the key that was meant, or remove this one.";
    ELSEWHERE "RDK-CFG-03" Problem
        "Values that only daprd can look up"
        why "The brokers can't be asked as the component asks them without its login, its \
             certificates or their addresses."
        found "The file has a `secretKeyRef`, or an `envRef` of a variable that is not set here, instead of a value."
        fix "Where the component runs, ask with `--instance NAME` instead of the file. Anywhere else \
             give the values with `--set KEY=VALUE`.";
    SUBSCRIPTION "RDK-CFG-04" Problem
        "A subscription can't be used"
        why "The component refuses it, and nothing is delivered for it."
        found "The subscription's topic and metadata are read as the component reads them when \
               daprd subscribes."
        fix "Change the Subscription, or the component's `deadLetterTopic` if that is named.";
    UNREADABLE "RDK-CFG-05" Problem
        "There is no component to look at"
        why "Without its metadata it is not known which brokers to ask, and how."
        found "The file can't be read as YAML, has no such Component or more than one, or no \
               running component has an instance of that name."
        fix "Do what the cause says: name the file, the Component (`--name`) or the instance that is \
             there.";
}
