//! What is to be reached, by daprd, scenario, figure and side.

use harness::DaprdBuild;

use crate::figures::{Figure, Spread};

/// A bound of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// The ratio to the base is at least this.
    RatioAtLeast(f64),
    /// The ratio to the base is at most this.
    RatioAtMost(f64),
    /// The figure is at most this.
    AtMost(f64),
    /// The figure is at most this more than the base's.
    AtMostMore(f64),
}

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    scenario: &'static str,
    name: &'static str,
    side: &'static str,
    bound: Bound,
}

const fn target(
    scenario: &'static str,
    name: &'static str,
    side: &'static str,
    bound: Bound,
) -> Target {
    Target {
        scenario,
        name,
        side,
        bound,
    }
}

use Bound::{AtMost, AtMostMore, RatioAtLeast, RatioAtMost};

/// The targets where no daprd runs, or a serial one.
const TARGETS: &[Target] = &[
    target("publish, 200 B", "messages", "component", RatioAtLeast(1.0)),
    target("publish, 10 kB", "messages", "component", RatioAtLeast(1.0)),
    target(
        "bulk publish, 100 of 200 B",
        "messages",
        "component",
        RatioAtLeast(1.2),
    ),
    target("end to end at 100/s", "p50", "component", RatioAtMost(1.0)),
    target("end to end at 100/s", "p99", "component", RatioAtMost(1.0)),
    target("end to end at 500/s", "p50", "component", RatioAtMost(1.0)),
    target("end to end at 500/s", "p99", "component", RatioAtMost(1.0)),
    target(
        "subscribe, 5 ms of work",
        "messages",
        "component, 16 lanes",
        RatioAtLeast(2.4),
    ),
    target(
        "subscribe, 5 ms of work",
        "messages",
        "component, concurrent dispatch",
        RatioAtLeast(5.0),
    ),
    target(
        "subscribe, no work",
        "messages",
        "component, 16 lanes",
        RatioAtLeast(1.2),
    ),
    target(
        "six topics at 500/s",
        "component's memory",
        "component",
        AtMost(40.0),
    ),
    target(
        "publish, 200 B",
        "messages",
        "through the socket",
        RatioAtLeast(0.7),
    ),
    target(
        "publish, 10 kB",
        "messages",
        "through the socket",
        RatioAtLeast(0.7),
    ),
    target(
        "memory with a backlog",
        "most memory",
        "1,000,000 standing",
        AtMostMore(20.0),
    ),
];

/// The target on a concurrent daprd, where an app needs no lanes.
const CONCURRENT: &[Target] = &[target(
    "subscribe, 5 ms of work",
    "messages",
    "component",
    RatioAtLeast(1.0),
)];

/// The target of a figure's side on the daprd of this version, if there is one.
pub fn find(daprd: Option<&str>, figure: &Figure, side: &str) -> Option<&'static Target> {
    let targets = match daprd.and_then(DaprdBuild::of_version) {
        Some(daprd) if !daprd.is_serial() => CONCURRENT,
        _ => TARGETS,
    };
    targets.iter().find(|target| {
        target.scenario == figure.scenario && target.name == figure.name && target.side == side
    })
}

impl Target {
    /// As the page tells it.
    pub fn told(&self) -> String {
        match self.bound {
            RatioAtLeast(ratio) => format!("≥ {ratio}"),
            RatioAtMost(ratio) => format!("≤ {ratio}"),
            AtMost(most) => format!("≤ {most} in all"),
            AtMostMore(more) => format!("≤ {more} more"),
        }
    }

    /// Whether the median is within the bound, to the two digits that are shown; `None` if
    /// something was not measured.
    pub fn is_met(&self, figure: &Figure, side: &str) -> Option<bool> {
        let rounded = |spread: Spread| (spread.median * 100.0).round() / 100.0;
        let ratio = figure.ratio(side).map(rounded);
        let median = |side: &str| Some(rounded(Spread::of(figure.sides.get(side)?)?));
        Some(match self.bound {
            RatioAtLeast(least) => ratio? >= least,
            RatioAtMost(most) => ratio? <= most,
            AtMost(most) => median(side)? <= most,
            AtMostMore(more) => median(side)? - median(&figure.base)? <= more,
        })
    }
}
