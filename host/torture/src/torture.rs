//! The attacks on a configuration, one after the other, and their report.

use crate::attack::{Expected, Group, Outcome, Row, Verdict};
use crate::chains;
use crate::component::assembled;
use crate::components::{self, EndedBy, Made, REASON, burning};
use crate::defaults;
use crate::error::TortureError;
use crate::hanging;
use crate::neighbour::{Gauge, LEAST, Living, Neighbour};
use crate::panics;
use crate::swaps::{self, Change, SwapAttack};
use crate::target::{self, Evidence, Ground, Target};
use crate::tokens;
use nameplate_attestor::Attestor;
use nameplate_attestor::config::Config;
use nameplate_evidence::Method;
use nameplate_policy::{Limits, Sandbox};
use serde::Serialize;
use serde_json::Value;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Attestations at once with a token that serves once.
const AT_ONCE: usize = 8;

/// Turns of a loop that this machine's speed is measured by, and how often: the
/// fastest counts, since whatever else it does only makes it slower.
const MEASURED_TURNS: u64 = 1_000_000;
const MEASUREMENTS: usize = 8;

/// How many times longer than its deadline an attestation may take, and then
/// some: an overloaded machine is not the policy's doing.
const LATE: u32 = 3;
const LATE_ANYWAY: Duration = Duration::from_secs(2);

/// How long checking, compiling and trying its cases may take, whatever a
/// component is.
const LONGEST_LOAD: Duration = Duration::from_secs(30);

/// How long an attestation of the neighbour may take while an attack runs.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How much the process may grow while an attack runs: the compiler's part,
/// and then what the limits let a component have. Its memory is held twice
/// where a snapshot is made of it, and a component is copied, parsed and
/// written anew.
const GROWTH: u64 = 64 << 20;
const MEMORY_HELD: u64 = 2;
const COMPONENT_HELD: u64 = 8;

/// How long attacks are repeated for a neighbour that has hardly attested.
const REPEATED: Duration = Duration::from_secs(30);

/// Threads that load one component at once.
const LOADING_AT_ONCE: usize = 4;

/// The attacks on a configuration.
#[derive(Debug)]
pub struct Torture {
    sandbox: Sandbox,
    targets: Vec<Target>,
    attacks: Vec<Attack>,
}

#[derive(Debug)]
struct Attack {
    name: String,
    group: Group,
    incident: Option<&'static str>,
    /// Which of the targets.
    target: usize,
    means: Means,
    expected: Expected,
}

#[derive(Debug)]
enum Means {
    Component {
        bytes: Vec<u8>,
        settings: Value,
        ended_by: EndedBy,
    },
    /// The same on several threads at once.
    Together { bytes: Vec<u8> },
    /// Evidence, named by a policy that names everybody.
    Evidence(Evidence),
    /// Evidence, named by the operator's own policy.
    Named(Evidence),
    /// Good evidence in which the peer says who it would like to be.
    Claiming(Evidence, &'static str),
    /// Good evidence, several times at once.
    AtOnce(Evidence),
    /// Good evidence, twice.
    Twice(Evidence),
    /// A change of policy.
    Change(Change),
    /// Good evidence; and then the key that signed it is withdrawn.
    Withdrawn,
    /// Evidence of a cluster whose API server never answers, in every place
    /// that it is given.
    Hanging,
}

/// An attack that could be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The attack, in words.
    pub attack: String,
    /// What it is aimed at.
    pub group: Group,
    /// The attestor, and the cluster, that it is made for.
    pub target: String,
    /// The incident that it repeats, by its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<&'static str>,
}

/// An attestor, or one of its clusters, whose own policy gives a good peer no
/// name: what the attacks on its policy find says little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unnamed {
    /// The attestor, and the cluster.
    pub target: String,
    /// Whether the policy decided so. It may know what a throw-away peer is
    /// not; a fault would meet every peer.
    pub denied: bool,
    /// Why, in a sentence.
    pub why: String,
}

/// What came of the attacks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Each attack, in the order in which they were tried.
    pub rows: Vec<Row>,
    /// Those whose own policies name no good peer.
    pub unnamed: Vec<Unnamed>,
    /// What became of the neighbour meanwhile.
    pub neighbour: Neighbour,
}

