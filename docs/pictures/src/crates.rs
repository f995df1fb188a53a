//! The crates of the workspace and who uses whom, by `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::diagram::{Kind, Step, arrow, legend};
use crate::style::*;

const WIDTH: i32 = 990;
const BOX: (i32, i32) = (186, 84);
const LAYER: i32 = 132;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    description: Option<String>,
    publish: Option<Vec<String>>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<String>,
    kind: Option<String>,
}

/// A crate, what it is, and the crates that it uses and no other of them does.
struct Crate {
    description: String,
    /// Whether it uses Burn.
    burn: bool,
    uses: BTreeSet<String>,
}

type Crates = BTreeMap<String, Crate>;

/// The published crates. An arrow that others lead around is left out.
fn read() -> Result<Crates> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let published = metadata
        .packages
        .into_iter()
        .filter(|package| package.publish.is_none());
    let mut crates: Crates = published
        .map(|package| {
            let used = package
                .dependencies
                .into_iter()
                .filter(|d| d.kind.is_none());
            let (ours, others): (Vec<_>, Vec<_>) = used.partition(|d| d.path.is_some());
            let of = Crate {
                description: package.description.unwrap_or_default(),
                burn: others.iter().any(|dependency| dependency.name == "burn"),
                uses: ours.into_iter().map(|dependency| dependency.name).collect(),
            };
            (package.name, of)
        })
        .collect();
    let reached: BTreeMap<String, BTreeSet<String>> = crates
        .iter()
        .map(|(name, of)| {
            let behind = of.uses.iter().flat_map(|used| below(&crates, used));
            (name.clone(), behind.collect())
        })
        .collect();
    for (name, of) in &mut crates {
        of.uses.retain(|used| !reached[name].contains(used));
    }
    Ok(crates)
}

/// All that a crate uses, directly or through others.
fn below(crates: &Crates, name: &str) -> BTreeSet<String> {
    let uses = &crates[name].uses;
    let deeper = uses.iter().flat_map(|used| below(crates, used));
    uses.iter().cloned().chain(deeper).collect()
}

/// The longest way from a crate down to one that uses no other.
fn height(crates: &Crates, name: &str) -> usize {
    let uses = crates[name].uses.iter();
    uses.map(|used| height(crates, used) + 1).max().unwrap_or(0)
}

/// A crate in its layer, or a place there for an arrow that goes on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    name: String,
    /// The crate that the arrow leads to.
    towards: Option<String>,
    layer: usize,
}

struct Layout {
    /// From the bottom up, each from the left.
    layers: Vec<Vec<Node>>,
    /// Each from one layer to the next one below.
    edges: Vec<(Node, Node)>,
}

/// Crates above all that they use, in an order with few crossings (Sugiyama's method).
fn layout(crates: &Crates) -> Layout {
    let heights: BTreeMap<&String, usize> = crates
        .keys()
        .map(|name| (name, height(crates, name)))
        .collect();
    let crate_of = |name: &String| Node {
        name: name.clone(),
        towards: None,
        layer: heights[name],
    };
    let top = heights.values().copied().max().unwrap_or(0);
    let mut layers = vec![Vec::new(); top + 1];
    let mut edges = Vec::new();
    for (name, of) in crates {
        layers[heights[name]].push(crate_of(name));
        for used in &of.uses {
            let mut from = crate_of(name);
            for layer in (heights[used] + 1..heights[name]).rev() {
                let place = Node {
                    name: name.clone(),
                    towards: Some(used.clone()),
                    layer,
                };
                layers[layer].push(place.clone());
                edges.push((from, place.clone()));
                from = place;
            }
            edges.push((from, crate_of(used)));
        }
    }
    for sweep in 0..24 {
        let order: Vec<usize> = match sweep % 2 {
            0 => (1..=top).collect(),
            _ => (0..top).rev().collect(),
        };
        for layer in order {
            let fixed = if sweep % 2 == 0 { layer - 1 } else { layer + 1 };
            let places = places(&layers[fixed]);
            let middle = |node: &Node| {
                let neighbours = edges.iter().filter_map(|(above, below)| match node {
                    n if n == above => places.get(below),
                    n if n == below => places.get(above),
                    _ => None,
                });
                let (sum, count) = neighbours.fold((0, 0), |(s, n), place| (s + place, n + 1));
                if count == 0 { WIDTH / 2 } else { sum / count }
            };
            let mut nodes = layers[layer].clone();
            nodes.sort_by_key(|node| middle(node));
            layers[layer] = nodes;
        }
    }
    Layout { layers, edges }
}

/// The middle of each node of a layer.
fn places(layer: &[Node]) -> BTreeMap<&Node, i32> {
    let width = |node: &Node| if node.towards.is_some() { 24 } else { BOX.0 };
    let used: i32 = layer.iter().map(width).sum();
    let gap = (WIDTH - 20 - used) / (layer.len() as i32 + 1);
    let mut left = 10 + gap;
    let place = |node| {
        let middle = left + width(node) / 2;
        left += width(node) + gap;
        (node, middle)
    };
    layer.iter().map(place).collect()
}

/// What fits into a box of a description: its first words, in lines.
fn wrapped(description: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in description
        .split([',', ':'])
        .next()
        .unwrap_or_default()
        .split(' ')
    {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + word.len() > 27 {
            lines.push(word.to_owned());
        } else {
            let space = if lines[last].is_empty() { "" } else { " " };
            lines[last] += &format!("{space}{word}");
        }
    }
    lines.truncate(4);
    lines
}

/// The picture.
pub fn draw() -> Result<String> {
    let crates = read()?;
    let Layout { layers, edges } = layout(&crates);
    let size = (WIDTH, LAYER * layers.len() as i32 + 4);
    let bottom = size.1 - 40 - BOX.1 / 2;
    picture(
        size,
        "The crates of gsb and which of them use which",
        |area| {
            let at: BTreeMap<&Node, (i32, i32)> = layers
                .iter()
                .enumerate()
                .flat_map(|(k, layer)| {
                    let y = bottom - LAYER * k as i32;
                    places(layer)
                        .into_iter()
                        .map(move |(node, x)| (node, (x, y)))
                })
                .collect();
            let half = BOX.1 / 2;
            for (above, below) in &edges {
                let (from, to) = (at[above], at[below]);
                // Slanted between two layers, upright beside the boxes of one.
                let points = [(from.0, from.1 + half), (to.0, to.1 - half)];
                match below.towards {
                    Some(_) => line(area, &[points[0], points[1], (to.0, to.1 + half)], MUTED, 1)?,
                    None => arrow(area, &points, MUTED)?,
                }
            }
            for (node, place) in at.into_iter().filter(|(node, _)| node.towards.is_none()) {
                draw_crate(area, &node.name, &crates[&node.name], place)?;
            }
            legend(
                area,
                (WIDTH / 2 - 110, size.1 - 14),
                &[(Kind::Integer, "uses Burn"), (Kind::Bit, "without Burn")],
            )
        },
    )
}

fn draw_crate(area: &Area, name: &str, of: &Crate, (x, y): (i32, i32)) -> Result<()> {
    let lines = wrapped(&of.description);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let kind = if of.burn { Kind::Integer } else { Kind::Bit };
    Step {
        at: (x, y),
        size: BOX,
        kind,
        name,
        lines: &lines,
    }
    .draw(area)
}
