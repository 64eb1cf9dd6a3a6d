use proptest::prelude::*;

use super::*;

/// A datacenter as (rack number, capacity) per node; indices in list order.
fn candidates(nodes: &[(u8, u32)]) -> Vec<Candidate> {
    let candidate = |(index, &(rack, capacity)): (usize, &(u8, u32))| Candidate {
        node: NodeIndex(u16::try_from(index).unwrap()),
        rack: Name::new(&format!("rack-{rack}")).unwrap(),
        capacity,
    };
    nodes.iter().enumerate().map(candidate).collect()
}

fn partitions(count: u32) -> Partitions {
    Partitions::new(count).unwrap()
}

/// The rack cap, counted naively.
fn cap_of(nodes: &[Candidate], replication_factor: usize) -> usize {
    let size = |rack: &Name| nodes.iter().filter(|node| node.rack == *rack).count();
    let mut racks: Vec<&Name> = nodes.iter().map(|node| &node.rack).collect();
    racks.sort();
    racks.dedup();
    (1..)
        .find(|cap| {
            racks.iter().map(|rack| size(rack).min(*cap)).sum::<usize>() >= replication_factor
        })
        .unwrap()
}

/// Distinct nodes, the rack rule, targets met, first places spread: on every table that a test computes.
fn check(nodes: &[Candidate], table: &Table, previous: Option<&Table>) {
    let replication_factor = usize::from(table.replication_factor());
    let cap = cap_of(nodes, replication_factor);
    let rack = |node: &NodeIndex| &nodes.iter().find(|n| n.node == *node).unwrap().rack;
    for partition in table.partitions().iter() {
        let row = table.row(partition);
        assert_eq!(row.len(), replication_factor);
        for (place, node) in row.iter().enumerate() {
            assert!(!row[..place].contains(node), "{row:?} repeats a node");
            let in_rack = row.iter().filter(|other| rack(other) == rack(node)).count();
            assert!(in_rack <= cap, "{row:?} has {in_rack} of one rack, cap {cap}");
        }
    }
    let rf = table.replication_factor();
    for (node, target) in targets(nodes, table.partitions(), rf, previous) {
        assert_eq!(table.load(node), target);
        let leads = table.partitions().iter().filter(|p| table.row(*p)[0] == node).count();
        assert!(leads <= (target as usize).div_ceil(replication_factor), "{node:?} leads {leads}");
    }
}

/// No table with these targets and this rack cap moves less than this.
///
/// Strike departed nodes and breaches of the rack rule from the rows of `previous`; the gaps must be filled. Besides,
/// survivors must give way: at least those above their nodes' targets, and at least as many as there are gains that
/// no gap can take, because the rows with gaps have that node, or enough of its rack, already.
fn movement_bound(nodes: &[Candidate], replication_factor: u8, previous: &Table) -> u32 {
    let replication_factor = nodes.len().min(usize::from(replication_factor));
    let cap = cap_of(nodes, replication_factor);
    let rf = u8::try_from(replication_factor).unwrap();
    let rack = |node: &NodeIndex| nodes.iter().find(|n| n.node == *node).map(|n| &n.rack);
    let mut rows: Vec<Vec<NodeIndex>> = Vec::new();
    for partition in previous.partitions().iter() {
        let mut row: Vec<NodeIndex> = Vec::new();
        for node in previous.row(partition).iter().filter(|node| rack(node).is_some()) {
            let in_rack = row.iter().filter(|other| rack(other) == rack(node)).count();
            row.extend((in_rack < cap && row.len() < replication_factor).then_some(node));
        }
        rows.push(row);
    }
    let struck = rows.iter().flatten().count();
    let survivors = previous.rows.iter().filter(|node| rack(node).is_some()).count();
    let gaps: usize = rows.iter().map(|row| replication_factor - row.len()).sum();
    let (mut above, mut stuck) = (0, 0);
    for (node, target) in targets(nodes, previous.partitions(), rf, Some(previous)) {
        let held = rows.iter().filter(|row| row.contains(&node)).count();
        let takes = |row: &&Vec<NodeIndex>| {
            let in_rack = row.iter().filter(|other| rack(other) == rack(&node)).count();
            row.len() < replication_factor && !row.contains(&node) && in_rack < cap
        };
        above += held.saturating_sub(target as usize);
        stuck += (target as usize).saturating_sub(held + rows.iter().filter(takes).count());
    }
    // Which of several breaches is struck is a choice, so then only the number of gaps is certain.
    let displaced = if struck < survivors { 0 } else { above.max(stuck) };
    u32::try_from(gaps + displaced).unwrap()
}

