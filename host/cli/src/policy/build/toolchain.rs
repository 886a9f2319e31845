//! The compiler and the package manager that build a policy.
//!
//! Finds out what is installed, and runs it without what the environment would
//! add. Trusts the programs that `PATH` finds: where they are `rustup`'s, the
//! `rust-toolchain.toml` of the project chooses the compiler. An outer cargo
//! (`cargo run`, a build script) says in its environment which compiler *it*
//! was started with and what *it* builds, and none of that is meant for this
//! build.

use std::ffi::OsStr;
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
    let output = command("rustc")
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
    let mut command = command("cargo");
    command
        .current_dir(dir)
        // Would override the profile above.
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TERM_COLOR", "never");
    command
}

/// The program of that name on `PATH`, without what is not meant for it.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if !reaches(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// Variables of cargo and rustc that say where things are kept, how they are
/// fetched and how progress is shown. All others choose a compiler, its flags
/// or a profile, or describe the package that an outer cargo builds.
const REACH: [&str; 11] = [
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_JOBS",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_HOME",
    "CARGO_LOG",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUST_MIN_STACK",
    // Counts how often `rustup`'s programs started each other.
    "RUST_RECURSION_COUNT",
];

/// The same, by prefix.
const REACH_ALL: [&str; 7] = [
    "CARGO_CREDENTIAL_",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// Whether a variable of the environment is meant for the build of a policy.
fn reaches(name: &OsStr) -> bool {
    // What is not text is none of theirs.
    let name = name.to_str().unwrap_or_default();
    if name.starts_with("RUSTUP_") {
        // Above all, the choice that `rust-toolchain.toml` would lose to.
        return !name.starts_with("RUSTUP_TOOLCHAIN");
    }
    let theirs = name.starts_with("CARGO") || name.starts_with("RUST");
    // What a build script is told of the package that it is a part of.
    let told = [
        "OUT_DIR",
        "TARGET",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "PROFILE",
        "DEBUG",
    ];
    if theirs {
        REACH.contains(&name) || REACH_ALL.iter().any(|begin| name.starts_with(begin))
    } else {
        !told.contains(&name) && !name.starts_with("DEP_")
    }
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

#[cfg(test)]
mod tests {
    use super::reaches;

    #[test]
    fn what_an_outer_cargo_says_is_not_meant_for_the_build() {
        let told = |name: &&&str| reaches(name.as_ref());
        let meant = [
            "PATH",
            "HOME",
            "HTTPS_PROXY",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_OURS_TOKEN",
            "CARGO_SOURCE_CRATES_IO_REPLACE_WITH",
            "CARGO_HTTP_PROXY",
            "RUSTUP_HOME",
            "RUSTUP_DIST_SERVER",
            "RUST_BACKTRACE",
        ];
        let missing: Vec<_> = meant.iter().filter(|name| !told(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let others = [
            "RUSTUP_TOOLCHAIN",
            "RUSTUP_TOOLCHAIN_SOURCE",
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_CFG_TARGET_OS",
            "CARGO_FEATURE_X",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_BUILD_RUSTC",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_BUILD_TARGET",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "RUSTFLAGS",
            "RUSTDOCFLAGS",
            "RUST_TARGET_PATH",
            "OUT_DIR",
            "TARGET",
            "DEP_Z_ROOT",
        ];
        let leaked: Vec<_> = others.iter().filter(told).collect();
        assert!(leaked.is_empty(), "{leaked:?}");
    }
}
