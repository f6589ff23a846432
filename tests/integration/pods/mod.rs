//! What can go wrong at start, restart and shutdown in a cluster, without one: a pod's containers
//! in namespaces and root filesystems of their own, with the rights that the manifests give them,
//! started and stopped in the kubelet's order.
//!
//! It needs root, or a user who may make namespaces and mount in them (`scripts/prerequisites`).
//! What it does not have: a network of the pod's own, cgroups, and seccomp.

mod image;
mod kubelet;
mod late;
mod liveness;
mod pod;
mod probe;
mod restarted;
mod sealed;
mod shutdown;
mod users;
mod wanted;
mod watched;

use crate::tests;

tests!("system::pods":
    image::its_context_has_what_it_is_built_from,
    image::the_same_inputs_give_the_same_root_filesystem,
    image::what_is_missing_is_named,
    late::a_native_sidecar_is_waited_for,
    late::an_ordinary_container_is_waited_for,
    late::an_injected_one_has_daprd_restarted,
    restarted::a_component_that_was_killed_is_named_until_daprd_restarts,
    restarted::a_daprd_that_was_killed_is_succeeded,
    restarted::healing_has_daprd_restarted,
    restarted::both_killed_come_back_over_the_old_socket,
    sealed::it_has_no_rights_and_writes_to_the_socket_folder_only,
    shutdown::the_sidecar_last_loses_nothing,
    shutdown::all_at_once_loses_nothing,
    users::a_socket_that_daprd_may_not_open_is_named,
);