/// Moves of the next table, which is checked, and their bound.
fn checked_moves(nodes: &[Candidate], replication_factor: u8, previous: &Table) -> (u32, u32) {
    let table = assign(nodes, previous.partitions(), replication_factor, Some(previous));
    check(nodes, &table, Some(previous));
    let moved = table.moved_from(previous);
    let bound = movement_bound(nodes, replication_factor, previous);
    assert!(moved >= bound, "the bound is none: moved {moved}, bound {bound}");
    (moved, bound)
}

#[test]
fn every_node_holds_everything_when_rf_is_the_node_count() {
    let nodes = candidates(&[(0, 100), (1, 100), (2, 100)]);
    let table = assign(&nodes, partitions(64), 3, None);
    check(&nodes, &table, None);
    assert!(nodes.iter().all(|node| table.load(node.node) == 64));
    let capped = assign(&nodes, partitions(64), 9, None);
    assert_eq!(capped, table, "a replication factor above the node count counts as the node count");
}

#[test]
fn nobody_home() {
    let table = assign(&[], partitions(8), 3, None);
    assert_eq!(table.replication_factor(), 0);
    assert!(table.row(Partition(7)).is_empty());
    let nodes = candidates(&[(0, 100)]);
    let table = assign(&nodes, partitions(8), 3, Some(&table));
    assert_eq!(table.row(Partition(7)), [NodeIndex(0)]);
    assert!(table.row(Partition(8)).is_empty(), "no such partition");
}

/// Shares by hand: (racks and capacities, RF, partitions) → targets.
#[test]
fn targets_by_hand() {
    type Row = (&'static [(u8, u32)], u8, u32, &'static [u32]);
    let rows: [Row; 8] = [
        // Equal nodes, one rack: 256 × 3 / 4.
        (&[(0, 1), (0, 1), (0, 1), (0, 1)], 3, 256, &[192, 192, 192, 192]),
        // By capacity 1:1:2 at RF 1.
        (&[(0, 1), (0, 1), (0, 2)], 1, 64, &[16, 16, 32]),
        // The big node is full at 64 and the others share what is left.
        (&[(0, 100), (0, 1), (0, 1), (0, 1)], 2, 64, &[64, 22, 21, 21]),
        // Three racks at RF 3: each holds every partition once, however few its nodes are.
        (&[(0, 1), (1, 1), (1, 1), (2, 1), (2, 3)], 3, 64, &[64, 32, 32, 16, 48]),
        // Two racks at RF 3: at most 2 in a rack; rack 1 has the capacity for 2.
        (&[(0, 1), (0, 1), (1, 2), (1, 2)], 3, 32, &[16, 16, 32, 32]),
        // Rack 0 is full with its only node, so rack 1 must hold 3 of 4.
        (&[(0, 1), (1, 1), (1, 1), (1, 1), (1, 1)], 4, 16, &[16, 12, 12, 12, 12]),
        // More racks than RF: no rack is full.
        (&[(0, 1), (1, 1), (2, 1), (3, 1), (3, 1)], 2, 16, &[7, 6, 6, 7, 6]),
        // A rack of giants is full at once per partition; the rest follows capacity.
        (&[(0, 50), (0, 50), (1, 1), (2, 1)], 2, 32, &[16, 16, 16, 16]),
    ];
    for (nodes, rf, count, expected) in rows {
        let found = targets(&candidates(nodes), partitions(count), rf, None);
        let found: Vec<u32> = found.into_iter().map(|(_, target)| target).collect();
        assert_eq!(found, expected, "{nodes:?} rf {rf} partitions {count}");
        check(&candidates(nodes), &assign(&candidates(nodes), partitions(count), rf, None), None);
    }
}

#[test]
fn survivors_keep_their_places() {
    let nodes = candidates(&[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1)]);
    let before = assign(&nodes, partitions(64), 3, None);
    let left = &nodes[1..];
    let after = assign(left, partitions(64), 3, Some(&before));
    check(left, &after, Some(&before));
    let mut changed_first = 0;
    for partition in before.partitions().iter() {
        let (old, new) = (before.row(partition), after.row(partition));
        // Without the two first places the survivors are in their old order.
        let survivors: Vec<_> = old.iter().filter(|n| new.contains(n) && **n != new[0]).collect();
        let kept: Vec<_> = new.iter().filter(|n| old.contains(n) && **n != new[0]).collect();
        assert_eq!(survivors, kept);
        changed_first += u32::from(old[0] != new[0] && old[0] != NodeIndex(0));
    }
    assert!(changed_first <= 8, "{changed_first} of 64 first places changed hands");
}

#[test]
fn an_unchanged_datacenter_keeps_its_table() {
    let nodes = candidates(&[(0, 3), (1, 1), (2, 1), (0, 1), (1, 2)]);
    let before = assign(&nodes, partitions(128), 2, None);
    assert_eq!(assign(&nodes, partitions(128), 2, Some(&before)), before);
}

