//! What can be found in the stage `port`.

use crate::doctor::row::rows;

rows! { Port:
}
