//! Attacks on a change of policy: what the operator's gate lets through, and
//! who takes a policy back.
//!
//! Gate and rollback are the operator's. The gate judges over a throw-away
//! peer, and nothing is read or kept.

use crate::attack::{Expected, Group, Outcome};
use crate::component::{AssemblyError, answering, choosing, earlier_than};
use crate::components::EndedBy;
use crate::error::TortureError;
use crate::target::{Ground, Target, seconds};
use nameplate_attestor::config::{
    AttestorConfig, ClusterConfig, Config, Counted, GateConfig, NamingConfig, PolicyPlace,
    Problems, RollbackConfig, Source, SwapsConfig, TrustConfig,
};
use nameplate_attestor::{Succession, Unobserved, judge_over};
use nameplate_policy::{Limits, PolicySource, Sandbox};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// How far ahead the policy that waits answers otherwise, in seconds.
const WAITS: u64 = 2 * 60 * 60;

/// Most attestations of the machine that fails. A larger `after` is tried at
/// this number.
const MOST_ATTESTATIONS: u64 = 1_000;

/// For a machine that is busy with other attacks.
const PATIENCE: Duration = Duration::from_secs(10);

/// An attack on a change of policy.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A policy that answers as the one that serves, and otherwise soon.
    Waiting(GateConfig),
    /// A machine that the new policy fails, again and again.
    Vetoing(RollbackConfig),
}

/// A change of policy that an attack is made of, and what has to come of it.
#[derive(Debug)]
pub(crate) struct SwapAttack {
    pub(crate) name: &'static str,
    pub(crate) change: Change,
    pub(crate) expected: Expected,
}

impl SwapAttack {
    pub(crate) const GROUP: Group = Group::Swap;
}

/// The attacks on what is configured of changes; none where nothing is.
pub(crate) fn attacks(target: &Target) -> Vec<SwapAttack> {
    let waiting = target.subject.gate.clone().map(|gate| SwapAttack {
        name: "a policy that answers otherwise in two hours",
        expected: match gate.no_new_dependence {
            true => Expected::by("no_new_dependence"),
            false => Expected::Unasked("`no_new_dependence`"),
        },
        change: Change::Waiting(gate),
    });
    let vetoing = target.subject.rollback.map(|rollback| SwapAttack {
        name: "one machine that a new policy fails again and again",
        expected: match rollback.count {
            Counted::Subjects => Expected::by("subjects"),
            Counted::Attestations => Expected::Unasked("`count = \"subjects\"`"),
        },
        change: Change::Vetoing(rollback),
    });
    waiting.into_iter().chain(vetoing).collect()
}

impl Change {
    /// Makes the change.
    pub(crate) fn made(&self, target: &Target, sandbox: &Sandbox) -> Result<Outcome, TortureError> {
        match self {
            Self::Waiting(gate) => waiting(gate, target, sandbox),
            Self::Vetoing(rollback) => vetoing(*rollback, target, sandbox),
        }
    }
}

fn waiting(gate: &GateConfig, target: &Target, sandbox: &Sandbox) -> Result<Outcome, TortureError> {
    let facts = target.facts()?;
    let (path, _) = target.path(&facts);
    let mut other = path.clone();
    other.push("tomorrow".to_owned());
    let turns = seconds(target.now).saturating_add(WAITS);
    let component = choosing(&earlier_than(turns), (&path, &[]), (&other, &[]))?;
    let settings = Value::Object(Map::new());
    let candidate = target.hostile_naming(sandbox, component, settings, EndedBy::Fuel);
    let candidate = match candidate {
        Ok(candidate) => candidate,
        Err(error) => return Ok(crate::target::refusal(&error)),
    };
    let namings = (target.fitting_naming(sandbox)?, candidate);
    let judged = judge_over(
        gate,
        &target.subject.namespace,
        namings,
        [facts],
        target.now,
    );
    Ok(match judged {
        Ok(()) => Outcome::Identity("another name two hours later".to_owned()),
        Err(reasons) => {
            let foreseen = |reason: &String| reason.contains("(`no_new_dependence`)");
            let code = match reasons.iter().all(foreseen) {
                true => "no_new_dependence",
                false => "gate",
            };
            Outcome::Fault(code.to_owned(), reasons.join("; "))
        }
    })
}

