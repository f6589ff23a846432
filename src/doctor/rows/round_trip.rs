//! What can be found in the stage `round_trip`.

use crate::doctor::row::rows;

rows! { RoundTrip:
}
