//! What a bit is for every count of differing signs, found without evaluating every count.
//!
//! Values rise or fall with the count. So a sign changes once, and whether a hidden value is above a level changes
//! at most twice, because the GELU falls to a minimum and then rises. Only counts near such a change are evaluated.

mod together;

pub(super) use together::DecideAll;

use std::sync::LazyLock;

use super::rule::{Rule, hidden, is_level};
use crate::kernel::instruction_set::{InstructionSet, Task};

/// Where the GELU stops to fall and begins to rise, in between.
const TURN: [f32; 2] = [-0.8, -0.7];

/// Many times what [`hidden`] is off the function that falls and rises: the error of its tail, 1e-5 of
/// it at most, and rounding.
const MARGIN: f32 = 1e-4;

/// A number below the least value of the GELU.
const MINIMUM: f32 = -0.17;

/// Points of each branch of the GELU, and the steps between them.
const POINTS: usize = 400;
const STEP: f32 = 1.0 / 32.0;

/// Counts that are evaluated together, for the compiler to make vectors of them.
const LANES: usize = 16;

/// Those of the GELU: the same for every layer.
static BRANCHES: LazyLock<Branches> = LazyLock::new(Branches::new);

/// Hidden values at points on both branches of the GELU, from its turn outwards.
struct Branches {
    falling: Vec<f32>,
    rising: Vec<f32>,
    /// For multiples of [`STEP`] from [`MINIMUM`] on, about where the rising branch is above them.
    hints: Vec<usize>,
}

/// A point of the falling branch, and one of the rising branch.
fn falling(index: usize) -> f32 {
    TURN[0] - index as f32 * STEP
}

fn rising(index: usize) -> f32 {
    TURN[1] + index as f32 * STEP
}

impl Branches {
    fn new() -> Self {
        let of = |point: fn(usize) -> f32| -> Vec<f32> {
            (0..POINTS).map(|index| hidden(point(index))).collect()
        };
        let rising = of(rising);
        let hint = |index: usize| {
            let bound = MINIMUM + index as f32 * STEP;
            rising.partition_point(|&y| y < bound)
        };
        Self {
            falling: of(falling),
            hints: (0..POINTS).map(hint).collect(),
            rising,
        }
    }

    /// About where the rising branch is above a number.
    #[inline(always)]
    fn hint(&self, bound: f32) -> usize {
        // What is not a number becomes 0.
        self.hints[(((bound - MINIMUM) / STEP) as usize).min(POINTS - 1)]
    }
}

/// The first of a number of places at which something holds that holds at all places after it, too, found from a guess.
#[inline(always)]
fn first_from(guess: usize, places: usize, holds: impl Fn(usize) -> bool) -> usize {
    let mut place = guess.min(places);
    while place > 0 && holds(place - 1) {
        place -= 1;
    }
    while place < places && !holds(place) {
        place += 1;
    }
    place
}

/// What the counts of a channel decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decisions {
    /// The counts whose bit is 0, as first and length less one, if they are an interval: counts minus the
    /// first are then at most that length.
    pub(super) interval: Option<(u32, u32)>,
    /// Whether a sign is 0.
    pub(super) ties: bool,
}

/// The values of a channel in rising order: places are counts, or counts from the end.
#[derive(Clone, Copy)]
struct Values<'a> {
    rule: &'a Rule,
    channel: usize,
    /// The sum at place 0, and by how much it changes from place to place.
    base: i32,
    step: i32,
    places: usize,
    /// The value at place 0, and places for each 1 that values rise by, to guess places.
    least: f32,
    density: f32,
}

impl<'a> Values<'a> {
    /// Those of all counts of differing signs, `base` being the sum of none; none if they are not all finite, or the same.
    #[inline(always)]
    fn new(rule: &'a Rule, channel: usize, base: i32, columns: usize) -> Option<Self> {
        let falls = rule.factor[channel] < 0.0;
        let mut values = Self {
            rule,
            channel,
            base: base - if falls { 0 } else { 2 * columns as i32 },
            step: if falls { -2 } else { 2 },
            places: columns + 1,
            least: 0.0,
            density: 0.0,
        };
        let shift = rule.shift[channel];
        let ends = [values.value(0), values.value(columns)];
        if !ends.iter().all(|x| (x + shift).is_finite()) || ends[0] >= ends[1] {
            return None;
        }
        values.least = ends[0];
        values.density = columns as f32 / (ends[1] - ends[0]);
        Some(values)
    }

    /// The count of a place.
    #[inline(always)]
    fn count(&self, place: usize) -> usize {
        if self.step < 0 {
            place
        } else {
            self.places - 1 - place
        }
    }

