//! `nameplate policy new`: a project that builds as it is.
//!
//! Responsible for files that need nothing but Rust and a registry: the guest
//! crate and the contract come along, so a policy does not hang on where this
//! program's source lies. Writes into an empty directory only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use toml::{Table, Value};

/// A language that policies can be started in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust, with the guest crate.
    #[default]
    Rust,
}

/// Files of the project itself, with `NAME` for the policy's.
const PROJECT: [(&str, &str); 16] = [
    ("Cargo.toml", include_str!("new/Cargo.toml.in")),
    // The crates and the compiler that this repository's own policies are built
    // with: without them equal sources need not give equal bytes.
    ("Cargo.lock", include_str!("new/Cargo.lock.in")),
    (
        "rust-toolchain.toml",
        include_str!("../../../../rust-toolchain.toml"),
    ),
    ("README.md", include_str!("new/README.md.in")),
    (".gitignore", "/target\n"),
    (
        "settings.schema.json",
        include_str!("new/settings.schema.json.in"),
    ),
    (
        "subject-keys.json",
        include_str!("new/subject-keys.json.in"),
    ),
    ("denials.json", include_str!("new/denials.json.in")),
    ("src/lib.rs", include_str!("new/lib.rs.in")),
    ("cases/node.json", include_str!("new/cases/node.json.in")),
    (
        "cases/no-node.json",
        include_str!("new/cases/no-node.json.in"),
    ),
    ("cases/group.json", include_str!("new/cases/group.json.in")),
    (
        "cases/bad-group.json",
        include_str!("new/cases/bad-group.json.in"),
    ),
    (
        "cases/certificate.json",
        include_str!("new/cases/certificate.json.in"),
    ),
    ("cases/token.json", include_str!("new/cases/token.json.in")),
    (
        "cases/expired.json",
        include_str!("new/cases/expired.json.in"),
    ),
];

/// The guest crate and the contract, as they are in this repository.
const VENDORED: [(&str, &str); 12] = [
    (
        "guest/README.md",
        include_str!("../../../../guest/README.md"),
    ),
    (
        "guest/src/allocator.rs",
        include_str!("../../../../guest/src/allocator.rs"),
    ),
    (
        "guest/src/bindings.rs",
        include_str!("../../../../guest/src/bindings.rs"),
    ),
    (
        "guest/src/export.rs",
        include_str!("../../../../guest/src/export.rs"),
    ),
    (
        "guest/src/lib.rs",
        include_str!("../../../../guest/src/lib.rs"),
    ),
    (
        "guest/src/selectors.rs",
        include_str!("../../../../guest/src/selectors.rs"),
    ),
    (
        "guest/src/settings.rs",
        include_str!("../../../../guest/src/settings.rs"),
    ),
    (
        "guest/src/settings/json.rs",
        include_str!("../../../../guest/src/settings/json.rs"),
    ),
    (
        "guest/src/settings/read.rs",
        include_str!("../../../../guest/src/settings/read.rs"),
    ),
    (
        "guest/src/testing.rs",
        include_str!("../../../../guest/src/testing.rs"),
    ),
    ("wit/naming.wit", include_str!("../../../../wit/naming.wit")),
    ("wit/world.wit", include_str!("../../../../wit/world.wit")),
];

/// The guest crate's manifest, which takes its versions from the workspace's.
const GUEST_MANIFEST: &str = include_str!("../../../../guest/Cargo.toml");
const WORKSPACE_MANIFEST: &str = include_str!("../../../../Cargo.toml");

/// Writes a policy project called `name` into `dir`, which must be empty or
/// not exist, and returns the files, each relative to `dir`.
///
/// # Errors
/// Where `name` cannot name a crate, `dir` holds something already, or a file
/// cannot be written.
pub(crate) fn new(dir: &Path, name: &str, lang: Language) -> anyhow::Result<Vec<PathBuf>> {
    require_crate_name(name)?;
    require_empty(dir)?;
    let files = match lang {
        Language::Rust => rust_project(name)?,
    };
    for (path, text) in &files {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make `{}`", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn rust_project(name: &str) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::with_capacity(PROJECT.len() + VENDORED.len() + 1);
    for (path, text) in PROJECT {
        files.push((path.into(), text.replace("NAME", name)));
    }
    let vendor = Path::new("vendor");
    files.push((
        vendor.join("guest/Cargo.toml"),
        standalone_guest_manifest()?,
    ));
    for (path, text) in VENDORED {
        files.push((vendor.join(path), text.to_owned()));
    }
    Ok(files)
}

/// Refuses what could not be part of a crate's name and of a file's.
fn require_crate_name(name: &str) -> anyhow::Result<()> {
    let starts_with_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !starts_with_letter || !name.chars().all(known) || name.len() > 64 {
        bail!(
            "`{}` is not a name for a policy: letters, digits, `-` and `_`, first a letter, at most 64",
            name.escape_debug()
        );
    }
    Ok(())
}

fn require_empty(dir: &Path) -> anyhow::Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!("`{}` is not empty", dir.display()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot use `{}`", dir.display())),
    }
}

