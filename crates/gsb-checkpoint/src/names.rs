//! What wrappers of a model add to the names of its tensors.

use crate::{Found, Take};

/// What wrappers put before or into names, at any place.
const INSIDE: [&str; 5] = [
    // torch.compile
    "_orig_mod",
    // FullyShardedDataParallel, and checkpointing of activations
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_checkpoint_wrapped_module",
    // Lightning Fabric
    "_forward_module",
];

/// What wrappers put before all names.
const WRAPPERS: [&str; 20] = [
    "module",
    "model",
    "_model",
    "net",
    "network",
    "backbone",
    "encoder",
    "student",
    "student_model",
    "state_dict",
    "model_state_dict",
    "base_model",
    "inner_model",
    "wrapped_model",
    "online_model",
    "classifier_model",
    "vit",
    "deit",
    "transformer",
    "visual",
];

/// Ends of names that are of no model: the counters of profilers and of averages.
const COUNTERS: [&str; 5] = [
    "total_ops",
    "total_params",
    "n_averaged",
    "num_updates",
    "initted",
];

/// Beginnings of names that are of no model, but of what trains or measures it.
const TRAINING: [&str; 13] = [
    "criterion",
    "loss",
    "losses",
    "loss_fn",
    "loss_func",
    "loss_function",
    "train_loss",
    "val_loss",
    "metric",
    "metrics",
    "train_metrics",
    "val_metrics",
    "test_metrics",
];

/// Beginnings of the names of a teacher beside its student.
const TEACHERS: [&str; 3] = ["teacher", "teacher_model", "model_teacher"];

/// How many prefixes are taken off, one after another.
const MAX_PREFIXES: usize = 16;

/// The longest key or prefix that is shown.
const SHOWN: usize = 80;

/// Whether a tensor of this name is a counter that profilers, averages or normalizations leave in a
/// state dict, and no weight.
///
/// ```
/// assert!(gsb_checkpoint::is_leftover("blocks.0.attn.total_ops"));
/// assert!(gsb_checkpoint::is_leftover("norm.num_batches_tracked"));
/// assert!(!gsb_checkpoint::is_leftover("norm.weight"));
/// ```
pub fn is_leftover(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    COUNTERS.contains(&last) || last == "num_batches_tracked"
}

/// Whether a key or prefix says that what is behind it is an average of weights, such as `model_ema`.
pub(crate) fn is_average(key: &str) -> bool {
    key.split(['_', '-', '.']).any(|part| {
        ["ema", "swa", "averaged", "average", "shadow", "polyak"]
            .iter()
            .any(|known| part.eq_ignore_ascii_case(known))
    })
}

/// A key as it is shown.
pub(crate) fn shortened(key: &str) -> String {
    match key.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &key[..end]),
        None => key.into(),
    }
}

/// The names that are left of those of a state dict, in its order; none for what is left out.
pub(crate) struct Tidied {
    pub names: Vec<Option<String>>,
}

/// A name on its way.
struct Name<'a> {
    full: &'a str,
    rest: String,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Of the model, behind all prefixes so far.
    Inside,
    /// Not behind a prefix that most have.
    Outside,
    Ignored,
    /// Of weights or an average that is not taken.
    Left,
}

/// Takes off what wrappers added, and says so in `found`. None if an average is asked for and none of
/// the names is of one.
pub(crate) fn tidy(names: Vec<&str>, take: Take, found: &mut Found) -> Option<Tidied> {
    let mut names: Vec<Name> = names
        .into_iter()
        .map(|full| Name {
            full,
            rest: outside_in(full, found),
            state: State::Inside,
        })
        .collect();
    for name in &mut names {
        if name.last().is_some_and(|last| COUNTERS.contains(&last)) {
            name.state = State::Ignored;
        }
    }
    let mut take = take;
    for _ in 0..MAX_PREFIXES {
        set_aside(&mut names, &mut take, found);
        let Some(prefix) = prefix(&names) else { break };
        found.average |= is_average(&prefix);
        for name in inside(&mut names) {
            match name.behind(&prefix) {
                Some(rest) => name.rest = rest.into(),
                None if is_leftover(&name.rest) => {}
                None => name.state = State::Outside,
            }
        }
        found.prefixes.push(format!("{}.", shortened(&prefix)));
    }
    if take == Take::Average && !found.average {
        return None;
    }
    let ignored = names.iter().filter(|name| name.state == State::Ignored);
    found.ignored.extend(ignored.map(|name| name.full.into()));
    let kept = names.into_iter().map(|name| {
        let kept = matches!(name.state, State::Inside | State::Outside);
        kept.then_some(name.rest)
    });
    Some(Tidied {
        names: kept.collect(),
    })
}

