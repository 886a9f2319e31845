//! The checked-in messages are what the definitions in `proto/` give.
//!
//! `BLESS=1 cargo test --workspace --test proto` writes them anew.

use std::path::Path;

#[test]
fn the_generated_code_is_what_the_definitions_give() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definitions = room.join("proto");
    let mut files: Vec<_> = std::fs::read_dir(&definitions)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let set = protox::compile(&files, [&definitions]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut names = tonic_prost_build::Config::new();
    names.default_package_filename("workload");
    tonic_prost_build::configure()
        .out_dir(out.path())
        // It holds a private key.
        .skip_debug([".X509SVID"])
        .compile_fds_with_config(set, names)
        .unwrap();

    let checked_in = room.join("src/proto");
    let mut generated = 0;
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("google.") {
            continue;
        }
        let now = std::fs::read_to_string(entry.path()).unwrap();
        let there = checked_in.join(&name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&there, &now).unwrap();
        }
        let before = std::fs::read_to_string(&there).unwrap_or_default();
        assert!(before == now, "{name} is stale: run with BLESS=1");
        generated += 1;
    }
    assert_eq!(generated, files.len());
}
