//! Where in a pickle the weights are.
//!
//! Training scripts save the state dict of a model as it is, or in a dictionary under one of many keys,
//! beside settings, an optimizer and averages of the weights. All dictionaries are looked at that can
//! be reached by text keys, and of those that hold tensors one is chosen by its keys and its size.

use crate::Take;
use crate::names::{is_average, shortened};
use crate::pickle::{Pickle, Value};

/// Keys under which training scripts keep the weights, those first that count more.
const KEYS: [&str; 22] = [
    "model",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model_dict",
    "model_weights",
    "net",
    "net_state_dict",
    "network",
    "network_state_dict",
    "module",
    "weights",
    "params",
    "parameters",
    "student",
    "student_state_dict",
    "backbone",
    "encoder",
    "vit",
    "checkpoint",
    "best_model",
    "best_state_dict",
];

/// How deep a state dict may lie: `checkpoint["callbacks"]["EMA"]["state"]["weights"]`.
const MAX_DEPTH: u8 = 4;

/// How many items of a list or tuple are looked at: `[settings, state_dict, optimizer]`.
const MAX_ITEMS: usize = 64;

/// A dictionary with fewer tensors than the largest's over this is of settings, whatever its key.
const SETTINGS: usize = 8;

/// Dictionaries listed that were not taken.
const LISTED: usize = 6;

/// The dictionary that was chosen.
pub(crate) struct StateDict {
    pub number: u32,
    /// Its keys from the top, joined by dots.
    pub key: Option<String>,
    pub average: bool,
    pub averages: Vec<String>,
    pub others: Vec<String>,
}

/// A dictionary, and how it is reached.
struct Node {
    dict: u32,
    /// The place of the node that it is in.
    parent: u32,
    step: Step,
    depth: u8,
    /// How many of its entries are tensors.
    tensors: u32,
}

#[derive(Clone, Copy)]
enum Step {
    /// It is everything.
    Root,
    Key(u32),
    /// The place in a list or tuple that is everything.
    Index(u32),
}

/// The dictionary of the weights, or of their average where that is asked for and has one of its own.
/// Fails with what there is instead.
pub(crate) fn find(pickle: &Pickle, take: Take) -> Result<StateDict, String> {
    let nodes = dictionaries(pickle);
    let candidates: Vec<Candidate> = (0..nodes.len())
        .filter(|&at| nodes[at].tensors > 0)
        .filter_map(|at| Candidate::of(pickle, &nodes, at))
        .collect();
    let best = |average: bool| {
        let group = || candidates.iter().filter(move |c| c.average == average);
        let largest = group().map(|c| c.tensors).max()?;
        group()
            .filter(|c| c.tensors.saturating_mul(SETTINGS) >= largest)
            .min_by_key(|c| {
                let unknown = if c.rank == KEYS.len() { c.tensors } else { 0 };
                (c.rank, std::cmp::Reverse(unknown), c.depth)
            })
    };
    let (weights, average) = (best(false), best(true));
    let chosen = match take {
        Take::Weights => weights.or(average),
        Take::Average => average.or(weights),
    };
    let chosen = chosen.ok_or_else(|| instead(pickle))?;
    let listed = |average: bool| {
        let large = chosen.tensors / SETTINGS;
        candidates
            .iter()
            .filter(|c| c.average == average && c.at != chosen.at && c.tensors > large)
            .take(LISTED)
            .filter_map(|c| path(pickle, &nodes, c.at))
            .collect()
    };
    Ok(StateDict {
        number: nodes[chosen.at].dict,
        key: path(pickle, &nodes, chosen.at),
        average: chosen.average,
        averages: listed(true),
        others: listed(false),
    })
}

