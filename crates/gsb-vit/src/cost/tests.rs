//! Numbers derived by hand and published ones.

mod book;
#[cfg(feature = "flex")]
mod models;

use proptest::prelude::*;

use super::{Amount, Cost};
use crate::{Error, Phase, VitConfig};

/// 4 patches of 4 values and 2 learned tokens; width 4, 2 heads of 2 channels, hidden width 8.
fn tiny() -> VitConfig {
    VitConfig::new(4, 2)
        .with_patch_size(2)
        .with_channels(1)
        .with_width(4)
        .with_depth(1)
        .with_heads(2)
        .with_mlp_width(8)
}

fn deit(name: &str) -> VitConfig {
    VitConfig::preset(name, 1000).unwrap()
}

fn amount(parameters: &[(u8, u64)], packed_bytes: u64, macs: [u64; 3], elementwise: u64) -> Amount {
    let [binary_macs, integer_macs, float_macs] = macs;
    Amount {
        parameters: parameters.iter().copied().collect(),
        packed_bytes,
        binary_macs,
        integer_macs,
        float_macs,
        elementwise,
    }
}

#[test]
fn totals_of_a_tiny_model_by_hand() {
    let total = |phase| tiny().cost(phase).unwrap().total;

    // Parameters: convolution 4 * 4 + 4 = 20; tokens 2 * 4 + 6 * 4 = 32; the block 172: norms
    // 2 * 8, qkv 4 * 12 + 12 = 60, output 4 * 4 + 4 = 20, fc1 4 * 8 + 8 = 40, fc2 8 * 4 + 4 = 36;
    // norm 8; heads 2 * (4 * 2 + 2) = 20.
    // MACs: convolution 4 * 16 = 64; linear layers 6 * (48 + 16 + 32 + 32) = 768; products of the
    // attention 2 * 36 * 4 = 288; heads 2 * 8 = 16.
    // Elements: biases 4 * 4 + 6 * (12 + 4 + 8 + 4) + 2 * 2 = 188; positions 24; norms 3 * 24 = 72;
    // division and softmax 2 * 72 = 144; residuals 2 * 24 = 48; GELU 48.
    assert_eq!(
        total(Phase::Teacher),
        amount(&[(32, 252)], 4 * 252, [0, 0, 1136], 524)
    );

    // More parameters: batch normalization 8, shifts 12 + 4 + 8 = 24; 32 + 32 are binary.
    // Bytes: 64 / 8 of them; the 220 floats without batch normalization and with 2 weight scales.
    // More elements: shifts 6 * (12 + 4 + 8) = 144; scaled products 6 * (8 + 4) = 72.
    assert_eq!(
        total(Phase::Stage1),
        amount(
            &[(1, 64), (32, 220)],
            8 + 4 * (220 - 8 + 2),
            [0, 0, 1136],
            740
        )
    );

    // Parameters: 1 bit 48 + 16 + 32 + 32 = 128; 8 bits 16 + 2 * 8 = 32; floats: of the convolution
    // bias 4, scales 4; tokens 32; norms 24; biases 12 + 4 + 8 + 4 = 28; shifts of the layers
    // 4 + 4 + 4 + 8 = 20, of query, key and value 12, of the attention 2 * 36 = 72; scales of 4
    // layers, query, key and 3 + 3 groups 12; heads 2 * (bias 2 + shift 4 + scales 2) = 16.
    // Bytes: 128 / 8 + 32 + 4 * (224 floats + 4 weight scales).
    // Binary MACs: linear layers 768, query and key 144, superposition 9 * 144.
    // Elements more than the teacher's 524: scaled products 4 * 4 + 6 * (12 + 4 + 8 + 4) + 2 * 2 = 188;
    // shifts and binarization of the layers' inputs 2 * (6 * (4 + 4 + 4 + 8) + 2 * 4) = 256; shifts of
    // query, key and value 72, of the attention 72; binarization of query and key 48, of the
    // groups 3 * 72 + 3 * 24 = 288; sum of 9 products 9 * 24 = 216; clamp 48.
    let stage2 = total(Phase::Stage2);
    assert_eq!(
        stage2,
        amount(
            &[(1, 128), (8, 32), (32, 224)],
            16 + 32 + 4 * 228,
            [2208, 16, 64],
            524 + 188 + 256 + 72 + 72 + 48 + 288 + 216 + 48
        )
    );
    assert_eq!(stage2.operations(), 34.5 + 16.0 + 64.0);
    assert_eq!(stage2.macs(), 2288);
}

