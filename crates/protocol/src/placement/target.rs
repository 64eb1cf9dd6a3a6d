//! How many replicas each node of one datacenter should hold: water-filling in exact integers.
//!
//! `assign` computes these targets first; the flow then only has to meet them.
//!
//! A node's *share* is what it would hold if partitions could be cut at will. Pour replicas into the nodes at rates
//! proportional to their capacities until RF × partitions are poured. A node that holds every partition is full; a
//! rack is full when it holds `rack_cap` replicas of every partition; full ones take no more and the rest goes on
//! (weighted max-min fairness). `rack_cap` is the least cap that leaves room for RF replicas: 1 when there are RF
//! racks or more, otherwise ⌈RF / racks⌉, and more only if racks have too few nodes for that.
//!
//! 1. Find the full racks: pour over all racks, mark those that overflow, pour the rest again, until none does.
//! 2. Round rack totals down or up so that they add up, then the nodes' shares within each rack.
//! 3. Who is rounded up: first who held more than the rounded-down share before (nothing moves), then the largest
//!    remainder, then the lowest index.
//!
//! Invariants
//! - Targets add up to RF × partitions; each is less than 1 away from the share and at most `partitions`.
//! - No rack's target exceeds `rack_cap × partitions`: a table that meets the targets exists.
//!
//! Units: replicas; capacities are relative integer weights. u64 suffices: 2^10 nodes × 2^17 hundredths × 2^20
//! replicas = 2^47.
//! Source: Bertsekas and Gallager, "Data Networks", 1992, §6.5.2 (max-min fairness, progressive filling).

#![expect(clippy::indexing_slicing, reason = "positions come from enumerating the same slices")]

/// What `targets` needs to know about one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighted {
    /// Position of the node's rack, below the number of racks.
    pub(super) rack: usize,
    /// Relative capacity, at least 1.
    pub(super) weight: u64,
    /// Replicas that the node holds now.
    pub(super) held: u64,
}

/// Shares of a set of nodes as fractions over one denominator.
struct Shares {
    numerators: Vec<u64>,
    denominator: u64,
}

/// The most replicas of one partition that one rack may hold; `rack_sizes` are node counts.
pub(super) fn rack_cap(rack_sizes: &[usize], replication_factor: usize) -> usize {
    let fits = |cap: &usize| {
        rack_sizes.iter().map(|size| size.min(cap)).sum::<usize>() >= replication_factor
    };
    let cap = (1..=replication_factor).find(fits);
    cap.unwrap_or(replication_factor)
}

/// Target of each of `nodes`, in their order.
pub(super) fn targets(nodes: &[Weighted], partitions: u64, replication_factor: usize) -> Vec<u64> {
    let racks = Racks::of(nodes, partitions, replication_factor);
    let full = racks.find_full(nodes, partitions);
    let open = racks.pour_open(nodes, partitions, &full);
    let totals = racks.totals(nodes, &open, &full);
    let mut targets = vec![0; nodes.len()];
    for (rack, members) in racks.members.iter().enumerate() {
        let shares = if full[rack] {
            pour(&weights(nodes, members), partitions, totals[rack])
        } else {
            let numerators = members.iter().map(|&node| open.numerators[node]).collect();
            Shares { numerators, denominator: open.denominator }
        };
        let held: Vec<u64> = members.iter().map(|&node| nodes[node].held).collect();
        for (&node, target) in members.iter().zip(round(&shares, &held, totals[rack])) {
            assert!(target <= partitions, "a node holds a partition at most once");
            targets[node] = target;
        }
    }
    assert_eq!(targets.iter().sum::<u64>(), racks.wanted, "every replica has a place");
    targets
}

/// The racks of a datacenter and their limits.
struct Racks {
    /// Positions of the nodes of each rack.
    members: Vec<Vec<usize>>,
    /// The most replicas that each rack may hold.
    limits: Vec<u64>,
    /// Replicas to be placed.
    wanted: u64,
}

impl Racks {
    fn of(nodes: &[Weighted], partitions: u64, replication_factor: usize) -> Self {
        let count = nodes.iter().map(|node| node.rack + 1).max().unwrap_or(0);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (position, node) in nodes.iter().enumerate() {
            members[node.rack].push(position);
        }
        let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
        let cap = rack_cap(&sizes, replication_factor);
        let limits: Vec<u64> =
            sizes.iter().map(|&size| partitions * size.min(cap) as u64).collect();
        let wanted = partitions * replication_factor as u64;
        assert!(limits.iter().sum::<u64>() >= wanted, "the cap leaves room for every replica");
        Self { members, limits, wanted }
    }

