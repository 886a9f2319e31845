//! The attacks on a configuration, one after the other, and their report.

use crate::attack::{Expected, Group, Outcome, Row, Verdict};
use crate::chains;
use crate::component::assembled;
use crate::components::{self, Made, burning};
use crate::defaults;
use crate::error::TortureError;
use crate::neighbour::{Gauge, Living, Neighbour};
use crate::target::{self, Evidence, Ground, Target};
use crate::tokens;
use nameplate_attestor::Attestor;
use nameplate_attestor::config::Config;
use nameplate_evidence::Method;
use nameplate_policy::Sandbox;
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

/// How much longer than its deadline an attestation may take, and then some:
/// an overloaded machine is not the policy's doing.
const LATE: u32 = 10;
const LATE_ANYWAY: Duration = Duration::from_secs(5);

/// How long checking and compiling may take, whatever a component is.
const LONGEST_LOAD: Duration = Duration::from_secs(60);

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
        by_the_clock: bool,
    },
    Evidence(Evidence),
    /// Good evidence, several times at once.
    AtOnce(Evidence),
    /// Good evidence, twice.
    Twice(Evidence),
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

/// What came of the attacks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Each attack, in the order in which they were tried.
    pub rows: Vec<Row>,
    /// What became of the neighbour meanwhile.
    pub neighbour: Neighbour,
}

impl Report {
    /// The attacks that ended so.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// Whether nothing works, and the neighbour is unhurt.
    pub fn holds(&self) -> bool {
        self.of(Verdict::Works).next().is_none() && !self.neighbour.hurt
    }
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
        let gauge = Gauge::default();
        let Some(first) = self.targets.first() else {
            return Ok(Report {
                rows: Vec::new(),
                neighbour: Neighbour::default(),
            });
        };
        let own: Vec<Attestor> = self
            .targets
            .iter()
            .map(|target| Ok(target.attestor(target.own_naming(&self.sandbox)?)))
            .collect::<Result<_, TortureError>>()?;
        let living = Living::in_peace(first, first.attestor(first.own_naming(&self.sandbox)?))?;
        let (running, over) = mpsc::channel();
        let (living, gauge) = (&living, &gauge);
        thread::scope(|scope| {
            let neighbour = scope.spawn(move || living.attest_until(&over, gauge));
            let mut rows = Vec::with_capacity(self.attacks.len());
            for attack in &self.attacks {
                if let (Some(target), Some(own)) =
                    (self.targets.get(attack.target), own.get(attack.target))
                {
                    let row = self.tried(attack, target, own, gauge)?;
                    each(&row);
                    rows.push(row);
                }
            }
            drop(running);
            // A neighbour that panicked is hurt as badly as can be.
            let neighbour = neighbour.join().unwrap_or(Neighbour {
                hurt: true,
                ..Neighbour::default()
            });
            Ok(Report { rows, neighbour })
        })
    }

    fn tried(
        &self,
        attack: &Attack,
        target: &Target,
        own: &Attestor,
        gauge: &Gauge,
    ) -> Result<Row, TortureError> {
        let before = gauge.restart();
        let began = Instant::now();
        let outcome = match &attack.means {
            Means::Component {
                bytes,
                settings,
                by_the_clock,
            } => self.component(target, bytes, settings, *by_the_clock)?,
            Means::Evidence(evidence) => target.outcome(target.attest(own, evidence)),
            Means::AtOnce(evidence) => self.at_once(target, evidence)?,
            Means::Twice(evidence) => {
                let _first = target.attest(own, evidence);
                target.outcome(target.attest(own, evidence))
            }
        };
        let time = began.elapsed();
        gauge.look();
        let (verdict, stopped_by, detail) = outcome.judged(&attack.expected);
        Ok(Row {
            attack: attack.name.clone(),
            group: attack.group,
            target: target.subject.name.clone(),
            incident: attack.incident,
            verdict,
            stopped_by,
            detail,
            time,
            memory_bytes: before.map(|before| gauge.most().saturating_sub(before)),
        })
    }

    /// Loads a hostile component, and asks it.
    fn component(
        &self,
        target: &Target,
        bytes: &[u8],
        settings: &Value,
        by_the_clock: bool,
    ) -> Result<Outcome, TortureError> {
        let twin = target.twin()?;
        let began = Instant::now();
        let naming = target.hostile_naming(
            &self.sandbox,
            bytes.to_vec(),
            settings.clone(),
            by_the_clock,
        );
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
        let first = target.outcome(target.attest(&attestor, &twin));
        let asking = began.elapsed();
        let deadline = target.subject.naming.limits.deadline;
        if asking > deadline.saturating_mul(LATE).saturating_add(LATE_ANYWAY) {
            let (seconds, millis) = (asking.as_secs(), deadline.as_millis());
            return Ok(Outcome::Outlived(format!(
                "it ran for {seconds} s, where {millis} ms are allowed"
            )));
        }
        // What one question left behind, the next would see.
        if !by_the_clock {
            let second = target.outcome(target.attest(&attestor, &target.twin()?));
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

    /// One token, sent several times at once where it serves once.
    fn at_once(&self, target: &Target, evidence: &Evidence) -> Result<Outcome, TortureError> {
        let attestor = target.attestor_of_one_time_tokens(target.own_naming(&self.sandbox)?);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let attesting: Vec<_> = (0..AT_ONCE)
                .map(|_| scope.spawn(|| target.outcome(target.attest(&attestor, evidence))))
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
        let made = Made {
            limits: &target.subject.naming.limits,
            envelope: &target.subject.naming.envelope,
            path: &path,
            id_bytes,
            turns_per_second,
        };
        let mut attacks = Vec::new();
        for attack in components::attacks(made)? {
            attacks.push(Attack {
                name: attack.name,
                group: attack.group,
                incident: attack.incident,
                target: index,
                means: Means::Component {
                    bytes: attack.bytes,
                    settings: attack.settings,
                    by_the_clock: attack.by_the_clock,
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
                        means: Means::Evidence(Evidence::token(attack.payload)),
                        expected: attack.expected,
                    });
                }
                attacks.extend(once(target, index)?);
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
                true,
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
