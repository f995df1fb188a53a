//! Classifies raw pixels with a packed model and nothing else: `serve FILE PIXELS...`, each file of
//! pixels being height times width times channels bytes of the model's image size.

use gsb_packed::PackedModel;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, images) = arguments
        .split_first()
        .ok_or("usage: serve FILE PIXELS...")?;
    let model = PackedModel::open(file)?;
    for path in images {
        // A broken image is no reason to stop.
        match classify(&model, path) {
            Ok(class) => println!("{path}: {class}"),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    Ok(())
}

fn classify(model: &PackedModel, path: &str) -> Result<String, Box<dyn std::error::Error>> {
    let best = model.predict(&std::fs::read(path)?)?.top(1)[0];
    let name = &model.class_names()[best.class];
    Ok(format!("{name} ({:.1} %)", 100.0 * best.probability))
}
