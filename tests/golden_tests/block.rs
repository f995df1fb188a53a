//! `c_block`: the encoder blocks of both stages.

use gsb_core::binarize::FirstForward;
use gsb_core::nn::{LayerNorm, Stage1BlockConfig, Stage2BlockConfig, layer_norm};

use crate::attention::{
    binary_attention_entries, is_binary, load_binary_attention, load_shifted, shifted_entries,
};
use crate::fixture::Case;
use crate::linear::compare;
use crate::mlp::{
    binary_mlp_entries, load_binary_mlp, load_weight_binary_mlp, weight_binary_mlp_entries,
};
use crate::module::{Entries, State};
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<3>("x", &device)?.require_grad();
    let (attn, mlp) = (state.part("attn"), state.part("mlp"));
    if !is_binary(&attn) {
        // The sizes here are those of what the parts replace.
        let mut block = Stage1BlockConfig::new(1, 1, 4).init(&device);
        block.norm1 = load_norm(&state.part("norm1"))?;
        block.attention = load_shifted(&attn)?;
        block.norm2 = load_norm(&state.part("norm2"))?;
        block.mlp = load_weight_binary_mlp(&mlp)?;
        let y = block.forward(x.clone());
        return compare(case, x, y, |entries| {
            norm_entries(&state.part("norm1"), &block.norm1, entries);
            shifted_entries(&attn, &block.attention, entries);
            norm_entries(&state.part("norm2"), &block.norm2, entries);
            weight_binary_mlp_entries(&mlp, &block.mlp, entries);
        });
    }
    let mut block = Stage2BlockConfig::new(1, 1, 1, 4).init(&device);
    block.norm1 = load_norm(&state.part("norm1"))?;
    block.attention = load_binary_attention(&attn)?;
    block.norm2 = load_norm(&state.part("norm2"))?;
    block.mlp = load_binary_mlp(&mlp)?;
    let (block, y) = if state.is_first_pass() {
        block.calibrate_forward(x.clone(), FirstForward::Published)
    } else {
        let y = block.forward(x.clone());
        (block, y)
    };
    compare(case, x, y, |entries| {
        norm_entries(&state.part("norm1"), &block.norm1, entries);
        binary_attention_entries(&attn, &block.attention, entries);
        norm_entries(&state.part("norm2"), &block.norm2, entries);
        binary_mlp_entries(&mlp, &block.mlp, entries);
    })
}

fn load_norm(state: &State) -> Result<LayerNorm, String> {
    let gamma = state.param::<1>("weight")?;
    let [width] = gamma.val().dims();
    let mut norm = layer_norm(width).init(state.device);
    norm.gamma = gamma;
    norm.beta = state.bias()?;
    Ok(norm)
}

fn norm_entries(state: &State, norm: &LayerNorm, entries: &mut Entries) {
    entries.param(state.name("weight"), &norm.gamma);
    if let Some(beta) = &norm.beta {
        entries.param(state.name("bias"), beta);
    }
}
