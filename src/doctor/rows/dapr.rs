//! What can be found in the stage `dapr`.

use crate::doctor::row::rows;

rows! { Dapr:
    ELSEWHERE "RDK-DAPR-01" Problem
        "daprd looks for sockets in another folder"
        why "daprd looks in one folder only, and finds no component that has its socket elsewhere."
        found "The environment of the daprd process is read, where that is allowed, and compared with the folder of the sockets."
        fix "Start daprd with `DAPR_COMPONENTS_SOCKETS_FOLDER` set to the folder of the sockets. The similar `DAPR_COMPONENT_SOCKETS_FOLDER` is not read by daprd.";
    NO_SOCKET "RDK-DAPR-02" Problem
        "The component has no socket"
        why "daprd talks with the component over the socket `NAME.sock` alone; the type `pubsub.NAME` has no other."
        found "The folder of the sockets is looked into."
        fix "Start `dapr-rdkafka run` with the type's name and this folder, then restart daprd: it looks for sockets only when it starts.";
    STALE "RDK-DAPR-03" Problem
        "Nobody listens on a socket"
        why "A daprd that starts waits without a limit for whoever should listen on each socket of the folder, whichever component it needs, until its liveness probe ends it."
        found "Each socket of the folder is connected to."
        fix "Start the component whose socket it is, or remove the file; then restart daprd.";
    DENIED "RDK-DAPR-04" Problem
        "daprd may not open the socket"
        why "A daprd that may not open a socket says nothing: it tries again without a limit, until its liveness probe ends it."
        found "The owner, group and mode of the folder and of each socket are compared with the user of the daprd process, or with `--daprd-user`. In a pod, and with that option, `dapr-rdkafka run` looks at its own sockets too when it starts, and warns."
        fix "Start the component with the `--socket-group` and `--socket-mode` that let daprd's user write.";
    SILENT "RDK-DAPR-05" Problem
        "daprd does not answer"
        why "Without daprd the app can neither publish nor get events. daprd opens its HTTP port only after it has initialised its components."
        found "daprd's metadata API is asked at `--dapr-http-port`."
        fix "Start daprd, or give the port that it really has; its log says why it ended.";
    TOKEN "RDK-DAPR-06" Problem
        "daprd wants its API token"
        why "What daprd has loaded can't be seen without it."
        found "daprd's metadata API is asked with `$DAPR_API_TOKEN`, if that is set, and refuses."
        fix "Set `DAPR_API_TOKEN` to daprd's own in the doctor's environment.";
    NOT_DAPRD "RDK-DAPR-07" Problem
        "What answers is not daprd's HTTP API"
        why "What daprd has loaded can't be seen, and an app with this port in `DAPR_HTTP_PORT` can't publish."
        found "daprd's metadata API is asked at `--dapr-http-port`, and the answer is not its."
        fix "Give daprd's HTTP port: not its gRPC, metrics or profiling port, and not the app's. Where a Configuration lists `api.allowed`, `metadata` must be in the list.";
    NOT_LOADED "RDK-DAPR-08" Problem
        "daprd has not loaded the component"
        why "A publish to it fails with `pubsub … is not found`, and nothing is delivered."
        found "daprd's metadata API lists the components that it has loaded."
        fix "Put the Component where this daprd reads its own (`--resources-path`; in Kubernetes its namespace, with the app in its `scopes`), and restart daprd.";
    BUILT_IN "RDK-DAPR-09" Problem
        "daprd uses its built-in `pubsub.kafka`"
        why "Nothing of this component is in use: daprd found no `kafka.sock` when it started, and took its own `pubsub.kafka` in silence."
        found "This component adds `DAPR_RDKAFKA/<version>` to its capabilities, which daprd's metadata API shows; the built-in does not."
        fix "Start `dapr-rdkafka run --name kafka` first, then restart daprd; or write the type `pubsub.rdkafka`, which daprd never takes for its own.";
    OTHER_TYPE "RDK-DAPR-10" Problem
        "daprd loaded a component of another type"
        why "Nothing of this component is in use."
        found "daprd's metadata API shows the type, and the capability `DAPR_RDKAFKA/<version>` is missing."
        fix "Write the type `pubsub.rdkafka` in the Component that daprd reads, and restart daprd.";
    OTHER_VERSION "RDK-DAPR-11" Warning
        "daprd works with another version of this component"
        why "What this program says of settings and limits may not be true of the one in use."
        found "The version in the capability `DAPR_RDKAFKA/<version>` is compared with this program's."
        fix "Run the doctor of the component that is in use, or replace the component and restart daprd: it asks for the version only when it starts.";
    OLDER "RDK-DAPR-12" Problem
        "daprd is older than the component"
        why "daprd initialises a component only once, and never opens a broken stream again: after a restart of the component alone nothing is published or delivered."
        found "daprd lists the component as loaded, and the component, asked over its admin socket, was never initialised by this daprd."
        fix "Restart daprd, or run the component with `--heal-daprd`.";
}