fn vetoing(
    rollback: RollbackConfig,
    target: &Target,
    sandbox: &Sandbox,
) -> Result<Outcome, TortureError> {
    let rollback = RollbackConfig {
        after: rollback.after.min(MOST_ATTESTATIONS),
        ..rollback
    };
    let (path, _) = target.path(&target.facts()?);
    let good = config(target, answering(&path, &[]), rollback)?;
    let failing = config(target, answering(&[".."], &[]), rollback)?;
    let unusable = |problems: Problems| TortureError::Twin {
        target: target.subject.name.clone(),
        why: problems.to_string(),
    };
    let now = target.now;
    let [(good, one), (failing, other)] =
        [&good, &failing].map(|config| (config, config.attestors.first()));
    let (Some(one), Some(other)) = (one, other) else {
        return Err(TortureError::Key("configuration"));
    };
    let succession = Succession::begin(good, one, sandbox, Arc::new(Unobserved), now);
    let succession = succession.map_err(unusable)?;
    let candidate = succession.judge(failing, other, sandbox, now);
    let candidate = candidate.map_err(|rejection| unusable(rejection.problems))?;
    let swapped = succession.take(candidate, now);
    let attestor = succession.attestor();
    let mut failed = 0u64;
    for _ in 0..=rollback.after {
        let twin = target.twin()?;
        failed = failed.saturating_add(u64::from(target.attest(attestor, &twin).is_err()));
        if attestor.generation() != swapped {
            let words = "the naming before, to every machine for the sake of one,";
            return Ok(Outcome::Identity(words.to_owned()));
        }
    }
    let words = format!("{failed} failures of one machine took nothing back");
    Ok(Outcome::Fault("subjects".to_owned(), words))
}

/// A configuration as the operator's, that names by `component` and keeps
/// nothing.
fn config(
    target: &Target,
    component: Result<Vec<u8>, AssemblyError>,
    rollback: RollbackConfig,
) -> Result<Config, TortureError> {
    let source = Source::new("torture", "");
    let attestor = AttestorConfig {
        name: target.subject.namespace.attestor.clone(),
        method: target.subject.method,
        naming: NamingConfig {
            source: PolicySource::Bytes(component?.into()),
            digest: None,
            settings: Value::Object(Map::new()),
            envelope: target.subject.naming.envelope.clone(),
            limits: Limits {
                deadline: PATIENCE,
                ..Limits::default()
            },
            place: PolicyPlace::default(),
        },
        one_time_tokens: false,
        cluster_share: None,
        swaps: SwapsConfig {
            rollback: Some(rollback),
            ..SwapsConfig::default()
        },
        trust: match &target.ground {
            Ground::Tokens(ground) => TrustConfig::Clusters(vec![ClusterConfig {
                trust: ground.cluster.clone(),
                naming: None,
            }]),
            Ground::Chains(ground) => TrustConfig::Certificates(ground.verifier.clone()),
        },
        decision_log: None,
    };
    Ok(Config {
        trust_domain: target.subject.namespace.trust_domain.clone(),
        attestors: vec![attestor],
        warnings: source.problems(Vec::new()),
        source,
        files: Vec::new(),
    })
}

/// What a careful operator has a new policy pass.
pub(crate) fn careful() -> (GateConfig, RollbackConfig) {
    let gate = GateConfig {
        against: "cases".into(),
        max_changed: 0,
        allow: Vec::new(),
        allow_selectors: Vec::new(),
        no_new_denials: true,
        no_collisions: true,
        no_new_dependence: true,
        records: 1,
        within: PATIENCE,
    };
    let rollback = RollbackConfig {
        faults: 0.05,
        after: 20,
        within: Duration::from_secs(10 * 60),
        count: Counted::Subjects,
        despite_digest: false,
    };
    (gate, rollback)
}