#[test]
fn published_parameter_counts() {
    let cases = [
        ("deit_tiny_patch16_224", Phase::Teacher, 5_717_416),
        ("deit_tiny_distilled_patch16_224", Phase::Teacher, 5_910_800),
        ("deit_small_patch16_224", Phase::Teacher, 22_050_664),
        (
            "deit_small_distilled_patch16_224",
            Phase::Teacher,
            22_436_432,
        ),
        (
            "deit_base_distilled_patch16_224",
            Phase::Teacher,
            87_338_192,
        ),
        (
            "deit_base_distilled_patch16_384",
            Phase::Teacher,
            87_630_032,
        ),
        (
            "deit_small_distilled_patch16_224",
            Phase::Stage1,
            22_474_064,
        ),
        (
            "deit_small_distilled_patch16_224",
            Phase::Stage2,
            25_306_500,
        ),
    ];
    for (name, phase, parameters) in cases {
        let total = deit(name).cost(phase).unwrap().total;
        assert_eq!(total.total_parameters(), parameters, "{name} {phase}");
    }
}

/// The GMACs of timm's model cards, which have one decimal.
#[test]
fn published_operations() {
    let cases = [
        ("deit_tiny_patch16_224", 1.3),
        ("deit_small_patch16_224", 4.6),
        ("deit_small_distilled_patch16_224", 4.6),
        ("deit_base_patch16_224", 17.6),
        ("deit_base_distilled_patch16_224", 17.7),
        ("deit_base_patch16_384", 55.5),
    ];
    for (name, published) in cases {
        let cost = deit(name).cost(Phase::Teacher).unwrap();
        let giga = cost.total.operations() / 1e9;
        assert!((giga - published).abs() <= 0.05, "{name}: {giga}");
    }
}

#[test]
fn bytes_of_a_packed_student() {
    let config = deit("deit_small_distilled_patch16_224");
    let total = config.cost(Phase::Stage2).unwrap().total;
    // Of each of 12 blocks qkv and output 4 * 384^2, fc1 and fc2 8 * 384^2.
    assert_eq!(total.parameters[&1], 12 * 12 * 384 * 384);
    // Convolution, and both heads.
    assert_eq!(total.parameters[&8], 384 * 768 + 2 * 384 * 1000);
    let attention_shift = 12 * 6 * 198 * 198;
    let others = total.parameters[&32] - attention_shift;
    assert_eq!(others, 187_236);
    let weight_scales = 12 * 4;
    assert_eq!(
        total.packed_bytes,
        2_654_208 + 1_062_912 + 4 * (attention_shift + others + weight_scales)
    );
}

#[test]
fn one_group_costs_one_product() {
    let config = deit("deit_small_distilled_patch16_224");
    let product = 12 * 198 * 198 * 384;
    let binary_macs = |a, v| {
        let config = config.clone().with_attention_groups(a).with_value_groups(v);
        config.cost(Phase::Stage2).unwrap().total.binary_macs
    };
    let plain = binary_macs(1, 1);
    for (a, v) in [(1, 3), (2, 2), (3, 1), (3, 3)] {
        assert_eq!(
            binary_macs(a, v),
            plain + (a * v - 1) as u64 * product,
            "{a} {v}"
        );
    }
}

#[test]
fn a_level_sum_costs_a_product_for_each_of_its_matrices() {
    let cost = |bits| {
        let config = tiny().with_attention_groups(1).with_value_groups(1);
        let config = config.with_attention_bits(bits);
        config.cost(Phase::Stage2).unwrap().total
    };
    let (one, three) = (cost(1), cost(3));
    // 2 * 36 * 2 binary MACs of a product, seven instead of one; the scale is the same one.
    assert_eq!(three.binary_macs - one.binary_macs, 6 * 144);
    assert_eq!(three.parameters, one.parameters);
    // Members of six more, 72 elements each, and sums of their products, 24 each.
    assert_eq!(three.elementwise - one.elementwise, 6 * (72 + 24));
}

#[test]
fn one_bit_scores_of_a_teacher_are_binary_macs() {
    let cost = |phase, bits| {
        let config = tiny().with_binary_query_key(bits);
        config.cost(phase).unwrap().total
    };
    for phase in [Phase::Stage1, Phase::Stage2] {
        assert_eq!(cost(phase, true), cost(phase, false));
    }
    let [float, binary] = [false, true].map(|bits| cost(Phase::Teacher, bits));
    // Six tokens of four channels, whose two heads have 36 scores each.
    assert_eq!(binary.binary_macs, 6 * 6 * 4);
    assert_eq!(float.float_macs - binary.float_macs, 6 * 6 * 4);
    assert_eq!(binary.elementwise - float.elementwise, 4 * 6 * 4 + 2 * 72);
    assert_eq!(binary.parameters, float.parameters);
}

