//! What can be found in the stage `names`.

use crate::doctor::row::rows;

rows! { Names:
}
