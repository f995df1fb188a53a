//! Tests across crates: see the folders beside this one. The code of the book's guide is tested here.

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
