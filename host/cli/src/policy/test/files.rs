//! Cases in a directory: a JSON file each, its stem the name of the case.

use crate::failure::Failure;
use anyhow::Context as _;
use nameplate_attestor::cases::Case;
use nameplate_files::Directory;
use std::path::{Path, PathBuf};

/// Most bytes of one case.
const MAX_CASE_BYTES: usize = 1 << 20;

/// The file that a case stands in.
#[derive(Debug)]
pub(in crate::policy) struct CaseFile {
    /// The file.
    pub(in crate::policy) path: PathBuf,
    /// Its text.
    pub(in crate::policy) text: String,
}

/// Reads every `*.json` of a directory, in the order of their names.
///
/// # Errors
/// A fault `cases_malformed`, with the name of the first file that is no case.
pub(in crate::policy) fn read(directory: &Path) -> Result<Vec<(Case, CaseFile)>, Failure> {
    read_all(directory).map_err(|error| Failure::fault("cases_malformed", error))
}

fn read_all(directory: &Path) -> anyhow::Result<Vec<(Case, CaseFile)>> {
    let open = Directory::open(directory)?;
    let mut cases = Vec::new();
    for name in open.names()? {
        let Some(stem) = name.strip_suffix(".json") else {
            continue;
        };
        let path = directory.join(&name);
        let no_case = || format!("`{}` is no case", path.display());
        let text = String::from_utf8(open.read(Path::new(&name), MAX_CASE_BYTES)?)
            .with_context(no_case)?;
        let mut case: Case = serde_json::from_str(&text).with_context(no_case)?;
        stem.clone_into(&mut case.name);
        cases.push((case, CaseFile { path, text }));
    }
    Ok(cases)
}