impl Report {
    /// The attacks that ended so.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// Whether nothing works, no policy fails on a good peer, and the neighbour
    /// is unhurt.
    pub fn holds(&self) -> bool {
        self.of(Verdict::Works).next().is_none()
            && self.unnamed.iter().all(|unnamed| unnamed.denied)
            && !self.neighbour.hurt
    }

    /// Whether it holds, and nothing is left that is not asked for or could
    /// not be tried.
    pub fn holds_strictly(&self) -> bool {
        self.holds() && self.of(Verdict::Unasked).next().is_none() && self.unnamed.is_empty()
    }
}

/// The attestors of one target.
#[derive(Debug)]
struct Attestors {
    /// That names by the operator's own policy.
    own: Attestor,
    /// That names everybody whose evidence is accepted.
    fitting: Attestor,
}

impl Torture {
    /// The attacks on `config`, with evidence for `now`; where there is none,
    /// on the defaults.
    ///
    /// # Errors
    /// [`TortureError`], when attacks cannot be made; also when good evidence
    /// is not accepted, for then nothing would mean anything.
    pub fn new(config: Option<&Config>, now: SystemTime) -> Result<Self, TortureError> {
        let sandbox = Sandbox::new()?;
        let targets = match config {
            Some(config) => target::targets(config, now)?,
            None => defaults::targets(now)?,
        };
        let mut torture = Self {
            sandbox,
            targets,
            attacks: Vec::new(),
        };
        let speed = torture.turns_per_second()?;
        for index in 0..torture.targets.len() {
            torture.aim(index, speed)?;
        }
        Ok(torture)
    }

