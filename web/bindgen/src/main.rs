//! `bindgen MODULE FOLDER`: the bindings of a module of WebAssembly. It does what the program `wasm-bindgen`
//! does, of which only this much is needed and can be locked.

use std::error::Error;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(module), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("expected a module of WebAssembly and a folder for what is made of it".into());
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(module)
        .out_name("gsb_web")
        .web(true)?
        .typescript(false);
    // Of no use to a page, which downloads them.
    bindgen
        .remove_name_section(true)
        .remove_producers_section(true);
    Ok(bindgen.generate(folder)?)
}
