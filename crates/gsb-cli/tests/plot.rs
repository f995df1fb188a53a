//! Curves of runs and of tables.

mod program;

use program::{fails, folder, gsb, succeeds};
use serde_json::json;

#[test]
fn tables_are_drawn_over_their_training_images() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    for (name, images, top1) in [("many", 600, [90.0, 94.0]), ("few", 50, [60.0, 70.0])] {
        let student = json!({
            "attention_groups": 3, "value_groups": 3, "distilled": true, "stages": 2,
            "scope": "Row", "initial_scales": "residual",
        });
        let table = json!({
            "seeds": [0, 1],
            "training_images": images,
            "rows": [
                { "variant": null, "top1": [97.0, 98.0] },
                { "variant": student, "top1": top1 },
            ],
        });
        std::fs::create_dir(path(name)).expect("a folder");
        std::fs::write(path(name).join("table.json"), table.to_string()).expect("written");
    }
    let said = succeeds(gsb(folder.path()).args(["plot", "many", "few", "-o", "out.svg"]));
    assert_eq!(said, "2 tables drawn to out.svg\n");
    let svg = std::fs::read_to_string(path("out.svg")).expect("a picture");
    for text in ["training images", "float", "GSB both, distilled, 2 stages"] {
        assert!(svg.contains(text), "{text}");
    }
    // Two curves of two points, in the order of the images and not of the folders, each point with a bar.
    let curves = || {
        svg.lines()
            .filter(|line| line.starts_with("<polyline") && line.contains("stroke-width=\"2\""))
    };
    let xs = |line: &str| {
        let points = line
            .split("points=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let points = points.expect("points").split_whitespace();
        let x = |point: &str| point.split(',').next().and_then(|x| x.parse::<f64>().ok());
        points
            .map(|point| x(point).expect("a number"))
            .collect::<Vec<_>>()
    };
    let upright = curves().filter(|line| xs(line).windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(upright.count(), 4, "{svg}");
    let forward = curves().filter(|line| xs(line).windows(2).all(|pair| pair[0] < pair[1]));
    // Two in the legend.
    assert_eq!(forward.count(), 2 + 2, "{svg}");

    std::fs::create_dir(path("run")).expect("a folder");
    let said = fails(gsb(folder.path()).args(["plot", "few", "run", "-o", "out.svg"]));
    assert!(said.contains("1 of tables among 2"), "{said}");
    // More names than fit among the curves stand beside them, within the picture.
    let rows: Vec<_> = (0..32)
        .map(|index| {
            let bit = |place: u32| index >> place & 1;
            let student = json!({
                "attention_groups": 1 + 2 * bit(0), "value_groups": 1 + 2 * bit(1), "distilled": bit(2) == 1,
                "stages": 1 + bit(3), "scope": (["Row", "Batch"][bit(4)]), "initial_scales": "residual",
            });
            json!({ "variant": student, "top1": [60.0 + index as f64] })
        })
        .collect();
    let long = json!({ "seeds": [0], "training_images": 20, "rows": rows });
    std::fs::create_dir(path("long")).expect("a folder");
    std::fs::write(path("long/table.json"), long.to_string()).expect("written");
    succeeds(gsb(folder.path()).args(["plot", "long", "few", "-o", "long.svg"]));
    let svg = std::fs::read_to_string(path("long.svg")).expect("a picture");
    let height = svg
        .split("height=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let height: f64 = height
        .and_then(|height| height.parse().ok())
        .expect("a height");
    let texts = svg
        .split("<text ")
        .skip(1)
        .filter_map(|text| text.split("y=\"").nth(1)?.split('"').next());
    let lowest = texts.filter_map(|y| y.parse().ok()).fold(0.0, f64::max);
    assert!(
        lowest > 32.0 * 18.0 && lowest < height,
        "{lowest} of {height}"
    );

    let said = fails(gsb(folder.path()).args(["plot", "few", "few", "-o", "out.svg"]));
    assert!(said.contains("got two of 50"), "{said}");

    for rows in [json!([]), json!([{ "variant": null, "top1": [] }])] {
        let empty = json!({ "seeds": [0], "training_images": 400, "rows": rows });
        std::fs::write(path("few/table.json"), empty.to_string()).expect("written");
        let said = fails(gsb(folder.path()).args(["plot", "few", "-o", "out.svg"]));
        assert!(
            said.contains("few: expected a table with accuracies"),
            "{said}"
        );
    }
    std::fs::write(path("few/table.json"), "{}").expect("written");
    let said = fails(gsb(folder.path()).args(["plot", "few", "-o", "out.svg"]));
    assert!(said.contains("table.json"), "{said}");
}

#[test]
fn a_run_that_has_finished_no_epoch_is_not_drawn() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("run")).expect("a folder");
    std::fs::write(folder.path().join("run/log.jsonl"), "").expect("written");
    let said = fails(gsb(folder.path()).args(["plot", "run", "-o", "out.svg"]));
    assert!(
        said.contains("run: expected the folder of a run that has finished an epoch"),
        "{said}"
    );
    assert!(!folder.path().join("out.svg").exists());
}
