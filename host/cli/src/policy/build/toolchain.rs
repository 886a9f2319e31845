//! The compiler and the package manager that build a policy.
//!
//! Finds out what is installed, and runs it without what the environment would
//! add. Trusts the programs that `RUSTC` and `CARGO` name, or `PATH`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// What every policy is compiled to: no operating system, so no imports.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// Where the compiler in use lies, and which it is.
pub(super) struct Toolchain {
    /// Directory of the toolchain.
    pub(super) sysroot: PathBuf,
    /// Commit that the compiler was built from.
    pub(super) commit: String,
}

impl Toolchain {
    /// The toolchain that builds a project in `dir`.
    pub(super) fn of(dir: &Path) -> anyhow::Result<Self> {
        let sysroot = rustc(dir, &["--print", "sysroot"])?;
        let version = rustc(dir, &["--version", "--verbose"])?;
        let commit = version
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: "));
        Ok(Self {
            sysroot: sysroot.into(),
            commit: commit.unwrap_or("unknown").to_owned(),
        })
    }
}

/// Refuses early, with the fix, where the compiler has no library for the target.
pub(super) fn require_target(dir: &Path) -> anyhow::Result<()> {
    let library = rustc(dir, &["--print", "target-libdir", "--target", TARGET])?;
    if !Path::new(&library).is_dir() {
        bail!("the target {TARGET} is not installed; install it with `rustup target add {TARGET}`");
    }
    Ok(())
}

fn rustc(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .output()
        .context("cannot run `rustc`; is Rust installed?")?;
    if !output.status.success() {
        bail!(
            "`rustc` fails:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    let text = String::from_utf8(output.stdout).context("`rustc` printed no text")?;
    Ok(text.trim_end().to_owned())
}

/// A `cargo` that runs in `dir` and takes no flags from the environment.
pub(super) fn cargo(dir: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        // Would override the profile above.
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    command
}

/// Where cargo unpacks the dependencies' sources.
pub(super) fn cargo_home(dir: &Path) -> anyhow::Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        let home = dir.join(home);
        return Ok(fs::canonicalize(&home).unwrap_or(home));
    }
    std::env::home_dir()
        .map(|home| home.join(".cargo"))
        .context("neither a home directory nor CARGO_HOME is known")
}
