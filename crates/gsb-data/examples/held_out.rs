//! Digits that `gsb train` holds out, the first two of each class, as JSON: `web/models/samples.json`.

fn main() -> Result<(), gsb_data::Error> {
    let held_out = gsb_data::digits()?.split(0.2, 0)?.test;
    let mut samples = Vec::new();
    for label in 0..held_out.classes().len() {
        let of_class = (0..held_out.len()).filter(|&index| held_out.label(index) == label);
        for index in of_class.take(2) {
            let pixels = held_out.image(index)?.pixels;
            samples.push(format!("{{\"label\":{label},\"pixels\":{pixels:?}}}"));
        }
    }
    println!("[\n{}\n]", samples.join(",\n"));
    Ok(())
}
