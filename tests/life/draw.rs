//! Drawing a life from a seed: the same seed is the same life.

use crate::acts::Step;

/// Numbers from a seed (splitmix64: a few lines, and the same on every machine).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Steps of one life, rests not counted.
const STEPS: usize = 50;

/// Steps from one rest to the next: enough for accidents to overlap, few enough that a rest says where it went wrong.
const DAY: usize = 13;

/// A life: days of steps, each ended by a rest.
pub(crate) fn life(seed: u64) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let mut steps = Vec::new();
    for number in 1..=STEPS {
        steps.push(Step::draw(&mut dice));
        if number % DAY == 0 {
            steps.push(Step::Rest);
        }
    }
    steps.push(Step::Rest);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_life_and_another_is_another() {
        assert_eq!(life(1), life(1));
        assert_ne!(life(1), life(2));
        let kinds: std::collections::BTreeSet<String> =
            (0..200).flat_map(life).map(|step| format!("{step:?}").split('(').take(2).collect()).collect();
        assert!(kinds.len() > 50, "only {} kinds of steps are drawn: {kinds:?}", kinds.len());
    }
}
