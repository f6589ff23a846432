//! What can be found in the stage `cluster`.

use crate::doctor::row::rows;

rows! { Cluster:
}
