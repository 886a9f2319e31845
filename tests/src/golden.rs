//! Text that is checked in and compared: `BLESS=1` writes it anew.

use std::path::Path;
use std::{env, fs};

/// Whether files are to be written instead of compared.
pub fn blessing() -> bool {
    env::var_os("BLESS").is_some()
}

/// Holds `found` against the file at `path`, or writes it there.
///
/// # Errors
/// Both texts, when they differ.
pub fn compare(path: &Path, found: &str) -> Result<(), String> {
    if blessing() {
        return fs::write(path, found).map_err(|error| format!("{}: {error}", path.display()));
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == found {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().display();
    Err(format!(
        "{name} differs (BLESS=1 rewrites it)\nexpected:\n{expected}\nfound:\n{found}"
    ))
}
