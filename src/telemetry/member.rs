use std::{fmt, sync::Arc};

/// A component instance as a member of its consumer group: whom an event is
/// about. Shown, it is the component's name, as log lines give it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The component instance.
    pub component: Arc<str>,
    /// Its consumer group.
    pub group: Arc<str>,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.component.fmt(f)
    }
}