    /// What there is to try.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |attack: &Attack| Listed {
            attack: attack.name.clone(),
            group: attack.group,
            target: self.name_of(attack),
            incident: attack.incident,
        };
        self.attacks.iter().map(listed).collect()
    }

    /// Keeps the attacks that have `text` in their name, their group, their
    /// target or their incident.
    pub fn retain(&mut self, text: &str) {
        let text = text.to_lowercase();
        let targets: Vec<_> = self.targets.iter().map(|one| &one.subject.name).collect();
        self.attacks.retain(|attack| {
            let target = targets.get(attack.target).map_or("", |name| name.as_str());
            [
                &*attack.name,
                attack.group.name(),
                target,
                attack.incident.unwrap_or_default(),
            ]
            .iter()
            .any(|words| words.to_lowercase().contains(&text))
        });
    }

    /// Tries every attack while a neighbour attests; `each` is told of each.
    ///
    /// # Errors
    /// When the operator's own policy cannot be loaded, or good evidence is
    /// not accepted.
    pub fn run(&self, mut each: impl FnMut(&Row)) -> Result<Report, TortureError> {
        panics::watch();
        let gauge = Gauge::default();
        let Some(first) = self.targets.first().filter(|_| !self.attacks.is_empty()) else {
            return Ok(Report {
                rows: Vec::new(),
                unnamed: Vec::new(),
                neighbour: Neighbour::default(),
            });
        };
        let attestors: Vec<Attestors> = self
            .targets
            .iter()
            .map(|target| self.attestors(target))
            .collect::<Result<_, TortureError>>()?;
        let Attestors { own, fitting } = self.attestors(first)?;
        let living = Living::in_peace(first, own, fitting)?;
        let unnamed = self.unnamed(&attestors)?;
        let (running, over) = mpsc::channel();
        let (living, gauge) = (&living, &gauge);
        thread::scope(|scope| {
            let neighbour = scope.spawn(move || living.attest_until(&over, gauge));
            let mut rows = Vec::with_capacity(self.attacks.len());
            for attack in &self.attacks {
                if let Some(row) = self.tried(attack, &attestors, gauge)? {
                    each(&row);
                    rows.push(row);
                }
            }
            // A few attacks are over before the neighbour has attested once;
            // what they do to it is then seen when they are made again.
            let began = Instant::now();
            let mut again = self.attacks.iter().cycle();
            while gauge.attestations() < LEAST && began.elapsed() < REPEATED {
                if let Some(attack) = again.next() {
                    self.tried(attack, &attestors, gauge)?;
                }
            }
            drop(running);
            // A neighbour that panicked is hurt as badly as can be.
            let neighbour = neighbour.join().unwrap_or(Neighbour {
                hurt: true,
                ..Neighbour::default()
            });
            Ok(Report {
                rows,
                unnamed,
                neighbour,
            })
        })
    }

    fn attestors(&self, target: &Target) -> Result<Attestors, TortureError> {
        Ok(Attestors {
            own: target.attestor(target.own_naming(&self.sandbox)?),
            fitting: target.attestor(target.fitting_naming(&self.sandbox)?),
        })
    }

    /// The attacked whose own policies name no good peer.
    fn unnamed(&self, attestors: &[Attestors]) -> Result<Vec<Unnamed>, TortureError> {
        let mut unnamed = Vec::new();
        for (index, (target, attestors)) in self.targets.iter().zip(attestors).enumerate() {
            if !self.attacks.iter().any(|attack| attack.target == index) {
                continue;
            }
            let twin = target.twin()?;
            let outcome = target.outcome(&twin, target.attest(&attestors.own, &twin));
            let (denied, why) = match outcome {
                Outcome::Identity(_) => continue,
                Outcome::Denied(why) => (true, why),
                Outcome::Rejected(_, why)
                | Outcome::Fault(_, why)
                | Outcome::Outlived(why)
                | Outcome::Outside(why) => (false, why),
            };
            unnamed.push(Unnamed {
                target: target.subject.name.clone(),
                denied,
                why,
            });
        }
        Ok(unnamed)
    }

    fn tried(
        &self,
        attack: &Attack,
        attestors: &[Attestors],
        gauge: &Gauge,
    ) -> Result<Option<Row>, TortureError> {
        let index = attack.target;
        let (Some(target), Some(Attestors { own, fitting })) =
            (self.targets.get(index), attestors.get(index))
        else {
            return Ok(None);
        };
        let before = gauge.restart();
        let panics = panics::here();
        let began = Instant::now();
        let attested = |attestor, evidence: &Evidence| {
            let outcome = target.outcome(evidence, target.attest(attestor, evidence));
            outcome.without(&evidence.secrets())
        };
        let mut expected = attack.expected.clone();
        let outcome = match &attack.means {
            Means::Component {
                bytes,
                settings,
                ended_by,
            } => self.component(target, bytes, settings, *ended_by)?,
            Means::Together { bytes } => self.together(target, bytes)?,
            Means::Evidence(evidence) => attested(fitting, evidence),
            Means::Named(evidence) => attested(own, evidence),
            Means::Claiming(evidence, claimed) => {
                let outcome = attested(own, evidence);
                if matches!(&outcome, Outcome::Identity(id) if id.contains(claimed)) {
                    expected = Expected::Unasked("a policy that names by what is proven");
                }
                outcome
            }
            Means::AtOnce(evidence) => self.at_once(target, evidence)?,
            Means::Withdrawn => self.withdrawn(target)?,
            Means::Hanging => hanging::outcome(&self.sandbox, target)?,
            Means::Twice(evidence) => {
                let _first = target.attest(fitting, evidence);
                attested(fitting, evidence)
            }
            Means::Change(change) => change.made(target, &self.sandbox)?,
        };
        let time = began.elapsed();
        gauge.look();
        let grown = before.map(|before| gauge.most().saturating_sub(before));
        let waited = gauge.longest_wait();
        let outcome = match panics::here() == panics {
            true => outlived(outcome, &target.subject.naming.limits, grown, waited),
            false => Outcome::Fault(
                "host_panic".to_owned(),
                "the host panicked, and went on; this is a defect of nameplate".to_owned(),
            ),
        };
        let (verdict, stopped_by, detail) = outcome.judged(&expected, attack.group);
        Ok(Some(Row {
            attack: attack.name.clone(),
            group: attack.group,
            target: target.subject.name.clone(),
            incident: attack.incident,
            verdict,
            stopped_by,
            detail,
            time,
            memory_bytes: grown,
            neighbour: waited,
        }))
    }

    /// Loads a hostile component, and asks it.
    fn component(
        &self,
        target: &Target,
        bytes: &[u8],
        settings: &Value,
        ended_by: EndedBy,
    ) -> Result<Outcome, TortureError> {
        let twin = target.twin()?;
        let began = Instant::now();
        let naming =
            target.hostile_naming(&self.sandbox, bytes.to_vec(), settings.clone(), ended_by);
        let loading = began.elapsed();
        if loading > LONGEST_LOAD {
            let seconds = loading.as_secs();
            return Ok(Outcome::Outlived(format!("loading it took {seconds} s")));
        }
        let attestor = match naming {
            Ok(naming) => target.attestor(naming),
            Err(error) => return Ok(target::refusal(&error)),
        };
        let began = Instant::now();
        let first = target.outcome(&twin, target.attest(&attestor, &twin));
        let asking = began.elapsed();
        let deadline = target.subject.naming.limits.deadline;
        if asking > deadline.saturating_mul(LATE).saturating_add(LATE_ANYWAY) {
            let (seconds, millis) = (asking.as_secs(), deadline.as_millis());
            return Ok(Outcome::Outlived(format!(
                "it ran for {seconds} s, where {millis} ms are allowed"
            )));
        }
        // What one question left behind, the next would see.
        if ended_by != EndedBy::Clock {
            let twin = target.twin()?;
            let second = target.outcome(&twin, target.attest(&attestor, &twin));
            if let (Outcome::Identity(one), Outcome::Identity(other)) = (&first, &second)
                && one != other
            {
                return Ok(Outcome::Outside(format!(
                    "one question was answered {one}, and the next {other}"
                )));
            }
        }
        Ok(first)
    }

    /// Loads a good component on several threads at once, and asks each: what
    /// engines share has to bear it.
    fn together(&self, target: &Target, bytes: &[u8]) -> Result<Outcome, TortureError> {
        let twin = target.twin()?;
        let load = || {
            let settings = Value::Object(Default::default());
            match target.hostile_naming(&self.sandbox, bytes.to_vec(), settings, EndedBy::Fuel) {
                Ok(naming) => {
                    let attestor = target.attestor(naming);
                    target.outcome(&twin, target.attest(&attestor, &twin))
                }
                Err(error) => target::refusal(&error),
            }
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let loading: Vec<_> = (0..LOADING_AT_ONCE).map(|_| scope.spawn(load)).collect();
            loading.into_iter().map(|one| one.join()).collect()
        });
        let panicked = || Outcome::Fault("host_panic".to_owned(), "a thread panicked".to_owned());
        let mut outcomes = outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|_panic| panicked()));
        let first = outcomes.next().unwrap_or_else(panicked);
        // One that is not like the others is what there is to say.
        let other = outcomes.find(|other| *other != first);
        Ok(match (other, &first) {
            (Some(other), Outcome::Identity(_)) => other,
            (Some(_), _) | (None, _) => first,
        })
    }

    /// One token, sent several times at once where it serves once.
    fn at_once(&self, target: &Target, evidence: &Evidence) -> Result<Outcome, TortureError> {
        let attestor = target.attestor_of_one_time_tokens(target.fitting_naming(&self.sandbox)?);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let attesting: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    scope.spawn(|| target.outcome(evidence, target.attest(&attestor, evidence)))
                })
                .collect();
            attesting
                .into_iter()
                .filter_map(|one| one.join().ok())
                .collect()
        });
        let named = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Identity(_)))
            .count();
        if named > 1 {
            return Ok(Outcome::Outside(format!("one token made {named} agents")));
        }
        let refused = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(..));
        let refusal = outcomes.into_iter().find(refused);
        Ok(refusal.unwrap_or_else(|| Outcome::Identity("no token was refused".to_owned())))
    }

    /// A token of a key that its cluster publishes no more.
    fn withdrawn(&self, target: &Target) -> Result<Outcome, TortureError> {
        let Some(followed) = target.ground.followed() else {
            return Ok(Outcome::Outside("no keys are followed".to_owned()));
        };
        let attestor = target.attestor_of(&followed, target.fitting_naming(&self.sandbox)?);
        let attested = |evidence: &Evidence| {
            let outcome = target.outcome(evidence, target.attest(&attestor, evidence));
            outcome.without(&evidence.secrets())
        };
        let before = attested(&target.twin()?);
        if !matches!(before, Outcome::Identity(_)) {
            let words = format!("what has to pass before does not: {before:?}");
            return Ok(Outcome::Outside(words));
        }
        followed.withdraw();
        Ok(attested(&target.twin()?))
    }

    fn name_of(&self, attack: &Attack) -> String {
        let target = self.targets.get(attack.target);
        target.map_or_else(String::new, |target| target.subject.name.clone())
    }

    /// Makes the attacks on one target.
    fn aim(&mut self, index: usize, turns_per_second: u64) -> Result<(), TortureError> {
        let Some(target) = self.targets.get(index) else {
            return Ok(());
        };
        let facts = target.facts()?;
        let (path, id_bytes) = target.path(&facts);
        let elsewhere = target.path_elsewhere(&facts);
        let made = Made {
            limits: &target.subject.naming.limits,
            envelope: &target.subject.naming.envelope,
            path: &path,
            id_bytes,
            elsewhere: elsewhere.as_deref(),
            cluster: facts.cluster(),
            turns_per_second,
        };
        let mut attacks = Vec::new();
        for attack in components::attacks(made)? {
            attacks.push(Attack {
                name: attack.name,
                group: attack.group,
                incident: attack.incident,
                target: index,
                means: match attack.together {
                    true => Means::Together {
                        bytes: attack.bytes,
                    },
                    false => Means::Component {
                        bytes: attack.bytes,
                        settings: attack.settings,
                        ended_by: attack.ended_by,
                    },
                },
                expected: attack.expected,
            });
        }
        match &target.ground {
            Ground::Tokens(ground) => {
                for attack in tokens::attacks(ground)? {
                    attacks.push(Attack {
                        name: attack.name,
                        group: Group::Token,
                        incident: attack.incident,
                        target: index,
                        means: match attack.named {
                            true => Means::Named(Evidence::token(attack.payload)),
                            false => Means::Evidence(Evidence::token(attack.payload)),
                        },
                        expected: attack.expected,
                    });
                }
                attacks.extend(once(target, index)?);
                attacks.extend(withdrawn(target, index));
                attacks.extend(hanging::is_for(target).then(|| Attack {
                    name: "a cluster whose API server does not answer".to_owned(),
                    group: Group::Token,
                    incident: None,
                    target: index,
                    means: Means::Hanging,
                    expected: Expected::Twin,
                }));
            }
            Ground::Chains(ground) => {
                for attack in chains::attacks(ground)? {
                    attacks.push(Attack {
                        name: attack.name,
                        group: Group::Certificate,
                        incident: attack.incident,
                        target: index,
                        means: Means::Evidence(Evidence {
                            payload: attack.payload,
                            answer: attack.answer,
                            address: attack.address,
                        }),
                        expected: attack.expected,
                    });
                }
            }
        }
        attacks.extend(claiming(target, index)?);
        attacks.extend(swaps::attacks(target).into_iter().map(|attack| Attack {
            name: attack.name.to_owned(),
            group: SwapAttack::GROUP,
            incident: None,
            target: index,
            means: Means::Change(attack.change),
            expected: attack.expected,
        }));
        self.attacks.extend(attacks);
        Ok(())
    }

    /// How fast this machine runs a policy's loop.
    fn turns_per_second(&self) -> Result<u64, TortureError> {
        let Some(target) = self.targets.first() else {
            return Ok(0);
        };
        let component = assembled(&burning("derive", MEASURED_TURNS))?;
        let naming = target
            .hostile_naming(
                &self.sandbox,
                component,
                Value::Object(Default::default()),
                EndedBy::Clock,
            )
            .map_err(|source| TortureError::Policy {
                target: target.subject.name.clone(),
                source,
            })?;
        let attestor = target.attestor(naming);
        let mut fastest = Duration::MAX;
        for _ in 0..MEASUREMENTS {
            let twin = target.twin()?;
            let began = Instant::now();
            // Whether the envelope takes its answer does not matter here.
            let _answered = target.attest(&attestor, &twin);
            fastest = fastest.min(began.elapsed());
        }
        let micros = fastest.as_micros().max(1);
        let turns = u128::from(MEASURED_TURNS).saturating_mul(1_000_000) / micros;
        Ok(u64::try_from(turns).unwrap_or(u64::MAX))
    }
}

