//! What other Vision Transformers have that no model here does.

use serde_json::Value;

/// Parts of names, and what they are of.
const PARTS: [(&[&str], &str); 11] = [
    (&["reg_token", "register_tokens"], "register tokens"),
    (
        &["q_norm", "k_norm", "query_norm", "key_norm"],
        "a normalization of query and key",
    ),
    // Not to be taken for none: a bias of 0 would be another function.
    (&["q_bias", "v_bias"], "biases of query and value alone"),
    (
        &[
            "w12",
            "fc1_g",
            "fc1_x",
            "weights_in",
            "weights_out",
            "gate_proj",
            "up_proj",
        ],
        "a gated MLP (SwiGLU)",
    ),
    (
        &[
            "relative_position_bias",
            "relative_position_bias_table",
            "shared_position_bias",
            "rel_pos",
            "rel_pos_bias",
            "rel_pos_h",
            "rel_pos_w",
            "shared_rel_pos",
        ],
        "relative positions",
    ),
    (
        &[
            "rope",
            "rope_embed",
            "rope_embeddings",
            "freqs_cis",
            "rotary_emb",
        ],
        "rotary positions",
    ),
    (
        &["norm_pre", "ln_pre", "pre_layrnorm", "pre_layernorm"],
        "a normalization before the first block",
    ),
    (
        &["fc_norm"],
        "the mean of the patches in the place of the class token",
    ),
    (
        &["attn_pool"],
        "attention in the place of the class token before the head",
    ),
    (
        &["pre_logits"],
        "a layer between the class token and the head",
    ),
    (&["attns", "ffns"], "several attentions side by side"),
];

/// What the model with a tensor of this name has and none here does.
pub(super) fn by_name(name: &str) -> Option<&'static str> {
    let inside = |parent: &str| name.contains(&format!(".{parent}.norm."));
    if inside("attn") || inside("mlp") {
        return Some("a normalization inside of attention or MLP");
    }
    if name.starts_with("patch_embed.backbone.") {
        return Some("a convolutional network before the patches");
    }
    let mut parts = name.split('.');
    parts.find_map(|part| {
        let row = PARTS.iter().find(|(known, _)| known.contains(&part));
        row.map(|&(_, reason)| reason)
    })
}

/// What a configuration of timm or Hugging Face says that no model here computes.
pub(in super::super) fn by_config(config: &Value) -> Option<String> {
    let text = |at: &str| config.pointer(at).and_then(Value::as_str);
    let activation = text("/hidden_act")
        .or_else(|| text("/model_args/act_layer"))
        .or_else(|| text("/architecture").filter(|name| name.contains("quickgelu")));
    if let Some(activation) = activation
        && !["gelu", "gelu_python"].contains(&activation)
    {
        return Some(format!(
            "the MLPs have the activation {activation}, expected gelu"
        ));
    }
    let pool = text("/model_args/global_pool").or_else(|| text("/global_pool"));
    if let Some(pool) = pool
        && !["token", ""].contains(&pool)
    {
        return Some(format!(
            "the head reads the tokens pooled by {pool:?}, expected the class token"
        ));
    }
    // Rotary positions have no tensor: of timm's models with layer scale, nothing else tells them from DeiT III.
    let is_rotary = |name: &str| name.split(['_', '.', '-']).any(|part| part == "rope");
    let rotates = config.pointer("/model_args/use_rot_pos_emb");
    if text("/architecture").is_some_and(is_rotary)
        || rotates.and_then(Value::as_bool) == Some(true)
    {
        return Some("the positions are rotary ones, expected learned ones alone".into());
    }
    None
}
