//! Plain Vision Transformers of other libraries, under the published names.
//!
//! What is named otherwise is renamed, and what the teacher has no layer for is multiplied into the layers
//! that it has, so that the same is computed. What cannot be said so is refused.

mod family;
mod fold;
mod refused;
mod translation;

use family::{Family, is_unused};
pub(super) use refused::by_config;
use translation::Tensors;
pub(super) use translation::Translation;

/// What marks a student, whose tensors have the published names.
const STUDENT: [&str; 2] = ["patch_embed.proj.alpha", "patch_embed.norm.running_mean"];

/// The tensors under the published names. Those of students and of what is not known stay as they are.
///
/// # Errors
/// What no model here computes, by name, or what is missing of a layer.
pub(super) fn translate(tensors: Tensors) -> Result<(Tensors, Translation), String> {
    if STUDENT.iter().any(|name| tensors.contains_key(*name)) {
        return Ok((tensors, Translation::default()));
    }
    for name in tensors.keys() {
        if let Some(what) = refused::by_name(name) {
            return Err(format!("{name} is of {what}, which no model here has"));
        }
    }
    let Some((family, prefix)) = Family::of(tensors.keys().map(String::as_str)) else {
        return Ok((tensors, Translation::default()));
    };
    let prefix = prefix.to_string();
    let mut translation = Translation {
        epsilon: Some((family.epsilon, family.name)),
        rotary_alike: family.is_rotary_alike(tensors.keys().map(String::as_str)),
        ..Translation::default()
    };
    if !family.is_published() {
        let note = format!("translated from the names of {}", family.name);
        translation.notes.push(note);
    }
    let mut published = renamed(tensors, family, &prefix, &mut translation)?;
    fold::all(&mut published, &mut translation)?;
    Ok((published, translation))
}

/// The tensors under the published names, without those that nothing uses.
fn renamed(
    tensors: Tensors,
    family: &Family,
    prefix: &str,
    translation: &mut Translation,
) -> Result<Tensors, String> {
    let mut published = Tensors::new();
    for (name, data) in tensors {
        let bare = name.strip_prefix(prefix).unwrap_or(&name);
        if is_unused(bare) {
            translation.ignored.push(name);
            continue;
        }
        let to = family.published(bare);
        if published.insert(to.clone(), data).is_some() {
            return Err(format!("{name} and another tensor are both {to}"));
        }
    }
    Ok(published)
}