impl Name<'_> {
    fn first(&self) -> Option<&str> {
        Some(self.rest.split_once('.')?.0)
    }

    fn last(&self) -> Option<&str> {
        self.rest.rsplit('.').next()
    }

    fn behind(&self, prefix: &str) -> Option<&str> {
        self.rest.strip_prefix(prefix)?.strip_prefix('.')
    }
}

fn inside<'n, 'a>(names: &'n mut [Name<'a>]) -> impl Iterator<Item = &'n mut Name<'a>> {
    names.iter_mut().filter(|name| name.state == State::Inside)
}

/// A name without what wrappers put into it anywhere.
fn outside_in(name: &str, found: &mut Found) -> String {
    if !INSIDE.iter().any(|inside| name.contains(inside)) {
        return name.into();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('.') {
        if !INSIDE.contains(&part) {
            parts.push(part);
            continue;
        }
        let prefix = format!("{part}.");
        if !found.prefixes.contains(&prefix) {
            found.prefixes.push(prefix);
        }
    }
    parts.join(".")
}

/// Leaves out what is not of the model that is asked for: parts of the training, a teacher, the
/// average of the weights or the weights themselves.
fn set_aside(names: &mut [Name], take: &mut Take, found: &mut Found) {
    let is_one_of =
        |name: &Name, known: &[&str]| name.first().is_some_and(|first| known.contains(&first));
    let of_average = |name: &Name| name.first().is_some_and(is_average);
    for name in inside(names) {
        if is_one_of(name, &TRAINING) {
            name.state = State::Ignored;
        }
    }
    let others = |names: &[Name], one: &dyn Fn(&Name) -> bool| {
        let mut inside = names.iter().filter(|name| name.state == State::Inside);
        inside.any(|name| !one(name) && name.first().is_some())
    };
    if others(names, &|name| is_one_of(name, &TEACHERS)) {
        for name in inside(names).filter(|name| is_one_of(name, &TEACHERS)) {
            name.state = State::Ignored;
        }
    }
    let averages = names
        .iter()
        .filter(|name| name.state == State::Inside && of_average(name));
    let Some(average) = averages.filter_map(Name::first).next() else {
        return;
    };
    let average = average.to_owned();
    if !others(names, &of_average) {
        return;
    }
    let taken = *take == Take::Average;
    for name in inside(names) {
        if of_average(name) != taken {
            name.state = State::Left;
        }
    }
    if taken {
        // The weights beside it are no average to be looked for any more.
        found.average = true;
        *take = Take::Weights;
    } else {
        found.averages.push(format!("{}.", shortened(&average)));
    }
}

/// Whether a tensor is of a layer of the encoder of Hugging Face's and torchvision's models, which is no
/// wrapper.
fn is_layer(name: &Name) -> bool {
    let rest = name.behind("encoder");
    rest.is_some_and(|rest| rest.starts_with("layer.") || rest.starts_with("layers."))
}

/// What most names of the model begin with, if that is a wrapper's, or all of them do.
fn prefix(names: &[Name]) -> Option<String> {
    let of_model = || {
        names
            .iter()
            .filter(|name| name.state == State::Inside && !is_leftover(&name.rest))
    };
    let count = of_model().count();
    let behind = |first: &str| {
        of_model()
            .filter(|name| name.behind(first).is_some())
            .count()
    };
    let known = WRAPPERS.into_iter().find(|first| {
        2 * behind(first) > count && !(*first == "encoder" && of_model().any(is_layer))
    });
    if let Some(first) = known {
        return Some(first.into());
    }
    let first = of_model().next()?.first()?;
    // One name alone tells nothing.
    (count > 1 && behind(first) == count).then(|| first.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(names: &[&str], take: Take) -> (Vec<String>, Found) {
        let mut found = Found::default();
        let tidied = tidy(names.to_vec(), take, &mut found).expect("there is what was asked for");
        (tidied.names.into_iter().flatten().collect(), found)
    }

    /// The names that each list becomes, and what was taken off.
    #[test]
    fn stacks_of_wrappers() {
        for (prefix, expected) in [
            ("", &[][..]),
            ("module.", &["module."]),
            ("_orig_mod.", &["_orig_mod."]),
            ("module._orig_mod.", &["_orig_mod.", "module."]),
            ("_orig_mod.module.", &["_orig_mod.", "module."]),
            (
                "module._orig_mod.model.",
                &["_orig_mod.", "module.", "model."],
            ),
            ("model.net.backbone.", &["model.", "net.", "backbone."]),
            ("encoder.", &["encoder."]),
            ("my_own_vit.", &["my_own_vit."]),
            ("model_ema.module.", &["model_ema.", "module."]),
            ("teacher.", &["teacher."]),
        ] {
            let names = [
                "cls_token",
                "blocks.0.norm1.weight",
                "blocks.1.norm1.weight",
            ];
            let wrapped = names.map(|name| format!("{prefix}{name}"));
            // With and without a counter outside.
            for counter in [None, Some("n_averaged"), Some("criterion.weight")] {
                let all = wrapped.iter().map(String::as_str).chain(counter);
                let (left, found) = tidied(&all.collect::<Vec<_>>(), Take::Weights);
                assert_eq!(left, names, "{prefix}");
                assert_eq!(found.prefixes, expected, "{prefix}");
                assert_eq!(found.ignored, Vec::from_iter(counter));
                assert_eq!(found.average, prefix.starts_with("model_ema"));
            }
        }
    }

    #[test]
    fn an_encoder_of_layers_is_no_wrapper() {
        for layers in ["layer.", "layers.encoder_layer_"] {
            let names = [
                "vit.embeddings.cls_token".to_string(),
                format!("vit.encoder.{layers}0.norm1.weight"),
                format!("vit.encoder.{layers}1.norm1.weight"),
            ];
            let (left, found) = tidied(&names.each_ref().map(String::as_str), Take::Weights);
            assert_eq!(left, names.map(|name| name.replace("vit.", "")));
            assert_eq!(found.prefixes, ["vit."]);
        }
    }

    #[test]
    fn wrappers_inside_names() {
        let names = [
            "cls_token",
            "blocks.0._orig_mod.norm1.weight",
            "blocks.1._fsdp_wrapped_module.a",
        ];
        let (left, found) = tidied(&names, Take::Weights);
        assert_eq!(left, ["cls_token", "blocks.0.norm1.weight", "blocks.1.a"]);
        assert_eq!(found.prefixes, ["_orig_mod.", "_fsdp_wrapped_module."]);
    }

    #[test]
    fn what_is_of_no_model_is_named() {
        let names = [
            "student.cls_token",
            "student.head.weight",
            "student.head.total_ops",
            "student.norm.num_batches_tracked",
            "teacher.cls_token",
            "teacher.head.weight",
            "teacher.head.bias",
            "teacher.norm.bias",
            "total_params",
            "loss_fn.weight",
            "extra.weight",
        ];
        let (left, found) = tidied(&names, Take::Weights);
        assert_eq!(
            left,
            [
                "cls_token",
                "head.weight",
                "norm.num_batches_tracked",
                "extra.weight"
            ]
        );
        assert_eq!(found.prefixes, ["student."]);
        assert_eq!(
            found.ignored,
            [2, 4, 5, 6, 7, 8, 9].map(|at: usize| names[at])
        );
    }

    #[test]
    fn an_average_among_the_names() {
        let names = [
            "model.cls_token",
            "model.b.w",
            "ema_model.module.cls_token",
            "ema_model.module.b.w",
        ];
        let (left, found) = tidied(&names, Take::Weights);
        assert_eq!(
            (left, found.average),
            (vec!["cls_token".into(), "b.w".into()], false)
        );
        assert_eq!(
            (found.averages, found.prefixes),
            (vec!["ema_model.".into()], vec!["model.".into()])
        );
        let (left, found) = tidied(&names, Take::Average);
        assert_eq!(
            (left, found.average),
            (vec!["cls_token".into(), "b.w".into()], true)
        );
        assert_eq!(found.prefixes, ["ema_model.", "module."]);
        assert!(tidy(vec!["a.b", "a.c"], Take::Average, &mut Found::default()).is_none());
    }
}