#[test]
fn rf_changes_keep_what_they_can() {
    let nodes = candidates(&[(0, 1), (1, 1), (2, 1), (0, 1), (1, 1), (2, 1), (0, 1)]);
    let two = assign(&nodes, partitions(128), 2, None);
    let three = assign(&nodes, partitions(128), 3, Some(&two));
    check(&nodes, &three, Some(&two));
    assert!(three.moved_from(&two) <= 128 + 13, "one new replica per partition");
    let back = assign(&nodes, partitions(128), 2, Some(&three));
    check(&nodes, &back, Some(&three));
    assert_eq!(back.moved_from(&three), 0);
}

#[test]
fn departed_nodes_are_renumbered_away() {
    let nodes = candidates(&[(0, 1), (1, 1), (2, 1), (0, 1)]);
    let before = assign(&nodes, partitions(32), 3, None);
    // Node 0 leaves and the others move up by one.
    let renumbered = before.renumbered(|node| node.0.checked_sub(1).map(NodeIndex));
    let after = candidates(&[(1, 1), (2, 1), (0, 1)]);
    let table = assign(&after, partitions(32), 3, Some(&renumbered));
    check(&after, &table, Some(&renumbered));
    assert_eq!(table.moved_from(&renumbered), before.load(NodeIndex(0)));
}

#[test]
fn tables_are_checked_when_decoded() {
    let nodes = candidates(&[(0, 1), (1, 1)]);
    let table = assign(&nodes, partitions(4), 1, None);
    let config = bincode::config::legacy();
    let bytes = bincode::serde::encode_to_vec(&table, config).unwrap();
    let (back, _): (Table, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(back, table);
    let spoilt = |replication_factor: u8, rows: &[u16]| {
        let rows = rows.iter().map(|&node| NodeIndex(node)).collect();
        let raw = RawTable { partitions: partitions(2), replication_factor, rows };
        Table::try_from(raw).unwrap_err().to_string()
    };
    let short = "a table of 2 partitions and 2 replicas has 3 entries";
    assert_eq!(spoilt(2, &[0, 1, 2]), short);
    assert_eq!(spoilt(2, &[0, 1, 2, 2]), "the row of partition 1 repeats a node");
    let wide: Vec<u16> = (0..32).collect();
    let too_wide = "a table of 2 partitions and 16 replicas has 32 entries";
    assert_eq!(spoilt(16, &wide), too_wide);
}

#[test]
fn fallbacks_are_the_others_in_a_stable_order() {
    let names: Vec<Name> = (0..6).map(|n| Name::new(&format!("n{n}")).unwrap()).collect();
    let nodes = || (0..).map(NodeIndex).zip(&names);
    let primaries = [NodeIndex(1), NodeIndex(4)];
    let mut firsts = std::collections::BTreeSet::new();
    for partition in partitions(64).iter() {
        let all = fallbacks(partition, &primaries, nodes());
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|node| !primaries.contains(node)));
        let without_5 = fallbacks(partition, &primaries, nodes().take(5));
        let expected: Vec<_> = all.iter().copied().filter(|node| node.0 != 5).collect();
        assert_eq!(without_5, expected);
        firsts.insert(all[0]);
    }
    assert_eq!(firsts.len(), 4, "every node is somebody's first fallback");
}

/// When a node dies, its work should go to many nodes: a fresh table pairs it with all nodes of the other racks.
#[test]
fn a_fresh_table_scatters() {
    let nodes =
        candidates(&[(0, 1), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1), (2, 1), (2, 1), (2, 1)]);
    let table = assign(&nodes, partitions(256), 3, None);
    for (a, b) in [(0u16, 3u16), (0, 8), (4, 7)] {
        let both = |row: &[NodeIndex]| row.contains(&NodeIndex(a)) && row.contains(&NodeIndex(b));
        let shared = table.partitions().iter().filter(|p| both(table.row(*p))).count();
        assert!((14..=43).contains(&shared), "{a} and {b} share {shared}, expected about 28");
    }
}

#[test]
fn a_large_datacenter_is_quick() {
    let nodes: Vec<(u8, u32)> = (0..30).map(|n| (n % 5, 100 + u32::from(n) * 10)).collect();
    let nodes = candidates(&nodes);
    let before = assign(&nodes, partitions(1_024), 3, None);
    check(&nodes, &before, None);
    let after = assign(&nodes[..29], partitions(1_024), 3, Some(&before));
    check(&nodes[..29], &after, Some(&before));
}

