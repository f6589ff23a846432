//! What can be found in the stage `dapr`.

use crate::doctor::row::rows;

rows! { Dapr:
}