    #[inline(always)]
    fn sum(&self, place: usize) -> i32 {
        self.base + self.step * place as i32
    }

    #[inline(always)]
    fn value(&self, place: usize) -> f32 {
        self.sum(place) as f32 * self.rule.factor[self.channel] + self.rule.bias[self.channel]
    }

    /// The first place whose value is at something that holds for all above it, too, from about `guess` on.
    #[inline(always)]
    fn first(&self, guess: f32, holds: impl Fn(f32) -> bool) -> usize {
        // What is not a number becomes 0.
        let place = ((guess - self.least) * self.density) as usize;
        first_from(place, self.places, |place| holds(self.value(place)))
    }
}

/// Places whose bit is 0, as they are met in rising order.
#[derive(Default)]
struct Zeros {
    first: usize,
    end: usize,
    count: usize,
}

impl Zeros {
    #[inline(always)]
    fn add(&mut self, places: std::ops::Range<usize>) {
        if places.is_empty() {
            return;
        }
        if self.count == 0 {
            self.first = places.start;
        }
        self.count += places.len();
        self.end = places.end;
    }

    #[inline(always)]
    fn evaluate(&mut self, values: &Values, places: std::ops::Range<usize>, level: f32) {
        let Rule {
            factor,
            bias,
            shift,
            ..
        } = values.rule;
        let channel = values.channel;
        for start in places.clone().step_by(LANES) {
            let mut bits = [0; LANES];
            for (at, bit) in bits.iter_mut().enumerate() {
                let sum = values.sum(start + at);
                *bit = is_level(sum, factor[channel], bias[channel], shift[channel], level);
            }
            for (place, bit) in (start..places.end).zip(bits) {
                if bit <= 0 {
                    self.add(place..place + 1);
                }
            }
        }
    }
}

/// Finds the [`Decisions`] of a channel, for signed inputs.
struct Decide<'a> {
    rule: &'a Rule,
    channel: usize,
    /// The sum of no differing signs.
    base: i32,
    /// How many signs there are.
    columns: usize,
}

impl Decide<'_> {
    /// By evaluating every count.
    fn all(&self) -> Decisions {
        let mut zeros = Zeros::default();
        let mut ties = false;
        for count in 0..=self.columns {
            let decision = self.rule.decide(self.channel, self.base - 2 * count as i32);
            ties |= self.rule.level.is_none() && decision == 0;
            if decision <= 0 {
                zeros.add(count..count + 1);
            }
        }
        Decisions {
            interval: interval(&zeros, |place| place),
            ties,
        }
    }
}

/// Zeros as an interval of counts, given the count of a place.
#[inline(always)]
fn interval(zeros: &Zeros, count: impl Fn(usize) -> usize) -> Option<(u32, u32)> {
    if zeros.count == 0 {
        // No count equals this one.
        return Some((u32::MAX, 0));
    }
    let first = count(zeros.first).min(count(zeros.end - 1));
    (zeros.end - zeros.first == zeros.count).then_some((first as u32, zeros.count as u32 - 1))
}

impl Task for Decide<'_> {
    type Output = Decisions;

    #[inline(always)]
    fn run<S: InstructionSet>(self, _: S) -> Decisions {
        let Some(values) = Values::new(self.rule, self.channel, self.base, self.columns) else {
            return self.all();
        };
        let shift = self.rule.shift[self.channel];
        let mut zeros = Zeros::default();
        let mut ties = false;
        match self.rule.level {
            None => {
                let end = values.first(-shift, |x| x + shift > 0.0);
                zeros.add(0..end);
                ties = end > 0 && values.value(end - 1) + shift == 0.0;
            }
            Some(level) => find(&values, &BRANCHES, level, &mut zeros),
        }
        Decisions {
            interval: interval(&zeros, |place| values.count(place)),
            ties,
        }
    }
}

