//! `nameplate policy build`: from a project's directory to a component.
//!
//! Responsible for building the same bytes everywhere: flags are set here and
//! not taken from the environment, and no path of this machine gets into the
//! component. Trusts the project, whose build script and macros `cargo` runs.

mod toolchain;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use nameplate_attestor::SubjectKeys;
use nameplate_policy::Manifest;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::componentize::{Metadata, componentize};
use toolchain::{TARGET, Toolchain, cargo, cargo_home, require_target};

/// Packages may carry this prefix, components don't.
const PACKAGE_PREFIX: &str = "nameplate-policy-";

/// The release profile of a policy, whatever its manifest says. At level 2 the
/// code of the shipped policies is no larger than at `s` (measured: 53 and 54
/// KB for `uuid`), and takes a third less fuel.
const PROFILE: [&str; 8] = [
    "profile.release.opt-level=2",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=true",
    "profile.release.debug=false",
    "profile.release.debug-assertions=false",
    "profile.release.overflow-checks=false",
];

/// Stack of a policy in bytes. With it, stack, data and heap share one page.
const STACK: &str = "-Clink-arg=-zstack-size=16384";

/// Lines of `cargo`'s output that an error repeats.
const ERROR_LINES: usize = 60;

/// A component that was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where it was written.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) bytes: usize,
    /// Its digest, as a configuration pins it: `sha256:…`.
    pub(crate) digest: String,
}

/// Builds the policy project in `dir` and writes its component to `out`, by
/// default `<dir>/<name>.wasm`. Calls `progress` with each line that `cargo`
/// prints.
///
/// # Errors
/// Where `dir` holds no policy project, the target is not installed, the code
/// does not compile, or a file cannot be read or written.
pub(crate) fn build(
    dir: &Path,
    out: Option<&Path>,
    mut progress: impl FnMut(&str),
) -> anyhow::Result<Built> {
    let dir = fs::canonicalize(dir).with_context(|| format!("no directory `{}`", dir.display()))?;
    let project = Project::read(&dir)?;
    require_target(&dir)?;
    let module = compile(&project, &mut progress)?;

    let name = project.name();
    let component = componentize(
        &module,
        &Metadata {
            name: name.to_owned(),
            version: project.package.version.clone(),
            description: project.package.description.clone(),
            settings_schema: read_json_if_there(&dir, "settings.schema.json")?,
            denials: read_denials(&dir)?,
            cases: read_cases(&dir)?,
            subject_keys: read_subject_keys(&dir)?,
        },
    )
    .with_context(|| format!("`{name}` does not become a component"))?;

    let path = out.map_or_else(|| dir.join(format!("{name}.wasm")), Path::to_owned);
    replace(&path, &component).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Built {
        path,
        bytes: component.len(),
        digest: digest(&component),
    })
}

/// A package with everything that its build needs.
struct Project {
    package: Package,
    workspace_root: PathBuf,
    /// `target` of the workspace, wherever it is configured to lie.
    target_directory: PathBuf,
    /// File name of the compiled module.
    module: String,
}

/// The part of `cargo metadata` that counts here.
#[derive(Deserialize)]
struct CargoMetadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    description: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<CargoTarget>,
}

#[derive(Deserialize)]
struct CargoTarget {
    name: String,
    crate_types: Vec<String>,
}

