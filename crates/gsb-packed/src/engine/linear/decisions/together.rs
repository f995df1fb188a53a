//! The decisions of 16 channels at once.
//!
//! Where the bit changes is guessed for each, and a few counts about it are evaluated. They show whether the guess was
//! right: counts before them surely decide otherwise than those after them. Where it was not, the channel is searched by itself.

use std::array::from_fn;
use std::sync::LazyLock;

use super::{
    BRANCHES, Branches, Decide, Decisions, LANES, MARGIN, MINIMUM, POINTS, Rule, STEP, TURN, Zeros,
    falling, hidden, interval, rising,
};
use crate::kernel::instruction_set::{InstructionSet, Task};

/// Places that are evaluated about a guess, and how many of them are before it.
const WINDOW: usize = 8;
const BEFORE: i32 = 3;

/// Something of each channel.
type Of<T> = [T; LANES];

/// Finds the [`Decisions`] of channels, for signed inputs.
pub(in super::super) struct DecideAll<'a> {
    pub(in super::super) rule: &'a Rule,
    /// The channels, and the sum of no differing signs for each.
    pub(in super::super) channels: &'a [(usize, i32)],
    /// How many signs there are.
    pub(in super::super) columns: usize,
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
                true => [const { None }; LANES],
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

/// The values of channels in rising order, as [`Values`](super::Values) are that of one.
struct Channels {
    factor: Of<f32>,
    bias: Of<f32>,
    shift: Of<f32>,
    level: Option<f32>,
    base: Of<i32>,
    step: Of<i32>,
    places: i32,
    least: Of<f32>,
    density: Of<f32>,
    /// Whether values rise at all, to something finite.
    rises: Of<bool>,
}

/// What the places about a guess say of each channel.
struct Window {
    /// The first place after the change.
    change: Of<i32>,
    /// Whether it is certain.
    holds: Of<bool>,
}

