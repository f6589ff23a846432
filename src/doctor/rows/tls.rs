//! What can be found in the stage `tls`.

use crate::doctor::row::rows;

rows! { Tls:
}
