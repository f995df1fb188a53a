//! The tables of the book.

use super::*;

/// Three significant digits, and the unit of thousands.
fn short(number: f64) -> String {
    let (value, unit) = match number {
        n if n >= 999.5e6 => (n / 1e9, " G"),
        n if n >= 999.5e3 => (n / 1e6, " M"),
        n if n >= 999.5 => (n / 1e3, " k"),
        n => return format!("{n:.0}"),
    };
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

fn row(title: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {title} | {} |\n", cells.join(" | "))
}

/// Parameters and GMACs of timm's model cards beside the counted ones.
fn published() -> String {
    let mut text = String::from(
        "| float model | parameters: published, M | counted | GMACs: published | counted |\n\
         | --- | --: | --: | --: | --: |\n",
    );
    for (name, parameters, gmacs) in [
        ("deit_tiny_patch16_224", "5.7", "1.3"),
        ("deit_small_patch16_224", "22.1", "4.6"),
        ("deit_base_patch16_224", "86.6", "17.6"),
        ("deit_base_patch16_384", "86.9", "55.5"),
    ] {
        let total = deit(name).cost(Phase::Teacher).unwrap().total;
        let millions = total.total_parameters() as f64 / 1e6;
        let giga = total.operations() / 1e9;
        text += &row(
            &format!("`{name}`"),
            [
                parameters.into(),
                format!("{millions:.3}"),
                gmacs.into(),
                format!("{giga:.3}"),
            ],
        );
    }
    text
}

fn sizes() -> String {
    let mut text = String::from(
        "| model | parameters | 1 bit | 8 bits | 32 bits | packed bytes | BOPs | int MACs | FLOPs | OPs | elementwise |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for (letter, size) in [("T", "tiny"), ("S", "small"), ("B", "base")] {
        for (phase, title) in [
            (Phase::Teacher, "float"),
            (Phase::Stage1, "stage 1"),
            (Phase::Stage2, "stage 2"),
        ] {
            let config = deit(&format!("deit_{size}_distilled_patch16_224"));
            let total = config.cost(phase).unwrap().total;
            let of_bits = |bits| total.parameters.get(&bits).copied().unwrap_or(0);
            let cells = [
                total.total_parameters(),
                of_bits(1),
                of_bits(8),
                of_bits(32),
                total.packed_bytes,
                total.binary_macs,
                total.integer_macs,
                total.float_macs,
                total.operations() as u64,
                total.elementwise,
            ];
            text += &row(
                &format!("DeiT-{letter} {title}"),
                cells.map(|number| short(number as f64)),
            );
        }
    }
    text
}

fn groups() -> String {
    let mut text = String::from(
        "| groups: attention, value | products | BOPs | OPs | elementwise |\n\
         | --- | --: | --: | --: | --: |\n",
    );
    for (a, v) in [(1, 1), (3, 1), (1, 3), (2, 2), (3, 3)] {
        let config = deit("deit_small_distilled_patch16_224")
            .with_attention_groups(a)
            .with_value_groups(v);
        let total = config.cost(Phase::Stage2).unwrap().total;
        let cells = [
            total.binary_macs as f64,
            total.operations(),
            total.elementwise as f64,
        ];
        let products = [(a * v).to_string()];
        text += &row(
            &format!("{a}, {v}"),
            products.into_iter().chain(cells.map(short)),
        );
    }
    text
}

fn images() -> String {
    let mut text = String::from(
        "| image | tokens | float: OPs | stage 2: OPs | of it the products of the attention | attention shift |\n\
         | --- | --: | --: | --: | --: | --: |\n",
    );
    for image_size in [224, 384, 512] {
        let config = VitConfig {
            image_size,
            ..deit("deit_small_distilled_patch16_224")
        };
        let teacher = config.cost(Phase::Teacher).unwrap().total;
        let stage2 = config.cost(Phase::Stage2).unwrap();
        let sum = |names: &[&str]| -> Amount {
            let layers = stage2.layers.iter();
            let named = layers.filter(|layer| names.iter().any(|name| layer.name.ends_with(name)));
            named.map(|layer| &layer.amount).sum()
        };
        let products = sum(&[".scores", ".attended"]).operations();
        let shift = sum(&[".attention_shift"]).packed_bytes;
        text += &row(
            &format!("{image_size} x {image_size}"),
            [
                config.tokens().to_string(),
                short(teacher.operations()),
                short(stage2.total.operations()),
                short(products),
                format!("{}B", short(shift as f64)),
            ],
        );
    }
    text
}

fn layers() -> String {
    let cost = deit("deit_small_distilled_patch16_224").cost(Phase::Stage2);
    format!("```text\n{}\n```\n", cost.unwrap())
}

#[test]
fn figures_of_the_book_are_the_computed_ones() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/cost.md");
    let chapter = std::fs::read_to_string(path).unwrap();
    for table in [published(), sizes(), groups(), images(), layers()] {
        assert!(
            chapter.contains(&table),
            "docs/src/cost.md lacks\n\n{table}"
        );
    }
}