impl Channels {
    #[inline(always)]
    fn new(rule: &Rule, channels: &[(usize, i32)], columns: usize) -> Self {
        let channel: Of<usize> = from_fn(|lane| channels[lane.min(channels.len() - 1)].0);
        let base: Of<i32> = from_fn(|lane| channels[lane.min(channels.len() - 1)].1);
        let last = columns as i32;
        let factor = channel.map(|channel| rule.factor[channel]);
        let mut all = Self {
            factor,
            bias: channel.map(|channel| rule.bias[channel]),
            shift: channel.map(|channel| rule.shift[channel]),
            level: rule.level,
            base: from_fn(|lane| base[lane] - if factor[lane] < 0.0 { 0 } else { 2 * last }),
            step: factor.map(|factor| if factor < 0.0 { -2 } else { 2 }),
            places: last + 1,
            least: [0.0; LANES],
            density: [0.0; LANES],
            rises: [false; LANES],
        };
        for lane in 0..LANES {
            let (least, most) = (all.value(lane, 0), all.value(lane, last));
            let shift = all.shift[lane];
            all.least[lane] = least;
            all.density[lane] = last as f32 / (most - least);
            all.rises[lane] =
                (least + shift).is_finite() & (most + shift).is_finite() & (least < most);
        }
        all
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

    /// Looks at the places from one on for the change of `y + shift > level`, `y` being made of a value by a function
    /// that may be `margin` off one that only rises, or falls, to which values before and after these belong.
    #[inline(always)]
    fn window<const FALLS: bool>(
        &self,
        start: Of<i32>,
        function: impl Fn(f32) -> f32,
        margin: f32,
        level: f32,
    ) -> Window {
        let end = self.places - WINDOW as i32;
        let start = start.map(|start| start.clamp(0, end));
        let is_sure = |y: f32, shift: f32, above: bool| match above {
            true => y - margin + shift > level,
            false => y + margin + shift <= level,
        };
        let (mut after, mut ordered) = ([0; LANES], [true; LANES]);
        let mut sure = [[false; LANES]; 2];
        for at in 0..WINDOW {
            for lane in 0..LANES {
                let y = function(self.value(lane, start[lane] + at as i32));
                let shift = self.shift[lane];
                let is_after = (y + shift > level) != FALLS;
                ordered[lane] &= is_after | (after[lane] == 0);
                after[lane] += i32::from(is_after);
                if at == 0 {
                    sure[0][lane] = is_sure(y, shift, FALLS) | (start[lane] == 0);
                }
                if at == WINDOW - 1 {
                    sure[1][lane] = is_sure(y, shift, !FALLS) | (start[lane] == end);
                }
            }
        }
        Window {
            change: from_fn(|lane| start[lane] + WINDOW as i32 - after[lane]),
            holds: from_fn(|lane| ordered[lane] & sure[0][lane] & sure[1][lane]),
        }
    }

    #[inline(always)]
    fn decide(&self) -> Of<Option<Decisions>> {
        let (zeros, holds) = match self.level {
            None => self.signs(),
            Some(level) => self.levels(level),
        };
        from_fn(|lane| {
            let (first, end) = zeros[lane];
            (holds[lane] && self.rises[lane]).then(|| self.decisions(lane, first, end))
        })
    }

    /// Places whose bit is 0, as first and end, and whether they are certain.
    #[inline(always)]
    fn signs(&self) -> (Of<(i32, i32)>, Of<bool>) {
        let start = from_fn(|lane| self.place(lane, -self.shift[lane]) - BEFORE);
        let Window { change, holds } = self.window::<false>(start, |x| x, 0.0, 0.0);
        (change.map(|end| (0, end)), holds)
    }

    /// As [`find`](super::find) does.
    #[inline(always)]
    fn levels(&self, level: f32) -> (Of<(i32, i32)>, Of<bool>) {
        let [falls, rises] = &*INVERSES;
        let end = self.places - WINDOW as i32;
        let perhaps = |lane: usize, y: f32| y + MARGIN + self.shift[lane] > level;

        // To the right of the turn, and the first of these places that is.
        let start = from_fn(|lane| {
            let guess = self.place(lane, rises.at(level - self.shift[lane])) - BEFORE;
            guess.max(self.place(lane, TURN[1]) + 2).min(end)
        });
        let right = self.window::<false>(start, hidden, MARGIN, level);
        let is_right =
            from_fn::<_, LANES, _>(|lane| self.value(lane, start[lane].max(0)) >= TURN[1]);

        // To the left of it: nothing there is above what the GELU falls from, 0.
        let matters =
            from_fn::<_, LANES, _>(|lane| perhaps(lane, 0.0) & (self.value(lane, 0) <= TURN[0]));
        let mut left = Window {
            change: [0; LANES],
            holds: [true; LANES],
        };
        if matters.contains(&true) {
            let start = from_fn(|lane| {
                let guess = self.place(lane, falls.at(level - self.shift[lane])) - BEFORE;
                let turn = self.place(lane, TURN[0]) - 1 - WINDOW as i32;
                guess.min(turn).max(0)
            });
            let found = self.window::<true>(start, hidden, MARGIN, level);
            for lane in 0..LANES {
                let last = self.value(lane, start[lane].min(end) + WINDOW as i32 - 1);
                if matters[lane] {
                    left.change[lane] = found.change[lane];
                    left.holds[lane] = found.holds[lane] & (last <= TURN[0]);
                }
            }
        }

        // Between them.
        let most = BRANCHES.falling[0].max(BRANCHES.rising[0]);
        let holds = from_fn(|lane| {
            let turn_is_below = !perhaps(lane, most);
            right.holds[lane] & is_right[lane] & left.holds[lane] & turn_is_below
        });
        (
            from_fn(|lane| (left.change[lane], right.change[lane])),
            holds,
        )
    }

    #[inline(always)]
    fn decisions(&self, lane: usize, first: i32, end: i32) -> Decisions {
        let ties =
            self.level.is_none() && end > 0 && self.value(lane, end - 1) + self.shift[lane] == 0.0;
        let mut zeros = Zeros::default();
        zeros.add(first as usize..end as usize);
        let last = self.places as usize - 1;
        let is_turned = self.step[lane] > 0;
        Decisions {
            interval: interval(&zeros, |place| if is_turned { last - place } else { place }),
            ties,
        }
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
        Inverse::new(falls, falling, -MINIMUM),
        Inverse::new(rises, rising, POINTS as f32 * STEP),
    ]
});

impl Inverse {
    /// That of a branch's values at points, from the turn outwards, for values up to `range` above the least.
    fn new(values: &[f32], point: fn(usize) -> f32, range: f32) -> Self {
        let density = POINTS as f32 / range;
        let of = |index: usize| {
            let y = MINIMUM + index as f32 / density;
            let above = values
                .partition_point(|&value| value < y)
                .clamp(1, POINTS - 1);
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
        let place = ((y - MINIMUM) * self.density).clamp(0.0, (POINTS - 1) as f32);
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
                let channels: Of<(usize, i32)> = from_fn(|channel| (channel, columns as i32));
                let found = Channels::new(&rule, &channels, columns).decide();
                right += found.iter().flatten().count();
            }
            println!("{level:?}, {columns}: {right}");
            assert!(right * 10 > 20 * LANES * 9, "{right}");
        }
    }
}
