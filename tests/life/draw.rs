//! Drawing a life from a seed: the same seed is the same life.

use crate::acts::Step;
use crate::dice::Dice;

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
