//! What can be found in the stage `limits`.

use crate::doctor::row::rows;

rows! { Limits:
}
