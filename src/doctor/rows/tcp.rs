//! What can be found in the stage `tcp`.

use crate::doctor::row::rows;

rows! { Tcp:
}
