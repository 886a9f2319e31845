//! A case as JSON: facts or evidence, never both and never neither.

use super::evidence::{Evidence, Surrounding};
use super::outcome::Outcome;
use super::{Case, Known};
use nameplate_policy::Facts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default = "no_settings")]
    settings: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    surrounding: Option<Surrounding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<Outcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_fuel: Option<u64>,
}

fn no_settings() -> Value {
    Value::Object(Map::new())
}

/// Why a file's members make no case.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaseFileError {
    #[error("a case states `facts` or `evidence`")]
    NothingKnown,
    #[error("a case states `facts` or `evidence`, not both")]
    Both,
    #[error("`surrounding` goes with `evidence`; facts state theirs")]
    SurroundingOfFacts,
}

impl TryFrom<CaseFile> for Case {
    type Error = CaseFileError;

    fn try_from(file: CaseFile) -> Result<Self, CaseFileError> {
        let known = match (file.facts, file.evidence, file.surrounding) {
            (Some(facts), None, None) => Known::Facts(Box::new(facts)),
            (None, Some(evidence), surrounding) => {
                Known::Evidence(evidence, surrounding.unwrap_or_default())
            }
            (None, None, _) => return Err(CaseFileError::NothingKnown),
            (Some(_), Some(_), _) => return Err(CaseFileError::Both),
            (Some(_), None, Some(_)) => return Err(CaseFileError::SurroundingOfFacts),
        };
        Ok(Self {
            name: file.name,
            description: file.description,
            settings: file.settings,
            known,
            expect: file.expect,
            max_fuel: file.max_fuel,
        })
    }
}

impl From<Case> for CaseFile {
    fn from(case: Case) -> Self {
        let (facts, evidence, surrounding) = match case.known {
            Known::Facts(facts) => (Some(*facts), None, None),
            Known::Evidence(evidence, surrounding) => (None, Some(evidence), Some(surrounding)),
        };
        Self {
            name: case.name,
            description: case.description,
            settings: case.settings,
            facts,
            evidence,
            surrounding,
            expect: case.expect,
            max_fuel: case.max_fuel,
        }
    }
}
