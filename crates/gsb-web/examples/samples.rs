//! The pictures of `web/models/samples.json`: of each digit the first two that `gsb train` holds out, as JSON.

use gsb_data::DataSet;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let held_out = gsb_data::digits()?.split(0.2, 0)?.test;
    let mut samples = Vec::new();
    for class in 0..held_out.classes().len() {
        let of_class = (0..held_out.len()).filter(|&index| held_out.label(index) == class);
        for index in of_class.take(2) {
            let pixels = held_out.image(index)?.pixels;
            samples.push(json!({ "label": class, "pixels": pixels }));
        }
    }
    println!("{}", json!(samples));
    Ok(())
}