/// All dictionaries that text keys lead to, and those that a list or tuple at the top holds.
fn dictionaries(pickle: &Pickle) -> Vec<Node> {
    let root = pickle.root();
    let node = |dict, parent, step, depth| Node {
        dict,
        parent,
        step,
        depth,
        tensors: 0,
    };
    let mut nodes = match root {
        Value::Dict(dict) => vec![node(dict, 0, Step::Root, 0)],
        sequence => (0..)
            .zip(pickle.sequence(sequence).unwrap_or_default())
            .take(MAX_ITEMS)
            .filter_map(|(index, item)| match item {
                Value::Dict(dict) => Some(node(*dict, 0, Step::Index(index), 0)),
                _ => None,
            })
            .collect(),
    };
    let mut seen = vec![false; pickle.dicts() + 1];
    nodes.retain(|node| match seen.get_mut(node.dict as usize) {
        Some(seen) => !std::mem::replace(seen, true),
        None => false,
    });
    let mut at = 0;
    while at < nodes.len() {
        let (dict, depth) = (nodes[at].dict, nodes[at].depth);
        for (key, value) in pickle.keyed(dict) {
            if pickle.is_tensor(value) {
                nodes[at].tensors += 1;
            } else if let Value::Dict(inner) = value
                && depth < MAX_DEPTH
                // Those without entries are not counted.
                && seen.get(inner as usize) == Some(&false)
            {
                seen[inner as usize] = true;
                nodes.push(node(inner, at as u32, Step::Key(key), depth + 1));
            }
        }
        at += 1;
    }
    nodes
}

/// A dictionary with tensors.
struct Candidate {
    at: usize,
    /// The place of its best key among the known ones.
    rank: usize,
    depth: u8,
    tensors: usize,
    average: bool,
}

impl Candidate {
    /// None for what belongs to an optimizer.
    fn of(pickle: &Pickle, nodes: &[Node], at: usize) -> Option<Self> {
        let mut candidate = Self {
            at,
            rank: KEYS.len(),
            depth: nodes[at].depth,
            tensors: nodes[at].tensors as usize,
            average: false,
        };
        for step in steps(nodes, at) {
            let Step::Key(key) = step else { continue };
            let key = pickle.key(key).to_lowercase();
            if ["optim", "sched", "scaler"]
                .iter()
                .any(|part| key.contains(part))
            {
                return None;
            }
            candidate.average |= is_average(&key);
            let rank = KEYS.iter().position(|&known| known == key);
            candidate.rank = candidate.rank.min(rank.unwrap_or(KEYS.len()));
        }
        Some(candidate)
    }
}

/// The steps to a dictionary, the last first.
fn steps(nodes: &[Node], at: usize) -> impl Iterator<Item = Step> {
    let mut next = Some(at);
    std::iter::from_fn(move || {
        let node = &nodes[next?];
        next = matches!(node.step, Step::Key(_)).then_some(node.parent as usize);
        Some(node.step)
    })
}

/// The keys to a dictionary, joined by dots; none for the whole.
fn path(pickle: &Pickle, nodes: &[Node], at: usize) -> Option<String> {
    let mut keys: Vec<String> = steps(nodes, at)
        .filter_map(|step| match step {
            Step::Root => None,
            Step::Key(key) => Some(shortened(pickle.key(key))),
            Step::Index(index) => Some(format!("[{index}]")),
        })
        .collect();
    keys.reverse();
    (!keys.is_empty()).then(|| keys.join("."))
}

/// What a pickle without a state dict holds.
fn instead(pickle: &Pickle) -> String {
    let module = |value: Value, place: &str| {
        let class = pickle.foreign(value).map(shortened);
        let class = class.filter(|_| matches!(value, Value::Object(_)))?;
        Some(format!(
            "{place} is a whole pickled object ({class}), not its weights: save the state_dict instead, \
             torch.save(model.state_dict(), FILE)"
        ))
    };
    let root = pickle.root();
    if let Some(reason) = module(root, "what was saved") {
        return reason;
    }
    let top = match root {
        Value::Dict(dict) => dict,
        Value::Call(_) => return "a single tensor, expected a state_dict with their names".into(),
        _ => 0,
    };
    let under = |(key, value): (&str, Value)| {
        let known = KEYS.contains(&key) || is_average(key);
        known.then(|| module(value, &format!("{key:?}"))).flatten()
    };
    pickle.items(top).find_map(under).unwrap_or_else(|| {
        "expected a dictionary of tensors by name, as model.state_dict() gives".into()
    })
}
