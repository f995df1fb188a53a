//! What the network says about an image.

/// The logits of an image, and what follows from them.
///
/// ```
/// let prediction = gsb_packed::Prediction::new(vec![1.0, 3.0, 2.0]);
/// assert_eq!(prediction.class(), 1);
/// let top: Vec<usize> = prediction.top(2).iter().map(|ranked| ranked.class).collect();
/// assert_eq!(top, [1, 2]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    logits: Vec<f32>,
}

/// A class with how likely the network finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Number of the class.
    pub class: usize,
    /// Its logit.
    pub logit: f32,
    /// Its softmax among all classes.
    pub probability: f32,
}

impl Prediction {
    /// The prediction of logits.
    pub fn new(logits: Vec<f32>) -> Self {
        Self { logits }
    }

    /// The logits, `[classes]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The class of the largest logit, the first of equal ones.
    pub fn class(&self) -> usize {
        self.top(1).first().map_or(0, |ranked| ranked.class)
    }

    /// The `k` likeliest classes, the likeliest first, of equal ones the first.
    pub fn top(&self, k: usize) -> Vec<Ranked> {
        let max = self
            .logits
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = self.logits.iter().map(|logit| (logit - max).exp()).sum();
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        order.sort_by(|&a, &b| self.logits[b].total_cmp(&self.logits[a]));
        let ranked = |class: usize| Ranked {
            class,
            logit: self.logits[class],
            probability: (self.logits[class] - max).exp() / sum,
        };
        order.into_iter().take(k).map(ranked).collect()
    }
}
