//! Standard output, whose reader may have seen enough: `gsb predict ... | head`.

use std::io::{self, ErrorKind, Write};

/// Prints bytes; whether there is still somebody to read them. That nobody is there is no failure.
///
/// # Errors
/// If they cannot be written for another reason, such as a full disk.
pub fn print(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}
