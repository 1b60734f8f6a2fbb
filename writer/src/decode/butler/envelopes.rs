//! The pixels of regions that were met lately. The events of a visit's detectors all repeat the visit's
//! region, and computing its pixels takes longer than all else of an event.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::rejection::Rejection;
use crate::sphgeom::{Effort, PixelRanges, Region};

/// Regions of so many visits, while their events come mixed. A zero would not compile.
const MOST: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Regions of more digits or ranges than these are no visit's, and not worth their memory.
const MOST_DIGITS: usize = 16 << 10;
const MOST_RANGES: usize = 1024;

/// The pixels of a region, and the steps that it took to find them.
#[derive(Debug)]
struct Envelope {
    pixels: PixelRanges,
    steps: u64,
}

/// The pixels of one level, by the region as hexadecimal digits.
#[derive(Debug, Clone)]
pub struct Envelopes {
    level: u8,
    known: Arc<Mutex<LruCache<String, Arc<Envelope>>>>,
}

impl Envelopes {
    /// None yet.
    pub fn new(level: u8) -> Self {
        Self { level, known: Arc::new(Mutex::new(LruCache::new(MOST))) }
    }

    /// Calls `visit` for each pixel that may overlap a region. The effort is as if they were computed, so
    /// that an event's fate does not depend on those before it.
    ///
    /// # Errors
    /// If there is no such region, or the effort too great; or what `visit` refuses.
    pub fn visit_pixels(
        &self,
        hex: &str,
        effort: &mut Effort,
        visit: impl FnMut(u64) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(hex).cloned();
        let envelope = match known {
            Some(known) if effort.allows(known.steps) => {
                effort.add(known.steps);
                known
            }
            _ => self.compute(hex, effort)?,
        };
        envelope.pixels.pixels().try_for_each(visit)
    }

    fn compute(&self, hex: &str, effort: &mut Effort) -> Result<Arc<Envelope>, Rejection> {
        let before = effort.steps();
        let pixels = Region::decode_hex(hex)?.envelope_within(self.level, effort)?;
        let is_small = hex.len() <= MOST_DIGITS && pixels.ranges().len() <= MOST_RANGES;
        let envelope = Arc::new(Envelope { pixels, steps: effort.steps() - before });
        if is_small {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.put(hex.to_owned(), envelope.clone());
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::{Envelopes, MOST, MOST_DIGITS};
    use crate::rejection::Rejection;
    use crate::sphgeom::Effort;
    use crate::testing::butler_region;

    fn hex() -> String {
        butler_region().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pixels(envelopes: &Envelopes, effort: &mut Effort) -> Result<Vec<u64>, Rejection> {
        let mut pixels = Vec::new();
        envelopes.visit_pixels(&hex(), effort, |pixel| {
            pixels.push(pixel);
            Ok(())
        })?;
        Ok(pixels)
    }

    #[test]
    fn a_known_region_costs_as_much_as_a_new_one() {
        let envelopes = Envelopes::new(7);
        let (mut first, mut second) = (Effort::default(), Effort::default());
        let computed = pixels(&envelopes, &mut first).unwrap();
        assert!(!computed.is_empty());
        assert_eq!(pixels(&envelopes, &mut second).unwrap(), computed);
        assert!(first.steps() > 0);
        assert_eq!(first.steps(), second.steps());
    }

    #[test]
    fn only_small_regions_and_few_are_kept() {
        let envelopes = Envelopes::new(7);
        let visit = |padding: usize| {
            let hex = format!("{}{}", hex(), " ".repeat(padding));
            envelopes.visit_pixels(&hex, &mut Effort::default(), |_| Ok(())).unwrap();
            envelopes.known.lock().unwrap().len()
        };
        assert_eq!(visit(MOST_DIGITS), 0);
        let kept: Vec<_> = (0..=MOST.get()).map(visit).collect();
        assert_eq!(kept.first(), Some(&1));
        assert_eq!(kept.last(), Some(&MOST.get()));
    }

    #[test]
    fn a_known_region_is_too_much_where_a_new_one_is() {
        let mut spent = Effort::default();
        spent.add(u64::MAX);
        let envelopes = Envelopes::new(7);
        let as_new = pixels(&envelopes, &mut spent).unwrap_err();
        pixels(&envelopes, &mut Effort::default()).unwrap();
        assert_eq!(pixels(&envelopes, &mut spent).unwrap_err(), as_new);
    }
}