    /// Which racks are full. A rack that overflows at one level also overflows at the final one, which is higher.
    fn find_full(&self, nodes: &[Weighted], partitions: u64) -> Vec<bool> {
        let mut full = vec![false; self.members.len()];
        loop {
            let open = self.pour_open(nodes, partitions, &full);
            let mut found = false;
            for (rack, limit) in self.limits.iter().enumerate() {
                if !full[rack] && self.poured(rack, &open) >= limit * open.denominator {
                    full[rack] = true;
                    found = true;
                }
            }
            if !found {
                return full;
            }
        }
    }

    /// Pours over the nodes of all open racks; nodes of full racks get 0 here.
    fn pour_open(&self, nodes: &[Weighted], partitions: u64, full: &[bool]) -> Shares {
        let taken: u64 = self.limits.iter().zip(full).map(|(l, &full)| l * u64::from(full)).sum();
        let open: Vec<usize> =
            (0..nodes.len()).filter(|&position| !full[nodes[position].rack]).collect();
        let poured = pour(&weights(nodes, &open), partitions, self.wanted.saturating_sub(taken));
        let mut numerators = vec![0; nodes.len()];
        for (&position, numerator) in open.iter().zip(poured.numerators) {
            numerators[position] = numerator;
        }
        Shares { numerators, denominator: poured.denominator }
    }

    /// Numerator of what `rack` got.
    fn poured(&self, rack: usize, shares: &Shares) -> u64 {
        self.members[rack].iter().map(|&node| shares.numerators[node]).sum()
    }

    /// Whole totals per rack: the limit of a full one, the rounded sum of shares of an open one.
    fn totals(&self, nodes: &[Weighted], open: &Shares, full: &[bool]) -> Vec<u64> {
        let racks: Vec<usize> = (0..full.len()).filter(|&rack| !full[rack]).collect();
        let numerators = racks.iter().map(|&rack| self.poured(rack, open)).collect();
        let shares = Shares { numerators, denominator: open.denominator };
        let held: Vec<u64> = racks
            .iter()
            .map(|&rack| self.members[rack].iter().map(|&node| nodes[node].held).sum())
            .collect();
        let total = shares.numerators.iter().sum::<u64>() / open.denominator;
        let mut totals = self.limits.clone();
        for (&rack, rounded) in racks.iter().zip(round(&shares, &held, total)) {
            assert!(rounded <= self.limits[rack], "an open rack stays below its limit");
            totals[rack] = rounded;
        }
        totals
    }
}

fn weights(nodes: &[Weighted], positions: &[usize]) -> Vec<u64> {
    positions.iter().map(|&position| nodes[position].weight).collect()
}

/// Divides `total` in proportion to `weights`, at most `each_max` to one.
fn pour(weights: &[u64], each_max: u64, total: u64) -> Shares {
    let mut full = vec![false; weights.len()];
    loop {
        let taken = each_max * full.iter().filter(|&&full| full).count() as u64;
        let rest = total.saturating_sub(taken);
        let open: u64 = weights.iter().zip(&full).map(|(w, &full)| w * u64::from(!full)).sum();
        let before = taken;
        for (full, weight) in full.iter_mut().zip(weights) {
            *full |= weight * rest >= each_max * open;
        }
        let now = each_max * full.iter().filter(|&&full| full).count() as u64;
        if before == now {
            let share = |(weight, &full): (&u64, &bool)| {
                if full { each_max * open.max(1) } else { weight * rest }
            };
            let numerators = weights.iter().zip(&full).map(share).collect();
            return Shares { numerators, denominator: open.max(1) };
        }
    }
}

/// Rounds every share down or up so that they add up to `total`.
fn round(shares: &Shares, held: &[u64], total: u64) -> Vec<u64> {
    let floor = |numerator: &u64| numerator / shares.denominator;
    let mut rounded: Vec<u64> = shares.numerators.iter().map(floor).collect();
    let mut order: Vec<usize> = (0..rounded.len())
        .filter(|&position| !shares.numerators[position].is_multiple_of(shares.denominator))
        .collect();
    order.sort_by_key(|&position| {
        let would_lose = held[position] > rounded[position];
        let remainder = shares.numerators[position] % shares.denominator;
        (!would_lose, std::cmp::Reverse(remainder), position)
    });
    let missing = total - rounded.iter().sum::<u64>();
    assert!(missing <= order.len() as u64, "rounding up once per share is enough");
    for position in order.into_iter().take(usize::try_from(missing).unwrap_or(usize::MAX)) {
        rounded[position] += 1;
    }
    rounded
}
