//! What packing refuses, and what it says.
#![cfg(all(feature = "pack", feature = "flex"))]

use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, Distribution};
use gsb_core::binarize::{
    AttentionBinarizerConfig, Blend, SignedBinarizerConfig, ThresholdScope, ValueBinarizerConfig,
    WeightBinarizerConfig, WeightScale,
};
use gsb_core::nn::LayerNormConfig;
use gsb_core::nn::QuantizedLinearConfig;
use gsb_packed::{PackedFile, Preprocessing, ShiftStorage};
use gsb_vit::{PackOptions, Phase, Stage2Student, VitConfig, pack};

fn student(config: &VitConfig) -> Stage2Student {
    let device = Device::flex();
    device.seed(3);
    let images = Tensor::random([4, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
    config.init_stage2(&device).unwrap().calibrate(&images)
}

fn micro() -> Stage2Student {
    student(&VitConfig::micro())
}

/// What packing a changed student complains about.
fn complaint(change: impl FnOnce(&mut Stage2Student)) -> String {
    let mut student = micro();
    change(&mut student);
    pack(&student, PackOptions::default())
        .unwrap_err()
        .to_string()
}

fn scale(values: &[f32]) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_floats(values, &Device::flex()))
}

#[test]
fn scales_that_no_data_have_set_are_named() {
    let student = VitConfig::micro().init_stage2(&Device::flex()).unwrap();
    let error = pack(&student, PackOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot pack a student that is not calibrated: no data have set 37 of its scales \
         (patch_embedding.weight_quantizer.scale, blocks.0.attention.qkv.input.Signed.scale, \
         blocks.0.attention.query.scale, ..); train it, or calibrate it with a batch of images"
    );
    let text = complaint(|student| {
        student.blocks[2].attention.key = SignedBinarizerConfig::new().init(&Device::flex());
    });
    assert!(
        text.contains("1 of its scales (blocks.2.attention.key.scale);"),
        "{text}"
    );
}

#[test]
fn values_that_are_not_finite_are_named() {
    let text = complaint(|student| {
        let weight = &mut student.blocks[1].mlp.fc2.weight;
        *weight = weight.clone().map(|w| w.slice_fill([3..4, 5..6], f32::NAN));
    });
    assert_eq!(
        text,
        "cannot pack blocks.1.mlp.fc2.weight: NaN at 197 is not a finite number"
    );
    let text = complaint(|student| {
        let shift = &mut student.blocks[0].attention.attention_shift.bias;
        *shift = shift.clone().map(|shift| shift.full_like(f32::INFINITY));
    });
    assert_eq!(
        text,
        "cannot pack blocks.0.attention.attention_shift.bias: inf at 0 is not a finite number"
    );
    let text = complaint(|student| {
        student.blocks[3].attention.value.scales = scale(&[1.0, f32::INFINITY, 1.0]);
    });
    assert_eq!(
        text,
        "cannot pack blocks.3.attention.value.scales: inf is not a finite number"
    );
    let text =
        complaint(|student| student.class_head.weight_quantizer.scale = scale(&[f32::INFINITY]));
    assert_eq!(
        text,
        "cannot pack class_head.weight_quantizer.scale: inf is not a finite number"
    );
    let text = complaint(|student| {
        let quantizer = &mut student.patch_embedding.weight_quantizer;
        quantizer.scale = quantizer
            .scale
            .clone()
            .map(|scale| scale.full_like(f32::NAN));
    });
    assert_eq!(
        text,
        "cannot pack patch_embedding.weight_quantizer.scale: NaN at 0 is not a finite number"
    );
}

#[test]
fn binarizers_of_another_kind_are_named() {
    let device = Device::flex();
    type Change<'a> = &'a dyn Fn(&mut Stage2Student);
    let cases: [(&str, Change); 8] = [
        (
            "blocks.0.attention.query: its levels are Signed(2)",
            &|student| {
                student.blocks[0].attention.query =
                    SignedBinarizerConfig::new().with_bits(2).init(&device);
            },
        ),
        (
            "blocks.0.attention.attention: its first group has levels up to 7",
            &|student| {
                student.blocks[0].attention.attention =
                    AttentionBinarizerConfig::new().with_bits(4).init(&device);
            },
        ),
        (
            "blocks.0.attention.attention: scope Row, expected Sample",
            &|student| {
                student.blocks[0].attention.attention = AttentionBinarizerConfig::new()
                    .with_scope(ThresholdScope::Row)
                    .init(&device);
            },
        ),
        (
            "blocks.0.attention.value: thresholds [0.5, 0.9], expected [0.7, 0.9]",
            &|student| {
                student.blocks[0].attention.value = ValueBinarizerConfig::new()
                    .with_thresholds(vec![0.5, 0.9])
                    .init(&device);
            },
        ),
        (
            "blocks.0.attention.value: thresholds [0.7], expected [0.7, 0.9]",
            &|student| {
                student.blocks[0].attention.value =
                    ValueBinarizerConfig::new().with_groups(2).init(&device);
            },
        ),
        (
            "blocks.0.mlp.fc1.weight: it has a scale for each input",
            &|student| {
                student.blocks[0].mlp.fc1.weight_binarizer = WeightBinarizerConfig::new()
                    .with_scale(WeightScale::Output(0))
                    .init();
            },
        ),
        ("norm: its epsilon is not 1e-12", &|student| {
            student.norm = LayerNormConfig::new(64).with_epsilon(1e-5).init(&device);
        }),
        (
            "class_head.input: its levels are Signed(4), expected Signed(8)",
            &|student| {
                student.class_head = QuantizedLinearConfig::new(64, 10)
                    .with_input_bits(4)
                    .init(&device);
            },
        ),
    ];
    for (expected, change) in cases {
        let text = complaint(change);
        assert!(
            text.starts_with(&format!("cannot pack {expected}")),
            "{text}"
        );
    }
}