/// The agent that a peer says it is, where nobody proved that.
const CLAIMED_AGENT: &str = "the-agent-that-it-would-like-to-be";
const CLAIMED_UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// Good evidence in which the peer says besides whose ID it would like.
fn claiming(target: &Target, index: usize) -> Result<Vec<Attack>, TortureError> {
    let id = format!(
        "spiffe://{}/spire/agent/{}/{CLAIMED_AGENT}",
        target.subject.namespace.trust_domain, target.subject.namespace.attestor
    );
    let mut claims = vec![(
        "an ID of its own choice",
        CLAIMED_AGENT,
        ["spiffe_id", "id"],
        id,
    )];
    let group = match &target.ground {
        Ground::Tokens(_) => {
            let uuid = CLAIMED_UUID.to_owned();
            claims.push(("a UUID of its own choice", CLAIMED_UUID, ["uuid"; 2], uuid));
            Group::Token
        }
        Ground::Chains(_) => Group::Certificate,
    };
    let mut attacks = Vec::new();
    for (name, claimed, members, value) in claims {
        let mut evidence = target.twin()?;
        let payload: Result<Value, _> = serde_json::from_slice(&evidence.payload);
        if let Ok(Value::Object(mut payload)) = payload {
            for member in members {
                payload.insert(member.to_owned(), Value::from(value.clone()));
            }
            evidence.payload = Value::Object(payload).to_string().into_bytes();
        }
        attacks.push(Attack {
            name: format!("a good peer that asks for {name}"),
            group,
            incident: Some("CVE-2021-27098"),
            target: index,
            means: Means::Claiming(evidence, claimed),
            expected: Expected::Harmless,
        });
    }
    Ok(attacks)
}