/// The places at which hidden values are not above a level.
#[inline(always)]
fn find(values: &Values, branches: &Branches, level: f32, zeros: &mut Zeros) {
    let shift = values.rule.shift[values.channel];
    let surely_above = |y: f32| y - MARGIN + shift > level;
    let perhaps_above = |y: f32| y + MARGIN + shift > level;
    let Branches {
        falling: falls,
        rising: rises,
        ..
    } = branches;

    // To the left of the turn. Nothing there is above what the GELU falls from, 0.
    let mut place = 0;
    if perhaps_above(0.0) {
        let perhaps = falls.partition_point(|&y| !perhaps_above(y));
        let surely = perhaps + falls[perhaps..].partition_point(|&y| !surely_above(y));
        // Values up to a point are surely above, and from a point on to the turn surely not.
        if surely < POINTS {
            let point = falling(surely);
            place = values.first(point, |x| x > point);
        }
        let turn = values.first(TURN[0], |x| x > TURN[0]);
        let below = match perhaps.checked_sub(1) {
            Some(index) => values.first(falling(index), |x| x >= falling(index)),
            None => turn,
        };
        zeros.evaluate(values, place..below, level);
        zeros.add(below.max(place)..turn);
        place = turn;
        let most = falls[0].max(rises[0]);
        let end = values.first(TURN[1], |x| x >= TURN[1]);
        if !surely_above(MINIMUM) {
            if perhaps_above(most) {
                zeros.evaluate(values, place..end, level);
            } else {
                zeros.add(place..end);
            }
        }
        place = end;
    }

    // To the right of it.
    let perhaps = first_from(branches.hint(level - shift), POINTS, |index| {
        perhaps_above(rises[index])
    });
    let surely = first_from(perhaps, POINTS, |index| surely_above(rises[index]));
    let below = match perhaps.checked_sub(1) {
        Some(index) => values.first(rising(index), |x| x > rising(index)),
        None => place,
    };
    let above = if surely < POINTS {
        values.first(rising(surely), |x| x >= rising(surely))
    } else {
        values.places
    };
    zeros.add(place..below);
    zeros.evaluate(values, below.max(place)..above, level);
}

#[cfg(test)]
mod tests {
    use super::super::rule::level_threshold;
    use super::*;
    use crate::Random;
    use crate::kernel::Isa;
    use crate::kernel::choice::choose;

    /// As the rule decides every count, for ordinary numbers and for those at the limits of floats.
    #[test]
    fn few_evaluations_decide_as_all_do() {
        let mut random = Random::new(1);
        let kernels = choose(Isa::available().next().unwrap()).unwrap();
        let cases = if cfg!(miri) { 10 } else { 5_000 };
        let (mut channels, mut intervals) = (0, 0);
        for case in 0..cases {
            let columns = random.below(if case % 9 == 0 { 3 } else { 400 });
            let count = 1 + random.below(20);
            let mut numbers = |small: f32| -> Vec<f32> {
                let mut number = || {
                    let sizes = [small, 0.0, 1e-3, 1.0, 1e3, 1e30, 1e38];
                    random.normal() * sizes[random.below(70).saturating_sub(63)]
                };
                (0..count).map(|_| number()).collect()
            };
            let rule = Rule {
                factor: numbers([0.02, 0.5, 1e-4][case % 3]),
                bias: numbers(0.5),
                shift: numbers(0.3),
                level: (case % 4 > 0).then(|| level_threshold(0.02 * (case % 50) as f32)),
            };
            let base = columns as i32 + [0, 3][case % 2];
            let of: Vec<(usize, i32)> = (0..count).map(|channel| (channel, base)).collect();
            let together = kernels.run(DecideAll {
                rule: &rule,
                channels: &of,
                columns,
            });
            for (channel, together) in together.into_iter().enumerate() {
                let decide = || Decide {
                    rule: &rule,
                    channel,
                    base,
                    columns,
                };
                let expected = decide().all();
                assert_eq!(
                    kernels.run(decide()),
                    expected,
                    "{channel} of {columns} columns, {rule:?}"
                );
                assert_eq!(
                    together, expected,
                    "{channel} of {columns} columns, {rule:?}"
                );
                channels += 1;
                intervals += usize::from(expected.interval.is_some_and(|(low, _)| low < u32::MAX));
            }
        }
        assert!(
            cfg!(miri) || intervals > channels / 2,
            "{intervals} have zeros"
        );
    }

    /// Away from the turn, hidden values never fall back by as much as the margin.
    #[test]
    fn hidden_values_only_rise_from_the_turn() {
        for (turn, step) in [(TURN[0], -1e-3), (TURN[1], 1e-3)] {
            let mut most = f32::MIN;
            for at in 0..13_000 {
                let y = hidden(turn + at as f32 * step);
                assert!(y > most - MARGIN / 10.0, "{at} of {step}");
                most = most.max(y);
            }
        }
    }

    /// The branches fall and rise, but for less than the margin, and the turn is between them.
    #[test]
    fn branches_are_ordered() {
        let Branches {
            falling, rising, ..
        } = &*BRANCHES;
        for branch in [falling, rising] {
            assert!(branch.windows(2).all(|pair| pair[0] <= pair[1] + 1e-7));
        }
        let turn = (0..=1000).map(|at| hidden(TURN[0] + at as f32 * 1e-4));
        assert!(turn.clone().all(|y| y > MINIMUM));
        assert!(
            turn.into_iter()
                .all(|y| y < falling[0].max(rising[0]) + MARGIN)
        );
    }
}
