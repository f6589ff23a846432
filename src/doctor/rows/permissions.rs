//! What can be found in the stage `permissions`.

use crate::doctor::row::rows;

rows! { Permissions:
}