/// What an attack came to that took more of the process, or of the neighbour's
/// time, than `limits` explain.
fn outlived(outcome: Outcome, limits: &Limits, grown: Option<u64>, waited: Duration) -> Outcome {
    let bytes = |limit: usize| u64::try_from(limit).unwrap_or(u64::MAX);
    let memory = bytes(limits.memory_bytes.min(REASON.memory_bytes));
    let component = bytes(limits.component_bytes.min(REASON.component_bytes));
    let most = GROWTH + MEMORY_HELD * memory + COMPONENT_HELD * component;
    if let Some(grown) = grown.filter(|grown| *grown > most) {
        let (grown, most) = (grown >> 20, most >> 20);
        return Outcome::Outlived(format!(
            "the process grew by {grown} MiB, where {most} MiB are allowed"
        ));
    }
    if waited > LONGEST_WAIT {
        let (waited, most) = (waited.as_millis(), LONGEST_WAIT.as_millis());
        return Outcome::Outlived(format!(
            "a neighbour's attestation took {waited} ms, where {most} ms are allowed"
        ));
    }
    outcome
}

/// Tokens of `k8s_sat` prove nothing anew when they come a second time.
fn once(target: &Target, index: usize) -> Result<Option<Attack>, TortureError> {
    if target.subject.method != Method::K8sSat {
        return Ok(None);
    }
    let twin = target.twin()?;
    let (name, means, expected) = if target.subject.one_time_tokens {
        (
            format!("one token, {AT_ONCE} times at once"),
            Means::AtOnce(twin),
            Expected::by("token_already_used"),
        )
    } else {
        (
            "a token a second time".to_owned(),
            Means::Twice(twin),
            Expected::Unasked("`one_time_tokens`"),
        )
    };
    Ok(Some(Attack {
        name,
        group: Group::Token,
        incident: Some("SPIRE 1.14.6 (join_token)"),
        target: index,
        means,
        expected,
    }))
}