#[test]
fn copies_of_neighbours_cost_an_addition_each() {
    let cost = |phase, shifts| {
        let config = tiny().with_token_shifts(shifts);
        config.cost(phase).unwrap().total
    };
    assert_eq!(cost(Phase::Teacher, true), cost(Phase::Teacher, false));
    for phase in [Phase::Stage1, Phase::Stage2] {
        let (plain, shifted) = (cost(phase, false), cost(phase, true));
        // Of four patches, 4 channels before the first layer and 8 before the second.
        assert_eq!(shifted.elementwise - plain.elementwise, 4 * (4 + 8));
        assert_eq!(shifted.operations(), plain.operations());
        assert_eq!(shifted.parameters, plain.parameters);
    }
}

#[test]
fn a_few_bits_are_counted_by_their_number() {
    let total = |bits| {
        let config = tiny().with_head_bits(bits).with_patch_bits(bits);
        config.cost(Phase::Stage2).unwrap().total
    };
    assert_eq!(total(4).parameters[&4], 32);
    assert_eq!(total(8).packed_bytes - total(4).packed_bytes, 16);
    // One bit on both sides of a head makes its MACs binary.
    assert_eq!(total(1).parameters[&1], 128 + 32);
    assert_eq!((total(1).integer_macs, total(1).binary_macs), (0, 2224));
}

#[test]
fn json_holds_everything() {
    for phase in Phase::ALL {
        let cost = tiny().cost(phase).unwrap();
        let json = cost.to_json();
        assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["phase"], phase.name());
        assert_eq!(value["total"]["operations"], cost.total.operations());
        assert_eq!(
            value["total"]["parameters"]["32"],
            cost.total.parameters[&32]
        );
        assert_eq!(value["layers"][0]["amount"]["float_macs"], 64);
    }
}

#[test]
fn impossible_sizes_are_errors() {
    let config = tiny().with_value_groups(0);
    assert!(matches!(
        config.cost(Phase::Stage2),
        Err(Error::Groups { .. })
    ));
    let large = 1 << 40;
    for config in [
        VitConfig {
            image_size: large,
            ..tiny()
        },
        VitConfig {
            classes: large,
            ..tiny()
        },
        VitConfig {
            width: large,
            ..tiny()
        },
        VitConfig {
            depth: usize::MAX,
            ..tiny()
        },
        VitConfig {
            channels: usize::MAX,
            ..tiny()
        },
        tiny().with_mlp_width(usize::MAX),
    ] {
        assert!(matches!(
            config.cost(Phase::Stage2),
            Err(Error::TooLarge { .. })
        ));
    }
}

#[test]
fn tables_and_summaries() {
    let models = [
        ("micro", VitConfig::micro()),
        ("deit_small", deit("deit_small_distilled_patch16_224")),
    ];
    for (name, config) in models {
        for phase in Phase::ALL {
            let cost = config.cost(phase).unwrap();
            insta::assert_snapshot!(format!("{name}_{phase}_summary"), cost.summary());
            insta::assert_snapshot!(format!("{name}_{phase}_table"), cost);
        }
    }
}

/// All counts in a fixed order.
fn counts(total: &Amount) -> [u64; 6] {
    [
        total.total_parameters(),
        total.packed_bytes,
        total.binary_macs,
        total.integer_macs,
        total.float_macs,
        total.elementwise,
    ]
}

prop_compose! {
    fn configs()(
        patch in 1usize..4,
        side in 1usize..4,
        channels in 1usize..4,
        classes in 1usize..12,
        heads in 1usize..4,
        head_width in 1usize..9,
        depth in 1usize..4,
        mlp_width in 1usize..64,
        distillation in any::<bool>(),
        attention_groups in 1usize..4,
        value_groups in 1usize..4,
        head_bits in 1u8..9,
        patch_bits in 1u8..9,
    ) -> VitConfig {
        VitConfig::new(patch * side, classes).with_patch_size(patch).with_channels(channels).with_width(heads * head_width).with_depth(depth).with_heads(heads)
            .with_mlp_width(mlp_width)
            .with_distillation_token(distillation)
            .with_attention_groups(attention_groups)
            .with_value_groups(value_groups)
            .with_head_bits(head_bits)
            .with_patch_bits(patch_bits)
    }
}

proptest! {
    #[test]
    fn more_of_anything_costs_no_less(config in configs()) {
        for phase in Phase::ALL {
            let before = counts(&config.cost(phase).unwrap().total);
            for larger in [
                VitConfig { image_size: config.image_size + config.patch_size, ..config.clone() },
                VitConfig { channels: config.channels + 1, ..config.clone() },
                VitConfig { classes: config.classes + 1, ..config.clone() },
                VitConfig { width: config.width + config.heads, ..config.clone() },
                VitConfig { depth: config.depth + 1, ..config.clone() },
                VitConfig { mlp_width: config.mlp_width + 1, ..config.clone() },
            ] {
                let after = counts(&larger.cost(phase).unwrap().total);
                for (before, after) in before.into_iter().zip(after) {
                    prop_assert!(before <= after);
                }
                prop_assert!(before[0] < after[0]);
            }
        }
    }
}
