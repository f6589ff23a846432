//! What a pod is to be.

use std::time::Duration;

use crate::support::Fixture;

/// daprd's user in its own image, and this component's.
pub const NONROOT: u32 = 65532;

/// The three ways to run the component beside daprd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An init container with `restartPolicy: Always` and a startup probe.
    NativeSidecar,
    /// A container whose `postStart` waits for the socket.
    Container,
    /// A container that Dapr's injector adds, after daprd's own.
    Injector,
}

/// What a pod is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub way: Way,
    pub app_id: String,
    /// The port of an app that runs outside of the pod; without one the Todo app runs inside.
    pub app_port: Option<u16>,
    /// How long the component's first start takes.
    pub late: Duration,
    /// The component's user.
    pub user: u32,
    /// Whether the component may have daprd restarted.
    pub heal: bool,
}

impl Wanted {
    /// The Todo app, and everything as the manifests have it.
    pub fn new(way: Way, fixture: &Fixture) -> Self {
        Self {
            way,
            app_id: fixture.name("pod"),
            app_port: None,
            late: Duration::ZERO,
            user: NONROOT,
            heal: false,
        }
    }
}