impl Project {
    fn read(dir: &Path) -> anyhow::Result<Self> {
        let manifest = dir.join("Cargo.toml");
        if !manifest.is_file() {
            bail!(
                "`{}` is no policy project: it has no Cargo.toml; `nameplate policy new` makes one",
                dir.display()
            );
        }
        let output = cargo(dir)
            .args([
                "metadata",
                "--format-version=1",
                "--no-deps",
                "--manifest-path",
            ])
            .arg(&manifest)
            .output()
            .context("cannot run `cargo`; is Rust installed?")?;
        if !output.status.success() {
            bail!(
                "`{}` is not read by cargo:\n{}",
                manifest.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        let metadata: CargoMetadata = serde_json::from_slice(&output.stdout)
            .context("`cargo metadata` printed no metadata")?;
        let package = metadata
            .packages
            .into_iter()
            .find(|package| {
                fs::canonicalize(&package.manifest_path).ok().as_ref() == Some(&manifest)
            })
            .with_context(|| format!("`{}` names no package", manifest.display()))?;
        let library = package
            .targets
            .iter()
            .find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            .with_context(|| {
                format!(
                    "package `{}` has no library of type cdylib: add `[lib]` with \
                     `crate-type = [\"cdylib\", \"rlib\"]` to `{}`",
                    package.name,
                    manifest.display()
                )
            })?;
        Ok(Self {
            module: format!("{}.wasm", library.name.replace('-', "_")),
            package,
            workspace_root: metadata.workspace_root,
            target_directory: metadata.target_directory,
        })
    }

    /// Name of the component.
    fn name(&self) -> &str {
        let name = self.package.name.as_str();
        name.strip_prefix(PACKAGE_PREFIX).unwrap_or(name)
    }
}

/// The core module of `project`, compiled.
fn compile(project: &Project, progress: &mut dyn FnMut(&str)) -> anyhow::Result<Vec<u8>> {
    // A directory of its own: neither waits for a build that runs meanwhile,
    // nor throws away its artifacts with other flags.
    let target = project.target_directory.join("nameplate-policy");
    let mut command = cargo(&project.workspace_root);
    command.args(["build", "--release", "--lib", "--target", TARGET]);
    command
        .arg("--manifest-path")
        .arg(&project.package.manifest_path);
    command.arg("--target-dir").arg(&target);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    if project.workspace_root.join("Cargo.lock").is_file() {
        command.arg("--locked");
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(project, &target)?);

    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `cargo`; is Rust installed?")?;
    let mut printed = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.context("cannot read what cargo prints")?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            progress(&line);
            printed.push(line);
        }
    }
    if !child.wait().context("cannot wait for cargo")?.success() {
        bail!(
            "`{}` does not compile:\n{}",
            project.package.name,
            errors(&printed)
        );
    }
    let module = target.join(TARGET).join("release").join(&project.module);
    fs::read(&module).with_context(|| format!("cargo left no module at `{}`", module.display()))
}

/// From the first error on, a screenful at most.
fn errors(printed: &[String]) -> String {
    let lines: Vec<&str> = printed
        .iter()
        .map(String::as_str)
        .skip_while(|line| !line.starts_with("error"))
        .take(ERROR_LINES)
        .collect();
    if lines.is_empty() {
        printed.join("\n")
    } else {
        lines.join("\n")
    }
}

/// The compiler's flags, in the form of `CARGO_ENCODED_RUSTFLAGS`.
///
/// Panic messages hold source paths. Each root that depends on the machine is
/// mapped to a fixed name; where several match, the last flag wins, so the
/// more general come first.
fn rust_flags(project: &Project, target: &Path) -> anyhow::Result<OsString> {
    let toolchain = Toolchain::of(&project.workspace_root)?;
    let home = cargo_home(&project.workspace_root)?;
    let roots = [
        (project.workspace_root.clone(), "/project".to_owned()),
        (home, "/cargo".to_owned()),
        (target.to_owned(), "/target".to_owned()),
        (
            toolchain.sysroot.join("lib/rustlib/src/rust"),
            format!("/rustc/{}", toolchain.commit),
        ),
    ];
    let mut flags = OsString::from(STACK);
    for (from, to) in roots {
        // The separator that cargo splits at: paths may hold spaces.
        flags.push("\x1f--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    Ok(flags)
}

/// One of the files that a project may have.
fn read_json_if_there(dir: &Path, name: &str) -> anyhow::Result<Option<Value>> {
    let path = dir.join(name);
    if path.is_file() {
        read_json(&path).map(Some)
    } else {
        Ok(None)
    }
}

/// What the project says of its subjects. A host refuses a component whose
/// word on them it cannot read, so that is found here.
fn read_subject_keys(dir: &Path) -> anyhow::Result<Option<Value>> {
    const NAME: &str = "subject-keys.json";
    let Some(keys) = read_json_if_there(dir, NAME)? else {
        return Ok(None);
    };
    let manifest = Manifest {
        subject_keys: Some(keys.to_string()),
        ..Manifest::default()
    };
    SubjectKeys::of_policy(&manifest, &Value::Null)
        .with_context(|| format!("`{}` cannot be used", dir.join(NAME).display()))?;
    Ok(Some(keys))
}

/// What the project says of its denials: each code, and when it is said.
fn read_denials(dir: &Path) -> anyhow::Result<Option<BTreeMap<String, String>>> {
    const NAME: &str = "denials.json";
    let Some(denials) = read_json_if_there(dir, NAME)? else {
        return Ok(None);
    };
    let path = dir.join(NAME);
    let denials: BTreeMap<String, String> = serde_json::from_value(denials)
        .with_context(|| format!("`{}` is no object of texts", path.display()))?;
    let is_code = |code: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=64).contains(&code.len()) && code.bytes().all(known)
    };
    if let Some(wrong) = denials.keys().find(|code| !is_code(code)) {
        bail!(
            "`{wrong}` in `{}` is no code: a-z, 0-9 and -, at most 64 characters",
            path.display()
        );
    }
    Ok(Some(denials))
}

