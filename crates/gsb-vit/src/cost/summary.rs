//! A model at a glance.

use super::breakdown::Cost;
use super::table::grouped;
use crate::Phase;

impl Cost {
    /// The model at a glance: its sizes, parameters by bit width, packed bytes and operations.
    pub fn summary(&self) -> String {
        let config = &self.config;
        let distillation = if config.distillation_token {
            ", 1 distillation"
        } else {
            ""
        };
        let mut lines = vec![
            ("phase", self.phase.to_string()),
            (
                "image",
                format!(
                    "{0} x {0}, channels {1}, patches {2} x {2}",
                    config.image_size, config.channels, config.patch_size
                ),
            ),
            (
                "tokens",
                format!(
                    "{}: 1 class{distillation}, {} patches",
                    config.tokens(),
                    config.patches()
                ),
            ),
            (
                "encoder",
                format!(
                    "depth {}, width {}, heads {}, MLP {}",
                    config.depth, config.width, config.heads, config.mlp_width
                ),
            ),
        ];
        if self.phase == Phase::Stage2 {
            let stage2 = &config.stage2;
            let attention = match stage2.attention_bits {
                1 => stage2.attention_groups.to_string(),
                bits => format!("levels of {bits} bits"),
            };
            let groups = format!("attention {attention}, value {}", stage2.value_groups);
            lines.push(("groups", groups));
        }
        let total = &self.total;
        let by_bits = total.parameters.iter().map(|(bits, count)| {
            let unit = if *bits == 1 { "bit" } else { "bits" };
            format!("{} of {bits} {unit}", grouped(*count))
        });
        let parameters = format!(
            "{}: {}",
            grouped(total.total_parameters()),
            by_bits.collect::<Vec<_>>().join(", ")
        );
        let operations = format!(
            "{} OPs: BOPs {} / 64, int MACs {}, FLOPs {}",
            grouped(total.operations().round() as u64),
            grouped(total.binary_macs),
            grouped(total.integer_macs),
            grouped(total.float_macs)
        );
        lines.extend([
            ("classes", config.classes.to_string()),
            ("parameters", parameters),
            ("packed", format!("{} bytes", grouped(total.packed_bytes))),
            ("operations", operations),
            ("elementwise", grouped(total.elementwise)),
        ]);
        let lines = lines
            .iter()
            .map(|(title, text)| format!("{title:<13}{text}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}
