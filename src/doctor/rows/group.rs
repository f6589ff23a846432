//! What can be found in the stage `group`.

use crate::doctor::row::rows;

rows! { Group:
}
