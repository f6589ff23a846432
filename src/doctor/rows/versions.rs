//! What can be found in the stage `versions`.

use crate::doctor::row::rows;

rows! { Versions:
}
