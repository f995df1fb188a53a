//! The decisions of 16 channels at once.
//!
//! Where the bit changes is guessed for each, and a few counts about it are evaluated. They show whether the guess was
//! right: counts before them surely decide otherwise than those after them. Where it was not, the channel is searched by itself.

use std::array::from_fn;
use std::sync::LazyLock;

use super::super::rule::HIDDEN_BOUND;
use super::{
    BRANCHES, Branches, Decide, Decisions, LANES, MARGIN, MINIMUM, POINTS, Rule, TURN, Values,
    Zeros, falling, hidden, interval, rising,
};
use crate::kernel::instruction_set::{InstructionSet, Task};

/// Places that are evaluated about a guess, and how many of them are before it.
const WINDOW: usize = 8;
const BEFORE: i32 = 3;

/// Something of each channel.
type Lanes<T> = [T; LANES];

/// Finds the [`Decisions`] of channels, for signed inputs.
pub(in crate::engine::linear) struct DecideAll<'a> {
    pub(in crate::engine::linear) rule: &'a Rule,
    /// The channels, and the sum of no differing signs for each.
    pub(in crate::engine::linear) channels: &'a [(usize, i32)],
    /// How many signs there are.
    pub(in crate::engine::linear) columns: usize,
}

impl Task for DecideAll<'_> {
    type Output = Vec<Decisions>;

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> Vec<Decisions> {
        let Self {
            rule,
            channels,
            columns,
        } = self;
        let mut all = Vec::with_capacity(channels.len());
        for channels in channels.chunks(LANES) {
            let found = match columns + 1 < WINDOW {
                true => [None; LANES],
                false => Channels::new(rule, channels, columns).decide(),
            };
            for (&(channel, base), found) in channels.iter().zip(found) {
                let alone = Decide {
                    rule,
                    channel,
                    base,
                    columns,
                };
                all.push(found.unwrap_or_else(|| alone.run(s)));
            }
        }
        all
    }
}

/// The values of channels in rising order.
struct Channels<'a> {
    /// Of each channel, unless they are unusual.
    values: Lanes<Option<Values<'a>>>,
    /// The same, for vectors.
    factor: Lanes<f32>,
    bias: Lanes<f32>,
    shift: Lanes<f32>,
    base: Lanes<i32>,
    step: Lanes<i32>,
    least: Lanes<f32>,
    density: Lanes<f32>,
    places: i32,
    level: Option<f32>,
}

/// What some places say of each channel.
struct Window {
    /// The first of them.
    start: Lanes<i32>,
    /// The first place after the change.
    change: Lanes<i32>,
    /// Whether that is certain.
    is_certain: Lanes<bool>,
}

/// Places whose bit is 0, and whether that is certain.
struct ZeroPlaces {
    first: Lanes<i32>,
    end: Lanes<i32>,
    is_certain: Lanes<bool>,
}

impl<'a> Channels<'a> {
    /// Those of up to 16 channels, of which there is one.
    #[inline(always)]
    fn new(rule: &'a Rule, channels: &[(usize, i32)], columns: usize) -> Self {
        let at = |lane: usize| channels[lane.min(channels.len() - 1)];
        let values: Lanes<_> = from_fn(|lane| {
            let (channel, base) = at(lane);
            Values::new(rule, channel, base, columns)
        });
        let of =
            |number: fn(&Values) -> f32| from_fn(|lane| values[lane].as_ref().map_or(0.0, number));
        let whole =
            |number: fn(&Values) -> i32| from_fn(|lane| values[lane].as_ref().map_or(0, number));
        Self {
            factor: from_fn(|lane| rule.factor[at(lane).0]),
            bias: from_fn(|lane| rule.bias[at(lane).0]),
            shift: from_fn(|lane| rule.shift[at(lane).0]),
            base: whole(|values| values.base),
            step: whole(|values| values.step),
            least: of(|values| values.least),
            density: of(|values| values.density),
            places: columns as i32 + 1,
            level: rule.level,
            values,
        }
    }

    #[inline(always)]
    fn value(&self, lane: usize, place: i32) -> f32 {
        (self.base[lane] + self.step[lane] * place) as f32 * self.factor[lane] + self.bias[lane]
    }