/// Keys that are followed are those that the cluster publishes now.
fn withdrawn(target: &Target, index: usize) -> Option<Attack> {
    let followed = target.ground.followed()?;
    Some(Attack {
        name: "a token of a key that was withdrawn in a quiet spell".to_owned(),
        group: Group::Token,
        incident: None,
        target: index,
        means: Means::Withdrawn,
        expected: tokens::expected_of_withdrawn(&followed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_more_than_its_limits_explain_outlives_them() {
        let limits = Limits::default();
        let judged = |grown, waited| {
            let outcome = Outcome::Identity("spiffe://example.org/a".to_owned());
            outlived(outcome, &limits, grown, waited)
        };
        // 64 MiB, twice 4 MiB and eight times 512 KiB.
        let most = 76 << 20;
        for (grown, waited) in [(None, Duration::ZERO), (Some(most), LONGEST_WAIT)] {
            assert!(matches!(judged(grown, waited), Outcome::Identity(_)));
        }
        assert_eq!(
            judged(Some(most + (1 << 20)), Duration::ZERO),
            Outcome::Outlived("the process grew by 77 MiB, where 76 MiB are allowed".to_owned())
        );
        assert_eq!(
            judged(None, LONGEST_WAIT + Duration::from_millis(1)),
            Outcome::Outlived(
                "a neighbour's attestation took 2001 ms, where 2000 ms are allowed".to_owned()
            )
        );
    }
}
