//! Where a partition's replicas go when there are to be more or fewer of them. Pure.

use std::collections::BTreeMap;

/// A broker that replicas can be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: i32,
    /// Where it stands, if brokers tell.
    pub(super) rack: Option<String>,
}

/// Each partition's replicas, `count` of them: the present ones stay in their order, the last
/// go first, and new ones go where their rack, and then this topic, has fewest. There are at
/// least `count` places.
pub(super) fn spread(partitions: &[Vec<i32>], places: &[Place], count: usize) -> Vec<Vec<i32>> {
    let mut load: BTreeMap<i32, usize> = places.iter().map(|place| (place.id, 0)).collect();
    let kept: Vec<Vec<i32>> = partitions
        .iter()
        .map(|replicas| replicas.iter().copied().take(count).collect())
        .collect();
    for id in kept.iter().flatten() {
        *load.entry(*id).or_default() += 1;
    }
    let each = kept.into_iter().map(|mut replicas| {
        while replicas.len() < count {
            let rack = |id: i32| {
                let mut places = places.iter();
                places.find(|place| place.id == id)?.rack.as_deref()
            };
            let shared = |place: &Place| {
                let same = replicas
                    .iter()
                    .filter(|id| place.rack.is_some() && rack(**id) == place.rack.as_deref());
                same.count()
            };
            let free = places.iter().filter(|place| !replicas.contains(&place.id));
            let best = free.min_by_key(|place| (shared(place), load[&place.id], place.id));
            let Some(best) = best else { break };
            let id = best.id;
            *load.entry(id).or_default() += 1;
            replicas.push(id);
        }
        replicas
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(racks: &[Option<&str>]) -> Vec<Place> {
        let each = racks.iter().zip(1..).map(|(rack, id)| Place {
            id,
            rack: rack.map(str::to_owned),
        });
        each.collect()
    }

    #[test]
    fn new_replicas_go_to_other_racks() {
        let places = places(&[Some("a"), Some("a"), Some("b"), Some("c")]);
        assert_eq!(spread(&[vec![1]], &places, 3), [vec![1, 3, 4]]);
    }

    #[test]
    fn the_last_replicas_go_first_and_the_leader_stays() {
        let places = places(&[None; 3]);
        assert_eq!(spread(&[vec![3, 1, 2]], &places, 1), [vec![3]]);
    }

    proptest! {
        #[test]
        fn each_partition_has_as_many_and_brokers_have_their_share(
            brokers in 1_usize..6,
            partitions in 1_usize..12,
            before in 1_usize..6,
            count in 1_usize..6,
        ) {
            let (before, count) = (before.min(brokers), count.min(brokers));
            let places = places(&vec![None; brokers]);
            let present: Vec<Vec<i32>> = (0..partitions)
                .map(|partition| (0..before).map(|n| places[(partition + n) % brokers].id).collect())
                .collect();
            let spread = spread(&present, &places, count);
            let mut load: BTreeMap<i32, usize> = BTreeMap::new();
            for (replicas, present) in spread.iter().zip(&present) {
                let mut distinct = replicas.clone();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), count);
                prop_assert_eq!(replicas[0], present[0]);
                for id in replicas {
                    *load.entry(*id).or_default() += 1;
                }
            }
            if count > before {
                let most = load.values().max().copied().unwrap_or_default();
                prop_assert!(most <= (partitions * count).div_ceil(brokers) + 2, "{:?}", load);
            }
        }
    }
}