    /// About the place of a value.
    #[inline(always)]
    fn place(&self, lane: usize, value: f32) -> i32 {
        // What is not a number becomes 0.
        ((value - self.least[lane]) * self.density[lane]).clamp(0.0, self.places as f32) as i32
    }

    /// Looks at [`WINDOW`] places from `start` on, or the last ones, for the change of `function(value) + shift > level`.
    ///
    /// Over the places that the change may be at, the function rises, or falls if `FALLS`, but for less than `margin` between any
    /// two. So it is certain if the first place is surely before it and the last one surely after it, or if there are no
    /// places beyond.
    #[inline(always)]
    fn window<const FALLS: bool>(
        &self,
        start: Lanes<i32>,
        function: impl Fn(f32) -> f32,
        margin: f32,
        level: f32,
    ) -> Window {
        let last = self.places - WINDOW as i32;
        let start = start.map(|start| start.clamp(0, last));
        let is_sure = |y: f32, shift: f32, above: bool| match above {
            true => y - margin + shift > level,
            false => y + margin + shift <= level,
        };
        let (mut after, mut is_ordered) = ([0; LANES], [true; LANES]);
        let mut ends = [[false; LANES]; 2];
        for at in 0..WINDOW {
            for lane in 0..LANES {
                let y = function(self.value(lane, start[lane] + at as i32));
                let shift = self.shift[lane];
                let is_after = (y + shift > level) != FALLS;
                is_ordered[lane] &= is_after | (after[lane] == 0);
                after[lane] += i32::from(is_after);
                if at == 0 {
                    ends[0][lane] = is_sure(y, shift, FALLS) | (start[lane] == 0);
                }
                if at == WINDOW - 1 {
                    ends[1][lane] = is_sure(y, shift, !FALLS) | (start[lane] == last);
                }
            }
        }
        Window {
            change: from_fn(|lane| start[lane] + WINDOW as i32 - after[lane]),
            is_certain: from_fn(|lane| is_ordered[lane] & ends[0][lane] & ends[1][lane]),
            start,
        }
    }

    /// The decisions of each channel, if they are certain.
    #[inline(always)]
    fn decide(&self) -> Lanes<Option<Decisions>> {
        let zeros = match self.level {
            None => self.signs(),
            Some(level) => self.levels(level),
        };
        from_fn(|lane| {
            let values = self.values[lane].as_ref()?;
            let (first, end) = (zeros.first[lane], zeros.end[lane]);
            zeros.is_certain[lane].then(|| self.decisions(values, first as usize, end as usize))
        })
    }

    #[inline(always)]
    fn decisions(&self, values: &Values<'_>, first: usize, end: usize) -> Decisions {
        let shift = values.rule.shift[values.channel];
        let mut zeros = Zeros::default();
        zeros.add(first..end);
        Decisions {
            interval: interval(&zeros, |place| values.count(place)),
            ties: self.level.is_none() && end > 0 && values.value(end - 1) + shift == 0.0,
        }
    }

    /// Those of signs.
    #[inline(always)]
    fn signs(&self) -> ZeroPlaces {
        let start = from_fn(|lane| self.place(lane, -self.shift[lane]) - BEFORE);
        let window = self.window::<false>(start, |x| x, 0.0, 0.0);
        ZeroPlaces {
            first: [0; LANES],
            end: window.change,
            is_certain: window.is_certain,
        }
    }

