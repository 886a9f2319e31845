//! libFuzzer on one target, by name in `NAMEPLATE_FUZZ_TARGET`.
//!
//! One program for all of them: it is linked once. `tests/fuzz/run` builds and
//! runs it.

#![no_main]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fuzzer ends at what it did not expect"
)]

use libfuzzer_sys::fuzz_target;
use nameplate_fuzz::{TARGETS, Target};
use std::env;
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("NAMEPLATE_FUZZ_TARGET").expect("NAMEPLATE_FUZZ_TARGET names a target");
    let target = TARGETS.into_iter().find(|target| target.name == name);
    target.expect("a target of this name")
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