/// The project's cases by the stems of their file names.
fn read_cases(dir: &Path) -> anyhow::Result<BTreeMap<String, Map<String, Value>>> {
    let dir = dir.join("cases");
    let mut cases = BTreeMap::new();
    if !dir.is_dir() {
        return Ok(cases);
    }
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot list `{}`", dir.display()))? {
        let path = entry
            .with_context(|| format!("cannot list `{}`", dir.display()))?
            .path();
        if path.extension() != Some(OsStr::new("json")) {
            continue;
        }
        let name = path
            .file_stem()
            .and_then(OsStr::to_str)
            .with_context(|| format!("the name of `{}` is not UTF-8", path.display()))?;
        let Value::Object(case) = read_json(&path)? else {
            bail!("`{}` holds no JSON object", path.display());
        };
        cases.insert(name.to_owned(), case);
    }
    Ok(cases)
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` is not JSON", path.display()))
}

/// Writes `path` in one step: a host that watches it never sees half a policy.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |text, byte| {
            text + &format!("{byte:02x}")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // What chose the compiler of these tests does not reach cargo.
        let toolchain = include_str!("../../../../rust-toolchain.toml");
        fs::write(dir.path().join("rust-toolchain.toml"), toolchain).unwrap();
        dir
    }

    fn refused(dir: &Path) -> String {
        format!("{:#}", build(dir, None, |_| {}).unwrap_err())
    }

    const MANIFEST: &str = "[package]\nname = \"nameplate-policy-sample\"\nversion = \"1.2.3\"\nedition = \"2024\"\n[workspace]\n";

    #[test]
    fn a_directory_without_a_project_is_refused() {
        let dir = project(&[]);
        let text = refused(dir.path());
        assert!(
            text.ends_with("it has no Cargo.toml; `nameplate policy new` makes one"),
            "{text}"
        );
        assert!(refused(&dir.path().join("absent")).starts_with("no directory `"));
    }

    #[test]
    fn a_package_needs_a_cdylib() {
        let dir = project(&[("Cargo.toml", MANIFEST), ("src/lib.rs", "")]);
        let text = refused(dir.path());
        assert!(
            text.starts_with(
                "package `nameplate-policy-sample` has no library of type cdylib: add"
            ),
            "{text}"
        );

        let with = format!("{MANIFEST}[lib]\ncrate-type = [\"cdylib\"]\n");
        let dir = project(&[("Cargo.toml", &with), ("src/lib.rs", "")]);
        let project = Project::read(&fs::canonicalize(dir.path()).unwrap()).unwrap();
        assert_eq!(project.name(), "sample");
        assert_eq!(project.package.version, "1.2.3");
        assert_eq!(project.module, "nameplate_policy_sample.wasm");
    }

    #[test]
    fn a_manifest_that_cargo_refuses_is_shown() {
        let dir = project(&[("Cargo.toml", "[package]\n")]);
        let text = refused(dir.path());
        assert!(text.contains("is not read by cargo:\nerror"), "{text}");
    }

    #[test]
    fn cases_are_objects_named_by_their_files() {
        let dir = project(&[
            ("cases/b.json", "{\"x\":1}"),
            ("cases/a.json", "{}"),
            ("cases/notes.txt", "not a case"),
        ]);
        let names: Vec<String> = read_cases(dir.path()).unwrap().into_keys().collect();
        assert_eq!(names, ["a", "b"]);
        assert!(read_cases(&dir.path().join("absent")).unwrap().is_empty());

        fs::write(dir.path().join("cases/c.json"), "[]").unwrap();
        let error = read_cases(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("c.json` holds no JSON object"), "{error}");
    }

    #[test]
    fn a_schema_is_optional_but_json() {
        let read = |dir: &Path| read_json_if_there(dir, "settings.schema.json");
        let dir = project(&[]);
        assert_eq!(read(dir.path()).unwrap(), None);
        fs::write(dir.path().join("settings.schema.json"), "{}").unwrap();
        assert!(read(dir.path()).unwrap().is_some());
        fs::write(dir.path().join("settings.schema.json"), "{").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("settings.schema.json` is not JSON"),
            "{error}"
        );
    }

    #[test]
    fn subject_keys_name_facts_that_there_are() {
        let dir = project(&[]);
        assert_eq!(read_subject_keys(dir.path()).unwrap(), None);
        let path = dir.path().join("subject-keys.json");
        fs::write(&path, r#"[{"facts": ["/attestation_id"]}]"#).unwrap();
        assert!(read_subject_keys(dir.path()).unwrap().is_some());
        fs::write(&path, r#"[{"facts": ["/attestation"]}]"#).unwrap();
        let error = format!("{:#}", read_subject_keys(dir.path()).unwrap_err());
        assert!(
            error.ends_with(
                "subject-keys.json` cannot be used: a rule cannot be read: there is no fact \
                 `/attestation`; facts are named as in `/subject/service_account/node/uid`"
            ),
            "{error}"
        );
    }

    #[test]
    fn denials_are_optional_but_codes() {
        let dir = project(&[]);
        assert_eq!(read_denials(dir.path()).unwrap(), None);
        let path = dir.path().join("denials.json");
        fs::write(&path, r#"{"no-node": "the token is bound to no node"}"#).unwrap();
        let denials = read_denials(dir.path()).unwrap().unwrap();
        assert_eq!(denials.keys().collect::<Vec<_>>(), ["no-node"]);
        fs::write(&path, r#"{"no node": "x"}"#).unwrap();
        let error = read_denials(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("`no node` in `"), "{error}");
        fs::write(&path, r#"["no-node"]"#).unwrap();
        let error = read_denials(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("is no object of texts"), "{error}");
    }

    #[test]
    fn errors_begin_at_the_first() {
        let lines = ["   Compiling a", "error: b", "  c"].map(str::to_owned);
        assert_eq!(errors(&lines), "error: b\n  c");
        let lines = ["no such", "thing"].map(str::to_owned);
        assert_eq!(errors(&lines), "no such\nthing");
    }

    #[test]
    fn every_root_of_this_machine_is_mapped() {
        let dir = project(&[
            (
                "Cargo.toml",
                &format!("{MANIFEST}[lib]\ncrate-type = [\"cdylib\"]\n"),
            ),
            ("src/lib.rs", ""),
        ]);
        let root = fs::canonicalize(dir.path()).unwrap();
        let project = Project::read(&root).unwrap();
        let flags = rust_flags(&project, &root.join("target"))
            .unwrap()
            .into_string()
            .unwrap();
        let flags: Vec<&str> = flags.split('\x1f').collect();
        assert_eq!(flags[0], STACK);
        assert_eq!(
            flags[1],
            format!("--remap-path-prefix={}=/project", root.display())
        );
        assert!(flags[2].ends_with("=/cargo"));
        // Inside the project, so it has to come after it.
        assert_eq!(
            flags[3],
            format!("--remap-path-prefix={}/target=/target", root.display())
        );
        assert!(flags[4].contains("/rustlib/src/rust=/rustc/"));
    }

    #[test]
    fn a_component_is_replaced_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_digest_is_written_as_it_is_pinned() {
        // FIPS 180-4, the empty message.
        assert_eq!(
            digest(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
