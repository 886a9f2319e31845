//! Component bombs: small files that would cost much, composed at random.
//!
//! Where bytes of a file are changed at random, hardly a file is left that a
//! compiler would look at. Here the bytes choose what a component is composed
//! of (nested instances, aliases, arguments, globals, types, exports, start
//! functions, canonical options, segments) and how much of each, so that most
//! of what comes out is well-formed and asks for too much of something.
//!
//! Whatever it is: it is refused, or it loads, within two seconds of
//! computing and 64 MiB; and nothing ends the process. The two numbers are
//! those of a whole process, and are looked at where this is all it does: in
//! the fuzzer.

mod composed;
mod module;

use crate::fit_to_show;
use nameplate_policy::{Limits, LoadError, Policy, PolicyRequest, PolicySource, Sandbox};
use nameplate_tests::{facts, guest, patient};
use std::env;
use std::fs;
use std::sync::LazyLock;
use wasm_encoder::{ComponentSectionId, RawSection, Section as _};

/// Most that a bomb may cost a process.
const MOST_BYTES: u64 = 64 << 20;
const MOST_TICKS: u64 = 2 * TICKS_PER_SECOND;

/// Linux counts the time of a process in these, on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// A policy, and behind it what the bytes compose.
pub(crate) fn bomb(bytes: &[u8]) {
    let component = composed(bytes);
    // Its copies are this program's, and none of a host's.
    let request = request(&component);
    let alone = env::var_os("NAMEPLATE_FUZZ_TARGET").is_some();
    let before = alone.then(|| {
        // Everything that is made once.
        LazyLock::force(&SANDBOX);
        Spent::so_far()
    });
    load(&request);
    if let Some(before) = before {
        let after = Spent::so_far();
        let ticks = after.ticks - before.ticks;
        let bytes = after.most_bytes.saturating_sub(before.bytes);
        let size = component.len();
        assert!(
            ticks <= MOST_TICKS,
            "{ticks} ticks for {size} bytes: {}",
            outcome(&component)
        );
        assert!(
            bytes <= MOST_BYTES,
            "{bytes} bytes for {size} bytes: {}",
            outcome(&component)
        );
    }
}

/// The component that `bytes` compose.
pub fn composed(bytes: &[u8]) -> Vec<u8> {
    static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| guest::file("good").bytes);
    let mut choices = Choices { bytes };
    let bomb = composed::component(&mut choices);
    let mut component = GOOD.clone();
    section(&mut component, ComponentSectionId::Component, &bomb);
    // An instance of it: the second component, without arguments.
    section(&mut component, ComponentSectionId::Instance, &[1, 0, 1, 0]);
    component
}

static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    let source = PolicySource::Bytes(guest::file("good").bytes.into());
    Policy::load(&sandbox, &PolicyRequest::new(source)).unwrap();
    sandbox
});

fn request(component: &[u8]) -> PolicyRequest {
    PolicyRequest {
        limits: Limits { ..patient() },
        ..PolicyRequest::new(PolicySource::Bytes(component.to_vec().into()))
    }
}

fn load(request: &PolicyRequest) {
    match Policy::load(&SANDBOX, request) {
        Ok(policy) => {
            if let Err(fault) = policy.derive(&facts::bound()) {
                assert_ne!(fault.reason(), "host_panic");
            }
        }
        Err(LoadError::Configure(fault)) => assert_ne!(fault.reason(), "host_panic"),
        Err(error) => fit_to_show(&error),
    }
}

/// What comes of it, in a line.
pub fn outcome(component: &[u8]) -> String {
    match Policy::load(&SANDBOX, &request(component)) {
        Ok(policy) => format!("loaded, {:?}", policy.start()),
        Err(error) => nameplate_attestor::chain(&error),
    }
}

fn section(to: &mut Vec<u8>, id: ComponentSectionId, data: &[u8]) {
    let id = id.into();
    RawSection { id, data }.append_to(to);
}

/// What this process has spent, as Linux says.
struct Spent {
    ticks: u64,
    bytes: u64,
    /// Most at any time since the last look.
    most_bytes: u64,
}

impl Spent {
    fn so_far() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            kib.unwrap().parse::<u64>().unwrap() << 10
        };
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        // After the name, which may hold anything; user and system time.
        let (_, numbers) = stat.rsplit_once(')').unwrap();
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        let ticks = [11, 12].map(|at| numbers[at].parse::<u64>().unwrap());
        // From here on the most counts anew.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        Self {
            ticks: ticks.iter().sum(),
            bytes: bytes("VmRSS:"),
            most_bytes: bytes("VmHWM:"),
        }
    }
}

/// Choices that the bytes make. When they are used up, nothing is chosen.
struct Choices<'a> {
    bytes: &'a [u8],
}

impl Choices<'_> {
    /// A number below `bound`; 0 at the end.
    fn below(&mut self, bound: u32) -> u32 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        u32::from(*first) % bound.max(1)
    }

    /// How often: seldom once, seldom more than any limit.
    fn times(&mut self) -> u32 {
        const TIMES: [u32; 12] = [1, 2, 3, 5, 9, 17, 40, 150, 600, 3_000, 12_000, 50_000];
        TIMES[usize::try_from(self.below(12)).unwrap()]
    }

    fn over(&self) -> bool {
        self.bytes.is_empty()
    }
}