    /// Those of hidden values. Only channels are certain whose values at the turn of the GELU surely are not above the level,
    /// and all of whose windows are on one side of it.
    #[inline(always)]
    fn levels(&self, level: f32) -> ZeroPlaces {
        let [inverse_falling, inverse_rising] = &*INVERSES;
        let perhaps_above = |lane: usize, y: f32| y + MARGIN + self.shift[lane] > level;

        // To the right of the turn.
        let start = from_fn(|lane| {
            let guess = self.place(lane, inverse_rising.at(level - self.shift[lane]));
            (guess - BEFORE).max(self.place(lane, TURN[1]) + 2)
        });
        let right = self.window::<false>(start, hidden, MARGIN, level);

        // To the left of it: nothing there is above what the GELU falls from, 0.
        let matters: Lanes<bool> =
            from_fn(|lane| perhaps_above(lane, 0.0) & (self.value(lane, 0) <= TURN[0]));
        let left = matters.contains(&true).then(|| {
            let start = from_fn(|lane| {
                let guess = self.place(lane, inverse_falling.at(level - self.shift[lane]));
                (guess - BEFORE).min(self.place(lane, TURN[0]) - 1 - WINDOW as i32)
            });
            self.window::<true>(start, hidden, MARGIN, level)
        });

        let most = BRANCHES.falling[0].max(BRANCHES.rising[0]);
        let mut zeros = ZeroPlaces {
            first: [0; LANES],
            end: right.change,
            is_certain: from_fn(|lane| {
                let is_right = self.value(lane, right.start[lane]) >= TURN[1];
                right.is_certain[lane] & is_right & !perhaps_above(lane, most)
            }),
        };
        if let Some(left) = left {
            for (lane, matters) in matters.into_iter().enumerate() {
                let end = self.value(lane, left.start[lane] + WINDOW as i32 - 1);
                if matters {
                    zeros.first[lane] = left.change[lane];
                    zeros.is_certain[lane] &= left.is_certain[lane] & (end <= TURN[0]);
                }
            }
        }
        zeros
    }
}

/// About where a branch of the GELU takes values, for equally spaced ones from [`MINIMUM`] on.
struct Inverse {
    points: Vec<f32>,
    density: f32,
}

/// Those of the falling and the rising branch.
static INVERSES: LazyLock<[Inverse; 2]> = LazyLock::new(|| {
    let Branches {
        falling: falls,
        rising: rises,
        ..
    } = &*BRANCHES;
    [
        Inverse::new(falls, falling, 0.0),
        Inverse::new(rises, rising, HIDDEN_BOUND),
    ]
});

impl Inverse {
    /// That of a branch's values at points, from the turn outwards, for values up to `most`.
    fn new(values: &[f32], point: fn(usize) -> f32, most: f32) -> Self {
        let density = POINTS as f32 / (most - MINIMUM);
        let of = |index: usize| {
            let y = MINIMUM + index as f32 / density;
            let above = values.partition_point(|&value| value < y);
            let above = above.clamp(1, POINTS - 1);
            let [from, to] = [values[above - 1], values[above]];
            let share = ((y - from) / (to - from)).clamp(0.0, 1.0);
            point(above - 1) + share * (point(above) - point(above - 1))
        };
        Self {
            points: (0..=POINTS).map(of).collect(),
            density,
        }
    }

    #[inline(always)]
    fn at(&self, y: f32) -> f32 {
        let place = ((y - MINIMUM) * self.density).clamp(0.0, POINTS as f32);
        // What is not a number becomes 0.
        let index = (place as usize).min(POINTS - 1);
        let [from, to] = [self.points[index], self.points[index + 1]];
        from + (place - index as f32) * (to - from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rule::level_threshold;
    use super::*;
    use crate::Random;

    /// Layers as trained ones are need few searches of one channel.
    #[test]
    fn most_guesses_are_right() {
        let mut random = Random::new(3);
        for (level, columns, factor) in [
            (None, 384, 0.01),
            (None, 768, 0.05),
            (Some(level_threshold(0.05)), 384, 0.03),
            (Some(level_threshold(0.4)), 192, 0.08),
        ] {
            let mut right = 0;
            for _ in 0..20 {
                let mut numbers = |size: f32| {
                    (0..LANES)
                        .map(|_| random.normal() * size)
                        .collect::<Vec<_>>()
                };
                let rule = Rule {
                    factor: numbers(factor),
                    bias: numbers(0.2),
                    shift: numbers(0.05),
                    level,
                };
                let channels: Lanes<(usize, i32)> = from_fn(|channel| (channel, columns as i32));
                let found = Channels::new(&rule, &channels, columns).decide();
                right += found.iter().flatten().count();
            }
            assert!(
                right * 10 > 20 * LANES * 9,
                "{right} of {level:?}, {columns}"
            );
        }
    }
}
