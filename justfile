# Recipes for working on gsb; `.ci/run` runs the same commands.

# List the recipes.
default:
    @just --list

# Formatting, lints and documentation, all without warnings.
check:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All tests on the CPU backend.
test:
    cargo test --workspace

# The golden tests on WGPU. Needs a Vulkan driver; VK_DRIVER_FILES chooses among several.
test-wgpu:
    cargo test -p gsb-tests --features wgpu --test golden

# The CUDA backend compiles. Needs no GPU; without DOCS_RS its build downloads LLVM.
check-cuda:
    DOCS_RS=1 cargo check -p gsb-core --features cuda

# The LibTorch backend (deprecated in Burn) compiles. Needs LIBTORCH or LIBTORCH_USE_PYTORCH.
check-tch:
    cargo check -p gsb-core --features tch

# Every decision of a stage-2 student (.bpk) against its packed form, on the test images of an image folder.
compare-packed student images:
    GSB_STUDENT="{{absolute_path(student)}}" GSB_IMAGES="{{absolute_path(images)}}" \
        cargo test -p gsb-tests --test packed -- --ignored --nocapture of_an_image_folder

# Packed models on NEON and SIMD128 by emulation, and under Miri. Needs QEMU, a linker for ARM and Node.
test-packed:
    .ci/packed

# Fuzz what reads files of others for some minutes. `gsb-packed`: `read` takes any bytes as a packed
# model, `predict` compares the instruction sets; `gsb-data`: `picture` takes any bytes as a picture.
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

# A packed DeiT-S against float models of candle and Burn, on one thread. Builds both.
compare:
    RAYON_NUM_THREADS=1 cargo run --release --manifest-path benches/comparison/Cargo.toml

# The book, into docs/book. Needs mdbook.
docs:
    mdbook build docs

# Train a float teacher, a stage-1 and a stage-2 student on the embedded digits.
demo:
    cargo run --release -- train

# Licences, advisories, bans and sources of the dependencies. Needs cargo-deny.
deny:
    cargo deny check

# Every crate can be packaged for publication. Builds nothing.
package:
    cargo package --workspace --no-verify
