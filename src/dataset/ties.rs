//! The order of purchases that share a moment.

/// Draws an order for the purchases that a customer made at one moment.
///
/// Such purchases have no order, but "the last purchase" needs one. An order by id or by place in
/// the file would be a bias: in MovieLens the highest id of a moment is usually an unpopular film.
/// So the order is drawn by a hash of a seed, the customer's id and the article's id. It depends on
/// no file order and is the same on every machine, and the server can draw it again from what its
/// database knows.
#[derive(Debug, Clone, Copy)]
pub struct Ties(u64);

impl Ties {
    /// The order of one customer's ties.
    pub fn of(seed: u64, customer: &str) -> Self {
        // The byte 255 is in no UTF-8 text: it keeps (`ab`, `c`) apart from (`a`, `bc`).
        Self(fnv(fnv(FNV_BASIS, &seed.to_le_bytes()), customer.as_bytes()) ^ 0xff)
    }

    /// The place of an article among those of the same moment: the lowest is the oldest.
    pub fn place(self, article: &str) -> u64 {
        scrambled(fnv(self.0.wrapping_mul(FNV_PRIME), article.as_bytes()))
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, 64 bits, continued from `hash`.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// The last steps of SplitMix64 (Steele et al. 2014). FNV-1a leaves the high bits of short texts
/// alike, and the order is decided by the high bits.
fn scrambled(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_pinned() {
        // Trainer and server of different versions must draw the same order.
        assert_eq!(Ties::of(0, "c1").place("a1"), 0xee16_cc02_3f74_f8c3);
        assert_ne!(Ties::of(0, "c1").place("a1"), Ties::of(1, "c1").place("a1"));
        assert_ne!(Ties::of(0, "c1").place("a1"), Ties::of(0, "c2").place("a1"));
        assert_ne!(Ties::of(0, "ab").place("c"), Ties::of(0, "a").place("bc"));
    }

    #[test]
    fn every_article_of_a_moment_is_last_about_equally_often() {
        let mut last = [0u32; 5];
        for customer in 0..5_000 {
            let ties = Ties::of(0, &customer.to_string());
            let article =
                (0..5usize).max_by_key(|article| ties.place(&article.to_string())).unwrap();
            last[article] += 1;
        }
        // 1,000 each are expected, with a standard deviation of 28.
        assert!(last.iter().all(|&count| (880..1_120).contains(&count)), "{last:?}");
    }
}
