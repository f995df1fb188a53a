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
    bindgen.input_path(module).web(true)?.typescript(false);
    Ok(bindgen.generate(folder)?)
}
