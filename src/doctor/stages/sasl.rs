//! The login.

use crate::{
    doctor::{
        context::{Context, Target},
        wire::Wire,
    },
    metadata::security::Login,
};

/// Logs in, if the settings want it; true if the connection can be used.
pub(in crate::doctor) async fn log_in(
    context: &Context<'_>,
    _target: &Target,
    _wire: &mut Wire,
) -> bool {
    matches!(context.settings.security.login, Login::None)
}
