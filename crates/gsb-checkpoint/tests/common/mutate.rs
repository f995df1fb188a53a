//! Damage to files.

/// The random numbers of Marsaglia's xorshift64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// How many mutants a test makes: the given number, or what `GSB_MUTATIONS` says.
pub fn mutants(few: usize) -> usize {
    let given = std::env::var("GSB_MUTATIONS").ok();
    given.map_or(few, |number| {
        number.parse().expect("GSB_MUTATIONS is a number")
    })
}

/// A file without the checksums that its directory, if it is an archive, states: damage gets past it.
pub fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    for at in 0..bytes.len().saturating_sub(20) {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            bytes[at + 16..at + 20].fill(0);
        }
    }
    bytes
}

/// Damages a file in up to three places.
pub fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let len = bytes.len();
        // Pickles and headers come first, directories last, and there the damage is worse.
        let at = match random.below(4) {
            0 => random.below(len),
            1 => len - random.below(len.min(8000)),
            _ => random.below(len.min(30_000)),
        };
        let left = len - at.min(len);
        match random.below(8) {
            0..3 if left > 0 => bytes[at] ^= 1 << random.below(8),
            3 if left > 0 => bytes[at] = random.below(256) as u8,
            4 => {
                // A splice: a piece of the file over another.
                let from = random.below(len);
                let size = random.below(200).min(left).min(len - from);
                bytes.copy_within(from..from + size, at);
            }
            5 => {
                // A length: large, negative or zero.
                let size = [1, 2, 4, 8][random.below(4)].min(left);
                let value = [0xff, 0x7f, 0x00, 0x01][random.below(4)];
                bytes[at..at + size].fill(value);
            }
            6 if random.below(4) == 0 => drop(bytes.drain(at..at + random.below(40).min(left))),
            7 if random.below(8) == 0 => bytes.truncate(at),
            _ => {}
        }
        if bytes.is_empty() {
            return;
        }
    }
}
