//! What can be found in the stage `topics`.

use crate::doctor::row::rows;

rows! { Topics:
}