#[test]
fn impossible_options_are_named() {
    let refused = |options| pack(&micro(), options).unwrap_err().to_string();
    let options = PackOptions {
        class_names: vec!["zero".into()],
        ..PackOptions::default()
    };
    assert!(refused(options).contains("1 names for 10 classes"));
    let options = PackOptions {
        preprocessing: Some(Preprocessing::standard(8, 3)),
        ..PackOptions::default()
    };
    assert!(refused(options).contains("each of 1 channels"));
}

#[test]
fn the_file_holds_what_the_cost_counts() {
    for config in [
        VitConfig::micro(),
        VitConfig::micro()
            .with_attention_groups(1)
            .with_value_groups(2)
            .with_head_bits(3)
            .with_patch_bits(1)
            .with_distillation_token(false)
            .with_mlp_width(83),
        VitConfig::micro()
            .with_attention_groups(1)
            .with_attention_bits(2),
    ] {
        let packed = pack(&student(&config), PackOptions::default()).unwrap();
        let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap());
        let counted = config.cost(Phase::Stage2).unwrap().total.packed_bytes;
        assert_eq!(bytes.len() as u64 - header, counted);
        assert_eq!(PackedFile::from_bytes(&bytes).unwrap(), packed);
    }
}

#[test]
fn shifts_of_few_bits_are_stored_exactly_in_as_many() {
    let mut sizes = Vec::new();
    for (bits, storage) in [
        (8, ShiftStorage::I8),
        (16, ShiftStorage::F16),
        (32, ShiftStorage::F32),
    ] {
        let config = VitConfig::micro().with_shift_bits(bits);
        let mut student = student(&config);
        for block in &mut student.blocks {
            let bias = &mut block.attention.attention_shift.bias;
            let shape = bias.shape();
            let normal = Distribution::Normal(0.0, 0.02);
            *bias = Param::from_tensor(Tensor::random(shape, normal, &Device::flex()));
        }
        let packed = pack(&student, PackOptions::default()).unwrap();
        assert_eq!(packed.exact_storage(), storage);
        let bytes = packed.to_bytes(storage).unwrap();
        assert_eq!(PackedFile::from_bytes(&bytes).unwrap(), packed);
        // What the student adds is what the file holds.
        let shift = student.blocks[1].attention.attention_shift.value();
        let shift = shift.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(packed.network.blocks[1].attention.attention_shift, shift);
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap());
        let counted = config.cost(Phase::Stage2).unwrap().total.packed_bytes;
        assert_eq!(bytes.len() as u64 - header, counted);
        sizes.push(counted);
    }
    // Four blocks of 4 heads and 18 tokens; 8 bits have a step for each head.
    let elements = 4 * 4 * 18 * 18;
    assert_eq!(sizes[2] - sizes[1], 2 * elements);
    assert_eq!(sizes[2] - sizes[0], 3 * elements - 4 * 4 * 4);
}

#[test]
fn some_variants_of_the_model_have_no_packed_form() {
    let complaint = |config: VitConfig| {
        pack(&student(&config), PackOptions::default())
            .unwrap_err()
            .to_string()
    };
    let levels = VitConfig::micro()
        .with_attention_groups(1)
        .with_attention_bits(3);
    assert_eq!(
        complaint(levels),
        "cannot pack attention_bits: packed attention matrices have levels of at most 2 bits"
    );
    assert_eq!(
        complaint(VitConfig::micro().with_token_shifts(true)),
        "cannot pack token_shifts: packed networks add no copies of neighbouring tokens"
    );
}

#[test]
fn a_student_is_packed_as_the_binary_one_that_it_becomes() {
    let packed = |student: &Stage2Student| {
        let file = pack(student, PackOptions::default()).unwrap();
        file.to_bytes(ShiftStorage::F32).unwrap()
    };
    let student = micro();
    let blended = student.clone().with_blend(Blend::new(0.5));
    assert_eq!(packed(&blended), packed(&student));
}
