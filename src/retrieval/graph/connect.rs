//! Reachability in layer 0, and mending it.
//!
//! A graph with pruned links can leave nodes that no search ends at, or regions that it cannot
//! leave. After a repair every node can be reached from the entry point and the entry point from
//! every node, so a wide enough beam finds every item wherever it starts.

/// Which nodes can be reached from `start`.
pub(super) fn reached<'a>(len: usize, start: u32, links: impl Fn(u32) -> &'a [u32]) -> Vec<bool> {
    let mut reached = vec![false; len];
    reached[start as usize] = true;
    extend(&mut reached, start, links);
    reached
}

/// Marks what can be reached from `start`, which is marked already, through unmarked nodes.
fn extend<'a>(reached: &mut [bool], start: u32, links: impl Fn(u32) -> &'a [u32]) {
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for &link in links(node) {
            if !std::mem::replace(&mut reached[link as usize], true) {
                open.push(link);
            }
        }
    }
}

/// Adds links until layer 0 is strongly connected with `entry`; `closeness` is greater for nearer
/// nodes. A list grows beyond `degree` only where no other has room. Answers how many links were
/// added.
#[cfg(feature = "trainer")]
pub(super) fn repair(
    lists: &mut [Vec<u32>],
    entry: u32,
    degree: usize,
    closeness: impl Fn(u32, u32) -> f32 + Sync,
) -> usize {
    let len = lists.len();
    let mut added = 0;
    let mut from_entry = reached(len, entry, |node| &lists[node as usize]);
    while let Some(lost) = from_entry.iter().position(|reached| !reached) {
        let lost = lost as u32;
        let from = nearest(
            len,
            |node| from_entry[node as usize] && lists[node as usize].len() < degree,
            lost,
            &closeness,
        )
        .or_else(|| nearest(len, |node| from_entry[node as usize], lost, &closeness))
        .unwrap_or(entry);
        lists[from as usize].push(lost);
        added += 1;
        from_entry[lost as usize] = true;
        extend(&mut from_entry, lost, |node| &lists[node as usize]);
    }
    // The same backwards. New links only add reachability, so the first part stays true.
    let mut back = vec![Vec::new(); len];
    for (node, list) in lists.iter().enumerate() {
        for &link in list {
            back[link as usize].push(node as u32);
        }
    }
    let mut to_entry = reached(len, entry, |node| &back[node as usize]);
    while let Some(stuck) = to_entry.iter().position(|reached| !reached) {
        // Any node that the stuck one reaches may carry the link; the first with room, else the
        // stuck one itself.
        let closure = reached(len, stuck as u32, |node| &lists[node as usize]);
        let from = (0..len)
            .find(|&node| closure[node] && lists[node].len() < degree)
            .unwrap_or(stuck) as u32;
        let to = nearest(len, |node| to_entry[node as usize], from, &closeness).unwrap_or(entry);
        lists[from as usize].push(to);
        back[to as usize].push(from);
        added += 1;
        to_entry[from as usize] = true;
        extend(&mut to_entry, from, |node| &back[node as usize]);
    }
    added
}

#[cfg(feature = "trainer")]
fn nearest(
    len: usize,
    eligible: impl Fn(u32) -> bool + Sync,
    to: u32,
    closeness: &(impl Fn(u32, u32) -> f32 + Sync),
) -> Option<u32> {
    use rayon::prelude::*;
    (0..len as u32)
        .into_par_iter()
        .filter(|&node| node != to && eligible(node))
        .map(|node| (closeness(node, to), node))
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(_, node)| node)
}

#[cfg(test)]
#[cfg(feature = "trainer")]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn strongly_connected(lists: &[Vec<u32>], entry: u32) -> bool {
        let mut back = vec![Vec::new(); lists.len()];
        for (node, list) in lists.iter().enumerate() {
            list.iter().for_each(|&link| back[link as usize].push(node as u32));
        }
        let all = |links: &[Vec<u32>]| {
            reached(lists.len(), entry, |node| &links[node as usize]).iter().all(|&x| x)
        };
        all(lists) && all(&back)
    }

    #[test]
    fn lost_nodes_and_traps_are_mended() {
        let near = |a: u32, b: u32| -(f64::from(a) - f64::from(b)).abs() as f32;
        // Nodes 0 to 2 know each other; 3 is known by nobody; 4 and 5 are a trap whose lists are
        // full.
        let mut lists = vec![vec![1, 2], vec![0, 2], vec![0, 4], vec![0], vec![5, 5], vec![4, 4]];
        assert!(!strongly_connected(&lists, 0));
        assert_eq!(repair(&mut lists, 0, 2, near), 2);
        assert!(strongly_connected(&lists, 0));
        assert_eq!(repair(&mut lists, 0, 2, near), 0, "nothing is left to mend");
        // A list grew only where its whole region was full.
        assert!(lists.iter().filter(|list| list.len() > 2).count() <= 2, "{lists:?}");

        let mut rng = StdRng::seed_from_u64(11);
        for len in [1usize, 2, 7, 60] {
            for degree in [0, 1, 3] {
                let mut lists: Vec<Vec<u32>> = (0..len)
                    .map(|_| (0..degree).map(|_| rng.random_range(0..len as u32)).collect())
                    .collect();
                repair(&mut lists, len as u32 / 2, degree.max(1), near);
                assert!(
                    strongly_connected(&lists, len as u32 / 2),
                    "{len} nodes of degree {degree}"
                );
            }
        }
    }
}
