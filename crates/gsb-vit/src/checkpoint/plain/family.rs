//! The names of plain Vision Transformers in other libraries, and what they are called here: the one
//! place that knows both.

/// A library's name of a layer or tensor, and the published one. A layer's stands for its weight and
/// its bias.
type Row = (&'static str, &'static str);

/// The names of one library.
pub(super) struct Family {
    /// Whose they are, for messages.
    pub name: &'static str,
    /// What its normalizations add to the variance unless a configuration says otherwise.
    pub epsilon: f64,
    /// The end of a name that no other family has.
    mark: &'static str,
    /// The weight of the patch embedding; what stands before it stands before all names but those of
    /// heads.
    patches: &'static str,
    /// What stands before the number of a block.
    blocks: &'static [&'static str],
    model: &'static [Row],
    block: &'static [&'static [Row]],
}

/// Tensors that no classifier uses: of pretraining, and of a pooler that the heads pass by.
const UNUSED: [&str; 4] = [
    "mask_token",
    "embeddings.mask_token",
    "pooler.dense.weight",
    "pooler.dense.bias",
];

const HUGGING_FACE: &[Row] = &[
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.distillation_token", "dist_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("layernorm", "norm"),
    ("classifier", "head"),
    ("cls_classifier", "head"),
    ("distillation_classifier", "head_dist"),
];

const HUGGING_FACE_PATCHES: &str = "embeddings.patch_embeddings.projection.weight";
/// Before version 5 of transformers and in the files that it writes, and in its models since.
const HUGGING_FACE_BLOCKS: &[&str] = &["encoder.layer.", "layers."];

const HUGGING_FACE_ATTENTION: &[Row] = &[
    ("attention.attention.query", "attn.query"),
    ("attention.attention.key", "attn.key"),
    ("attention.attention.value", "attn.value"),
    ("attention.output.dense", "attn.proj"),
    ("attention.q_proj", "attn.query"),
    ("attention.k_proj", "attn.key"),
    ("attention.v_proj", "attn.value"),
    ("attention.o_proj", "attn.proj"),
];

const VIT: Family = Family {
    name: "Hugging Face's ViT and DeiT",
    epsilon: 1e-12,
    mark: ".layernorm_before.weight",
    patches: HUGGING_FACE_PATCHES,
    blocks: HUGGING_FACE_BLOCKS,
    model: HUGGING_FACE,
    block: &[
        HUGGING_FACE_ATTENTION,
        &[
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
        ],
    ],
};

const DINOV2: Family = Family {
    name: "Hugging Face's Dinov2",
    epsilon: 1e-6,
    mark: ".layer_scale1.lambda1",
    patches: HUGGING_FACE_PATCHES,
    blocks: HUGGING_FACE_BLOCKS,
    model: HUGGING_FACE,
    block: &[
        HUGGING_FACE_ATTENTION,
        &[
            ("layer_scale1.lambda1", "ls1.gamma"),
            ("layer_scale2.lambda1", "ls2.gamma"),
        ],
    ],
};

const TORCHVISION: Family = Family {
    name: "torchvision",
    epsilon: 1e-6,
    mark: "conv_proj.weight",
    patches: "conv_proj.weight",
    blocks: &["encoder.layers.encoder_layer_"],
    model: &[
        ("class_token", "cls_token"),
        ("encoder.pos_embedding", "pos_embed"),
        ("conv_proj", "patch_embed.proj"),
        ("encoder.ln", "norm"),
        ("heads.head", "head"),
    ],
    block: &[&[
        ("ln_1", "norm1"),
        ("self_attention.in_proj_weight", "attn.qkv.weight"),
        ("self_attention.in_proj_bias", "attn.qkv.bias"),
        ("self_attention.out_proj", "attn.proj"),
        ("ln_2", "norm2"),
        ("mlp.0", "mlp.fc1"),
        ("mlp.3", "mlp.fc2"),
        ("mlp.linear_1", "mlp.fc1"),
        ("mlp.linear_2", "mlp.fc2"),
    ]],
};

/// The published names are timm's; DeiT III as its authors keep it has its own for layer scale.
const TIMM: Family = Family {
    name: "timm",
    epsilon: 1e-6,
    mark: "patch_embed.proj.weight",
    patches: "patch_embed.proj.weight",
    blocks: &["blocks."],
    model: &[],
    block: &[&[("gamma_1", "ls1.gamma"), ("gamma_2", "ls2.gamma")]],
};

impl Family {
    /// The family whose names these are, and what stands before them.
    pub fn of<'a>(
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<(&'static Self, &'a str)> {
        const ALL: [&Family; 4] = [&VIT, &DINOV2, &TORCHVISION, &TIMM];
        ALL.into_iter().find_map(|family| {
            let mut marked = names.clone().filter(|name| name.ends_with(family.mark));
            marked.next()?;
            let prefix = names
                .clone()
                .find_map(|name| name.strip_suffix(family.patches))?;
            (prefix.is_empty() || prefix.ends_with('.')).then_some((family, prefix))
        })
    }

    /// Whether the names are the published ones already.
    pub fn is_published(&self) -> bool {
        self.name == TIMM.name
    }

    /// Whether timm's models with rotary positions have these names too: they call layer scale as the authors
    /// of DeiT III do, and positions that are computed are no tensors.
    pub fn is_rotary_alike<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        self.is_published() && names.any(|name| name.ends_with(".gamma_1"))
    }

    /// The published name of a tensor; its own if it has none.
    pub fn published(&self, name: &str) -> String {
        let in_block = self.blocks.iter().find_map(|blocks| {
            let (block, rest) = name.strip_prefix(blocks)?.split_once('.')?;
            block.parse::<usize>().ok()?;
            let rows = self.block.iter().copied().flatten();
            let rest = renamed(rest, rows).unwrap_or_else(|| rest.into());
            Some(format!("blocks.{block}.{rest}"))
        });
        in_block
            .or_else(|| renamed(name, self.model.iter()))
            .unwrap_or_else(|| name.into())
    }
}

/// Whether no classifier uses a tensor.
pub(super) fn is_unused(name: &str) -> bool {
    UNUSED.contains(&name)
}

fn renamed<'r>(name: &str, mut rows: impl Iterator<Item = &'r Row>) -> Option<String> {
    rows.find_map(|(theirs, published)| match name.strip_prefix(theirs)? {
        "" => Some((*published).into()),
        parameter @ (".weight" | ".bias") => Some(format!("{published}{parameter}")),
        _ => None,
    })
}