/// All tables of a tiny datacenter, to know the true optimum.
#[test]
fn movement_is_the_least_possible() {
    let nodes = candidates(&[(0, 1), (0, 1), (1, 1), (1, 1)]);
    let choices: Vec<[u16; 2]> = vec![[0, 2], [0, 3], [1, 2], [1, 3]];
    let tables: Vec<Vec<[u16; 2]>> =
        (0..256usize).map(|code| (0..4).map(|p| choices[code >> (2 * p) & 3]).collect()).collect();
    for old in &tables {
        let rows = old.iter().flatten().map(|&n| NodeIndex(n)).collect();
        let previous = Table { partitions: partitions(4), replication_factor: 2, rows };
        let moved = assign(&nodes, partitions(4), 2, Some(&previous)).moved_from(&previous);
        let balanced = |t: &&Vec<[u16; 2]>| {
            (0..4).all(|node| t.iter().flatten().filter(|&&n| n == node).count() == 2)
        };
        let distance = |new: &Vec<[u16; 2]>| {
            let added = |(old, new): (&[u16; 2], &[u16; 2])| {
                new.iter().filter(|n| !old.contains(n)).count()
            };
            old.iter().zip(new).map(added).sum::<usize>()
        };
        let best = tables.iter().filter(balanced).map(distance).min().unwrap();
        assert_eq!(moved as usize, best, "{old:?}");
    }
}

prop_compose! {
    fn datacenter()(racks in 1u8..6)
        (nodes in prop::collection::vec((0..racks, 50u32..=400), 1..12)) -> Vec<(u8, u32)> {
        nodes
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_datacenter_is_balanced(nodes in datacenter(), rf in 1u8..6, bits in 0u32..8) {
        let nodes = candidates(&nodes);
        let table = assign(&nodes, partitions(1 << bits), rf, None);
        check(&nodes, &table, None);
    }

    /// Without racks and with room below the per-node cap the share is plainly proportional.
    #[test]
    fn targets_are_proportional(weights in prop::collection::vec(100u32..200, 8..12)) {
        let nodes: Vec<(u8, u32)> = weights.iter().map(|&weight| (0, weight)).collect();
        let total: u32 = weights.iter().sum();
        for (node, target) in targets(&candidates(&nodes), partitions(256), 3, None) {
            let exact = 256 * 3 * weights[usize::from(node.0)];
            let off = exact.abs_diff(target * total);
            prop_assert!(off < total, "{node:?} is a partition or more off its share");
        }
    }

    #[test]
    fn the_order_of_candidates_does_not_matter(
        nodes in datacenter(),
        rf in 1u8..5,
        shuffled in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let nodes = candidates(&nodes);
        let other: Vec<Candidate> =
            shuffled.iter().filter_map(|&position| nodes.get(position).cloned()).collect();
        let table = assign(&nodes, partitions(32), rf, None);
        prop_assert_eq!(&table, &assign(&other, partitions(32), rf, None));
        let fewer = &nodes[..nodes.len().max(2) - 1];
        let fewer_shuffled: Vec<Candidate> =
            other.iter().filter(|node| fewer.contains(node)).cloned().collect();
        prop_assert_eq!(
            assign(fewer, partitions(32), rf, Some(&table)),
            assign(&fewer_shuffled, partitions(32), rf, Some(&table))
        );
    }

    /// One change to a datacenter of equal nodes in equal racks: the usual case, within 10 %.
    #[test]
    fn one_change_moves_little(
        (racks, per_rack, rf) in (1u8..=6, 2u8..=4, 1u8..=5),
        (newcomer, resized) in (0u8..6, 50u32..=150),
    ) {
        let now: Vec<(u8, u32)> = (0..racks * per_rack).map(|n| (n % racks, 100)).collect();
        let previous = assign(&candidates(&now), partitions(256), rf, None);
        let mut grown = now.clone();
        grown.push((newcomer % racks, 100));
        let mut tilted = now.clone();
        tilted[0].1 = resized;
        for changed in [&grown, &tilted, &now[..now.len() - 1]] {
            let (moved, bound) = checked_moves(&candidates(changed), rf, &previous);
            prop_assert!(moved <= bound + bound.div_ceil(10), "moved {moved}, bound {bound}");
        }
    }

    /// Changes on top of changes to uneven datacenters, where the bound may be out of reach for any table.
    #[test]
    fn many_changes_move_little(
        mut now in datacenter(),
        (newcomer, resized) in ((0u8..6, 50u32..=400), 50u32..=400),
        rf in 1u8..5,
    ) {
        let mut previous = assign(&candidates(&now), partitions(64), rf, None);
        for step in 0..3 {
            match step {
                0 => now.push(newcomer),
                1 => now[0].1 = resized,
                _ => drop(now.pop()),
            }
            let nodes = candidates(&now);
            let (moved, bound) = checked_moves(&nodes, rf, &previous);
            prop_assert!(moved <= 2 * bound, "step {step}: moved {moved}, bound {bound}");
            previous = assign(&nodes, partitions(64), rf, Some(&previous));
        }
    }
}
