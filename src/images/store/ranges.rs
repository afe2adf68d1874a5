//! Which bytes of a blob are here: ranges that neither touch nor overlap, in order.

use std::ops::Range;

/// A set of bytes, as ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range; how many of its bytes are new.
    pub fn add(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let last = self.0.partition_point(|known| known.start <= range.end);
        let touched = &self.0[first..last];
        let known: u64 =
            touched.iter().map(|known| known.end.min(range.end).saturating_sub(known.start.max(range.start))).sum();
        let start = touched.first().map_or(range.start, |known| known.start.min(range.start));
        let end = touched.last().map_or(range.end, |known| known.end.max(range.end));
        self.0.splice(first..last, std::iter::once(start..end));
        range.end - range.start - known
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Up to where everything from the first byte on is here.
    pub fn prefix(&self) -> u64 {
        self.0.first().filter(|range| range.start == 0).map_or(0, |range| range.end)
    }

    /// What is missing of a blob of this size, in pieces of at most `piece` bytes.
    pub fn missing(&self, size: u64, piece: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        let ends = self.0.iter().cloned().chain(std::iter::once(size..size));
        for known in ends {
            let end = known.start.min(size);
            while at < end {
                let next = end.min(at.saturating_add(piece));
                gaps.push(at..next);
                at = next;
            }
            at = at.max(known.end);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.add(4..8), 4);
        assert_eq!(ranges.prefix(), 0);
        assert_eq!(ranges.add(0..2), 2);
        assert_eq!(ranges.missing(12, 3), [2..4, 8..11, 11..12]);
        assert_eq!(ranges.add(1..5), 2);
        assert_eq!((ranges.prefix(), ranges.len()), (8, 8));
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_a_set_of_bytes(adds in proptest::collection::vec((0_u64..64, 0_u64..16), 0..20), piece in 1_u64..9) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 80];
            for (start, length) in adds {
                let place = usize::try_from(start).unwrap()..usize::try_from(start + length).unwrap();
                let added = bytes[place.clone()].iter().filter(|known| !**known).count();
                bytes[place].fill(true);
                proptest::prop_assert_eq!(ranges.add(start..start + length), added as u64);
            }
            proptest::prop_assert!(ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            proptest::prop_assert_eq!(ranges.len(), bytes.iter().filter(|known| **known).count() as u64);
            proptest::prop_assert_eq!(ranges.prefix(), bytes.iter().take_while(|known| **known).count() as u64);
            for gap in ranges.missing(80, piece) {
                proptest::prop_assert!(!gap.is_empty() && gap.end - gap.start <= piece);
                proptest::prop_assert_eq!(ranges.add(gap.clone()), gap.end - gap.start);
            }
            proptest::prop_assert_eq!(ranges, Ranges(vec![Range { start: 0, end: 80 }]));
        }
    }
}
