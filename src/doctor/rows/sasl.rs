//! What can be found in the stage `sasl`.

use crate::doctor::row::rows;

rows! { Sasl:
}
