//! `gsb completions`.

use clap::Command;
use clap_complete::{Shell, generate};

/// Options of `gsb completions`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  \
                        gsb completions bash > ~/.local/share/bash-completion/completions/gsb\n  \
                        gsb completions zsh > ~/.zfunc/_gsb\n  \
                        gsb completions fish > ~/.config/fish/completions/gsb.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The script that completes a command line in a shell.
pub fn run(args: &CompletionsArgs, mut command: Command) -> String {
    let name = command.get_name().to_string();
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
