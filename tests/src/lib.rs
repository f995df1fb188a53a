//! Tests across crates: see the folders beside this one. The code of the book and of the READMEs is tested here.

#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/src/guide/start.md")]
    struct Start;
    #[doc = include_str!("../../docs/src/guide/layer.md")]
    struct Layer;
    #[doc = include_str!("../../docs/src/guide/serve.md")]
    struct Serve;
    #[doc = include_str!("../../docs/src/guide/data.md")]
    struct Data;
    #[doc = include_str!("../../docs/src/guide/api.md")]
    struct Api;
}

#[cfg(doctest)]
mod reference {
    #[doc = include_str!("../../docs/src/checkpoints.md")]
    struct Checkpoints;
    #[doc = include_str!("../../docs/src/cost.md")]
    struct Cost;
}

#[cfg(doctest)]
mod readme {
    #[doc = include_str!("../../README.md")]
    struct Project;
    #[doc = include_str!("../../crates/gsb/README.md")]
    struct Gsb;
    #[doc = include_str!("../../crates/gsb-core/README.md")]
    struct Core;
    #[doc = include_str!("../../crates/gsb-data/README.md")]
    struct Data;
    #[doc = include_str!("../../crates/gsb-packed/README.md")]
    struct Packed;
    #[doc = include_str!("../../crates/gsb-vit/README.md")]
    struct Vit;
}
