# Recipes for working on gsb. `.ci/run` installs what they need and runs those that a change must pass.
# What they need beside Rust's own programs, `.ci/tools` installs: `export PATH="$(.ci/tools):$PATH"`.

# List the recipes.
default:
    @just --list

# Everything that a change must pass.
ci:
    .ci/run

# Formatting, lints and documentation, all without warnings.
check:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All tests on the CPU backend.
test:
    cargo test --workspace

# The golden tests and the fused kernels on WGPU. Needs a Vulkan driver; VK_DRIVER_FILES chooses among several. Mesa's, in
# software, divides as a CPU does, so that the cases on a rounding tie count as well; on a GPU, leave --include-ignored out.
test-wgpu:
    cargo test --profile wgpu -p gsb-core -p gsb-cpu -p gsb-tests --features wgpu --lib cube::tests
    cargo test --profile wgpu -p gsb-core -p gsb-cpu -p gsb-tests --features wgpu --test golden -- --include-ignored --skip g_traj

# Packed models on NEON and SIMD128 by emulation, and under Miri. Needs QEMU, a linker for ARM and Node.
test-packed:
    .ci/packed

# The page of `web/` in Chromium, from a file, from a server and offline, the types of its package, and the page as
# `gsb serve` has it built in. Needs Node, npm and Chromium.
test-web:
    .ci/web

# The Python of the book's page on packed files, against the engine. Needs pip.
test-numpy:
    .ci/numpy

# Make the page of `web/` and open it in the browser. Needs Node and npm.
web:
    .ci/web --open

# Make the page of `web/` and the program with it, which `gsb serve` then shows. Needs Node and npm.
page:
    .ci/web --build
    cargo build --release -p gsb-cli --features page

# A crate of its own that depends on `gsb` alone, with the versions of this workspace.
outside:
    cargo fmt --manifest-path tests/outside/Cargo.toml -- --check
    cp Cargo.lock tests/outside/Cargo.lock
    cargo test --manifest-path tests/outside/Cargo.toml

# Every combination of features of the crates without Burn, and each feature of `gsb` beside the CPU backend. The feature
# `page` needs the page, and `test-web` tests it. Needs cargo-hack.
features:
    cargo hack check --feature-powerset --exclude-features default,page --workspace {{ prepend("--exclude ", with_burn) }}
    cargo hack check --each-feature --features flex --exclude-no-default-features --exclude-features {{ gpu }} -p gsb

with_burn := "gsb gsb-cli gsb-core gsb-cpu gsb-train gsb-vit gsb-examples gsb-benches gsb-tests gsb-pictures"
# Backends, which are checked one by one.
gpu := "wgpu,vulkan,cuda,tch,cube"

# The minimum version of Rust compiles everything.
msrv:
    .ci/msrv

# Fuzz targets compile, which this workspace does not contain.
check-fuzz:
    for fuzz in crates/*/fuzz; do cargo check --manifest-path "$fuzz/Cargo.toml" --all-targets || exit; done

# The CUDA backend compiles. Needs no GPU; without DOCS_RS its build downloads LLVM, which a check can do without.
check-cuda:
    DOCS_RS=1 cargo check -p gsb -p gsb-cli --features cuda

# The LibTorch backend (deprecated in Burn) compiles, where LIBTORCH or LIBTORCH_USE_PYTORCH says where it is.
check-tch:
    if [ -n "${LIBTORCH:-}${LIBTORCH_USE_PYTORCH:-}" ]; then cargo check -p gsb-core --features tch; \
        else echo "neither LIBTORCH nor LIBTORCH_USE_PYTORCH is set: not checked"; fi

# Licences, bans and sources of the dependencies, and whether Cargo.lock is up to date. Needs cargo-deny.
deny:
    cargo deny --locked check --hide-inclusion-graph bans licenses sources

# The book, into docs/book, and the links of all pages, also of those outside the book. Needs mdbook and lychee.
docs:
    mdbook build docs
    lychee --offline --include-fragments --no-progress --root-dir "$PWD/docs/book" 'docs/book/**/*.html' './*.md' 'docs/src/**/*.md' \
        'crates/**/*.md' 'tests/**/*.md' 'recipes/*.md'

# Every crate is complete for publication. Builds nothing, uploads nothing.
package:
    cargo publish --workspace --dry-run --no-verify --allow-dirty

# What is too dear for every change, or needs the network: to be run before a release.
release-check: ci check-cuda
    cargo hack check --each-feature --exclude-features {{ gpu }} -p gsb -p gsb-core -p gsb-cpu -p gsb-train -p gsb-vit
    cargo hack check --each-feature --features flex --exclude-no-default-features --exclude-features page,{{ gpu }} -p gsb-cli
    cargo check -p gsb -p gsb-cli --features vulkan,wgpu
    cargo deny check --hide-inclusion-graph
    cargo publish --workspace --dry-run
    RUSTDOCFLAGS="-D warnings --cfg docsrs" cargo +nightly doc --no-deps --workspace --exclude gsb-tests \
        --exclude gsb-benches --exclude gsb-examples --exclude gsb-pictures --features gsb/train,gsb/download,gsb-data/download
    cargo check --manifest-path benches/comparison/Cargo.toml
    lychee --include-fragments --no-progress './*.md' 'docs/src/**/*.md'

# Check everything, set the version, date the changelog, commit and tag; publishes and pushes nothing.
release version:
    tools/release {{ version }}

# Every decision of a stage-2 student (.bpk) against its packed form, on the test images of an image folder.
compare-packed student images:
    GSB_STUDENT="{{absolute_path(student)}}" GSB_IMAGES="{{absolute_path(images)}}" \
        cargo test -p gsb-tests --test packed -- --ignored --nocapture of_an_image_folder

# Fuzz what reads files of others for some minutes. `gsb-packed`: `read` takes any bytes as a packed
# model, `predict` compares the instruction sets; `gsb-image`: `picture` takes any bytes as a picture;
# `gsb-checkpoint`: `checkpoint` takes any bytes as a checkpoint; `gsb-data`: `cifar` takes any bytes as a pickle of
# CIFAR, `mnist` as pictures and labels of MNIST.
# Needs cargo-fuzz and a nightly toolchain.
fuzz crate="gsb-packed" target="read" seconds="300":
    cd crates/{{crate}}/fuzz && cargo +nightly run --example seeds -- corpus/{{target}}
    cd crates/{{crate}}/fuzz && cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}} -max_len=65536 -rss_limit_mb=6144 -malloc_limit_mb=1100

# Kill a training at random moments and resume it: it ends as one that nobody killed.
kill kills="100":
    tools/kill {{kills}}

# The benchmarks of docs/src/benchmarks.md.
bench:
    cargo bench -p gsb-benches

# The pictures of the book, from code and results, into docs/src/svg.
pictures:
    cargo run -p gsb-pictures

# The book's pictures of the page, in Chromium. Needs Node, npm and Chromium.
screenshots:
    .ci/web --build
    node web/test/screenshots.mjs

# A packed DeiT-S against candle, Burn and ONNX Runtime in turns, on one thread and two. Builds the first two; needs
# Python with onnxruntime and onnx.
compare:
    cargo run --release --manifest-path benches/comparison/Cargo.toml

# Train a float teacher, a stage-1 and a stage-2 student on the embedded digits.
demo:
    cargo run --release -- train

# A folder with what `KIT/gpu run MINUTES ..` needs on a machine with a GPU, which leaves one report.
gpu-kit kit="gpu-kit":
    tools/gpu/gpu build {{ kit }}
