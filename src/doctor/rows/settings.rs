//! What can be found in the stage `settings`.

use crate::doctor::row::rows;

rows! { Settings:
}