/// The guest crate's manifest without a workspace above it: what it inherits
/// is written out.
fn standalone_guest_manifest() -> anyhow::Result<String> {
    let workspace: Table = WORKSPACE_MANIFEST.parse().context("workspace manifest")?;
    let mut guest: Table = GUEST_MANIFEST.parse().context("guest manifest")?;
    let inherited = |key: &str| {
        workspace
            .get("workspace")
            .and_then(|table| table.get(key)?.as_table())
    };
    for (section, source) in [("package", "package"), ("dependencies", "dependencies")] {
        let (Some(Value::Table(entries)), Some(source)) =
            (guest.get_mut(section), inherited(source))
        else {
            bail!("the guest crate's manifest has no `{section}` to inherit");
        };
        for (key, entry) in entries.iter_mut() {
            let inherits = entry.get("workspace").and_then(Value::as_bool) == Some(true);
            if inherits {
                *entry = source
                    .get(key)
                    .with_context(|| format!("the workspace has no `{key}` to inherit"))?
                    .clone();
            }
        }
    }
    let text = toml::to_string(&guest).context("guest manifest")?;
    Ok(format!(
        "# Copied by `nameplate policy new`, with its contract in `../wit`.\n{text}"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn write(dir: &Path, name: &str) -> anyhow::Result<Vec<PathBuf>> {
        new(dir, name, Language::Rust)
    }

    #[test]
    fn a_project_is_written_into_a_new_or_empty_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("deep/acme");
        let files = write(&dir, "acme").unwrap();
        assert_eq!(files.len(), PROJECT.len() + VENDORED.len() + 1);
        for file in &files {
            let text = fs::read_to_string(dir.join(file)).unwrap();
            let vendored = file.starts_with("vendor");
            assert!(vendored || !text.contains("NAME"), "{}", file.display());
        }
        let manifest: Table = fs::read_to_string(dir.join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some("nameplate-policy-acme")
        );

        let empty = tempfile::tempdir().unwrap();
        assert!(write(empty.path(), "acme").is_ok());
    }

    #[test]
    fn a_directory_with_anything_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".hidden"), "").unwrap();
        let error = write(dir.path(), "acme").unwrap_err().to_string();
        assert_eq!(error, format!("`{}` is not empty", dir.path().display()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let file = dir.path().join(".hidden");
        let error = write(&file, "acme").unwrap_err().to_string();
        assert_eq!(error, format!("cannot use `{}`", file.display()));
    }

    #[test]
    fn a_name_that_no_crate_can_have_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("project");
        for name in [
            "",
            "1st",
            "-a",
            "_a",
            "a b",
            "a/b",
            "../a",
            "ä",
            "a.b",
            &"a".repeat(65),
        ] {
            let error = write(&dir, name).unwrap_err().to_string();
            assert!(
                error.contains("is not a name for a policy"),
                "{name}: {error}"
            );
            assert!(!dir.exists(), "{name}");
        }
        for name in ["a", "Acme-2_x", "fn", "std", &"a".repeat(64)] {
            assert!(require_crate_name(name).is_ok(), "{name}");
        }
    }

    /// What is compiled into this program is what lies in the repository.
    #[test]
    fn every_file_of_the_guest_crate_and_the_contract_is_copied() {
        fn files(root: &Path, dir: &str, into: &mut BTreeSet<String>) {
            for entry in fs::read_dir(root.join(dir)).unwrap() {
                let entry = entry.unwrap();
                let path = format!("{dir}/{}", entry.file_name().into_string().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    files(root, &path, into);
                } else {
                    into.insert(path);
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut present = BTreeSet::new();
        files(&root, "guest", &mut present);
        files(&root, "wit", &mut present);
        present.remove("guest/Cargo.toml");
        let copied: BTreeSet<String> = VENDORED
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .collect();
        assert_eq!(copied, present);
    }

    /// A newer version in the workspace, or one more crate of the guest's, has to
    /// come into the template too.
    #[test]
    fn the_crates_are_those_that_the_workspace_is_locked_to() {
        let packages = |text: &str| -> BTreeSet<(String, String, Option<String>)> {
            let lock: Table = text.parse().unwrap();
            let packages = lock["package"].as_array().unwrap().iter();
            let text = |package: &Value, key: &str| -> Option<String> {
                package
                    .get(key)
                    .map(|value| value.as_str().unwrap().to_owned())
            };
            packages
                .map(|package| {
                    (
                        text(package, "name").unwrap(),
                        text(package, "version").unwrap(),
                        text(package, "checksum"),
                    )
                })
                .collect()
        };
        let workspace = packages(include_str!("../../../../Cargo.lock"));
        let (_, lock) = PROJECT
            .into_iter()
            .find(|(path, _)| *path == "Cargo.lock")
            .unwrap();
        let elsewhere: Vec<_> = packages(lock)
            .into_iter()
            .filter(|package| !workspace.contains(package))
            .map(|(name, _, _)| name)
            .collect();
        assert_eq!(elsewhere, ["nameplate-policy-NAME"]);
    }

    #[test]
    fn the_guest_manifest_stands_alone() {
        let text = standalone_guest_manifest().unwrap();
        let guest: Table = text.parse().unwrap();
        let workspace: Table = WORKSPACE_MANIFEST.parse().unwrap();
        let dependencies = &workspace["workspace"]["dependencies"];
        assert_eq!(
            guest["dependencies"]["wit-bindgen"],
            dependencies["wit-bindgen"]
        );
        assert_eq!(
            guest["package"]["edition"],
            workspace["workspace"]["package"]["edition"]
        );
        assert!(!text.contains("workspace = true"), "{text}");
    }

    #[test]
    fn the_cases_are_json() {
        for (path, text) in PROJECT {
            if path.ends_with(".json") {
                assert!(
                    serde_json::from_str::<serde_json::Value>(text).is_ok(),
                    "{path}"
                );
            }
        }
    }
}
