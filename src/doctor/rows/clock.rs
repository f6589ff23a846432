//! What can be found in the stage `clock`.

use crate::doctor::row::rows;

rows! { Clock:
}
