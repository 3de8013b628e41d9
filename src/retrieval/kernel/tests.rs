//! Every form this processor has against plain loops.

use super::*;
use proptest::prelude::*;

fn close(a: f32, b: f32, scale: f32) -> bool {
    (a - b).abs() <= 1e-5 * scale.max(1.0)
}

fn padded(len: usize) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    let vector = move || prop::collection::vec(-2f32..2.0, len * LANES);
    (vector(), vector())
}

proptest! {
    #[test]
    fn float_kernels_agree((a, b) in (1usize..10).prop_flat_map(padded)) {
        let plain: f64 = a.iter().zip(&b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
        let rows = [a.clone(), b.clone(), a.clone()].concat();
        for kernels in Kernels::all() {
            let dot = kernels.dot(&a, &b);
            prop_assert!(close(dot, plain as f32, a.len() as f32), "{} {dot} {plain}", kernels.name);
            let mut out = vec![];
            kernels.dot_rows(&a, &rows, &[1, 0, 2], &mut out);
            prop_assert_eq!(out[0].to_bits(), dot.to_bits());
            prop_assert_eq!(out[1].to_bits(), out[2].to_bits());
            if kernels.name == "avx2" {
                prop_assert_eq!(dot.to_bits(), Kernels::best().dot(&a, &b).to_bits());
            }
        }
    }

    #[test]
    fn code_kernels_agree(
        stride in prop::sample::select(vec![16usize, 32, 64, 128, 320]),
        seed in prop::collection::vec((any::<i8>(), any::<u8>()), 320 * 2),
    ) {
        let weights: Vec<i8> = seed[..stride].iter().map(|x| x.0.max(-127)).collect();
        let codes: Vec<u8> = seed[..2 * stride].iter().map(|x| x.1).collect();
        let plain = |row: usize| -> i32 {
            weights.iter().zip(&codes[row * stride..]).map(|(&w, &c)| i32::from(w) * i32::from(c)).sum()
        };
        for kernels in Kernels::all() {
            let mut out = vec![7];
            kernels.dot_codes(&weights, &codes, &[1, 0, 1], &mut out);
            prop_assert_eq!(&out, &[7, plain(1), plain(0), plain(1)], "{}", kernels.name);
        }
    }

    #[test]
    fn scans_agree(
        groups in 1usize..20,
        len in 1usize..70,
        weights in prop::collection::vec(-MAX_WEIGHT..=MAX_WEIGHT, 80),
        codes in prop::collection::vec(any::<u8>(), 80 * 80),
        allowed in prop::option::of(prop::collection::vec(any::<u64>(), 2)),
        threshold in prop_oneof![Just(i32::MIN), -20_000_000..20_000_000i32],
        limit in prop_oneof![Just(usize::MAX), 1usize..40],
    ) {
        let weights = &weights[..groups * 4];
        let blocks = &codes[..len.next_multiple_of(BLOCK) * groups * 4];
        let score = |row: usize| -> i32 {
            (0..groups * 4).map(|dim| {
                let at = row / BLOCK * BLOCK * groups * 4 + dim / 4 * 4 * BLOCK + row % BLOCK * 4 + dim % 4;
                i32::from(weights[dim]) * i32::from(blocks[at])
            }).sum()
        };
        let expected: Vec<Key> = (0..len)
            .filter(|&row| allowed.as_ref().is_none_or(|words| words[row / 64] >> (row % 64) & 1 == 1))
            .filter(|&row| score(row) >= threshold)
            .map(|row| Key::of_integer(score(row), row as u32))
            .collect();
        for kernels in Kernels::all() {
            let mut packed = vec![];
            kernels.pack(weights, &mut packed);
            let scan = Scan { blocks, len, weights, packed: &packed, allowed: allowed.as_deref() };
            let (mut from, mut out) = (0, vec![]);
            while from < scan.blocks() {
                let before = out.len();
                from = kernels.scan(&scan, from, threshold, &mut out, before.saturating_add(limit));
                prop_assert!(out.len() - before >= limit || from == scan.blocks());
            }
            prop_assert_eq!(&out, &expected, "{}", kernels.name);
        }
    }
}
