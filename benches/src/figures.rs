//! Figures: samples of each side, by round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One thing that was measured, of all sides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What was done, such as `publish, 200 B`.
    pub scenario: String,
    /// What was counted, such as `messages`.
    pub name: String,
    /// Its unit, such as `/s`.
    pub unit: String,
    /// Whether less of it is better.
    pub less_is_better: bool,
    /// The side to which the others are compared.
    pub base: String,
    /// Each side's samples, one per round.
    pub sides: BTreeMap<String, Vec<f64>>,
}

/// Sorted samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The one in the middle, or between the two there.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => return None,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Self {
            median,
            least: sorted[0],
            most: sorted[sorted.len() - 1],
        })
    }
}

impl Figure {
    /// A side's figures relative to the base's, each pair from one round; `None` for the
    /// base itself.
    pub fn ratio(&self, side: &str) -> Option<Spread> {
        if side == self.base {
            return None;
        }
        let (side, base) = (self.sides.get(side)?, self.sides.get(&self.base)?);
        let pairs = side.iter().zip(base).filter(|(_, base)| **base > 0.0);
        Spread::of(&pairs.map(|(side, base)| side / base).collect::<Vec<_>>())
    }
}

/// All figures of a run, in the order in which they came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures(pub Vec<Figure>);

/// What kind of figure a sample belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// See [`Figure::name`].
    pub name: &'static str,
    /// See [`Figure::unit`].
    pub unit: &'static str,
    /// See [`Figure::less_is_better`].
    pub less_is_better: bool,
    /// See [`Figure::base`].
    pub base: &'static str,
}

/// The base, unless it is said otherwise.
pub const BUILT_IN: &str = "built-in";

impl Kind {
    /// A rate per second.
    pub const fn rate(name: &'static str) -> Self {
        Self {
            name,
            unit: "/s",
            less_is_better: false,
            base: BUILT_IN,
        }
    }

    /// Something of which less is better.
    pub const fn cost(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            less_is_better: true,
            base: BUILT_IN,
        }
    }

    /// The same, compared to another side.
    pub const fn against(mut self, base: &'static str) -> Self {
        self.base = base;
        self
    }
}

impl Figures {
    /// Adds a sample.
    pub fn add(&mut self, scenario: &str, kind: Kind, side: &str, sample: f64) {
        let is_it = |figure: &&mut Figure| figure.scenario == scenario && figure.name == kind.name;
        let found = self.0.iter_mut().find(is_it);
        let sides = if let Some(figure) = found {
            &mut figure.sides
        } else {
            self.0.push(Figure {
                scenario: scenario.to_owned(),
                name: kind.name.to_owned(),
                unit: kind.unit.to_owned(),
                less_is_better: kind.less_is_better,
                base: kind.base.to_owned(),
                sides: BTreeMap::new(),
            });
            let last = self.0.len() - 1;
            &mut self.0[last].sides
        };
        sides.entry(side.to_owned()).or_default().push(sample);
    }
}

/// The sample below which this share of the sorted samples lies; 0 if there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "there are some thousands"
)]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).expect("there are some");
        assert_eq!((spread.median, spread.least, spread.most), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_pairs_the_samples_of_a_round() {
        let mut figures = Figures::default();
        for (base, side) in [(1.0, 2.0), (10.0, 10.0), (2.0, 6.0)] {
            let kind = Kind::rate("messages").against("base");
            figures.add("s", kind, "base", base);
            figures.add("s", kind, "side", side);
        }
        assert_eq!(figures.0[0].ratio("base"), None);
        let ratio = figures.0[0].ratio("side").expect("both are there");
        assert_eq!((ratio.median, ratio.least, ratio.most), (2.0, 1.0, 3.0));
    }

    #[test]
    fn a_percentile_is_a_sample() {
        let sorted: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [0.5, 0.99, 1.0].map(|share| percentile(&sorted, share)),
            [50.0, 99.0, 100.0]
        );
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
