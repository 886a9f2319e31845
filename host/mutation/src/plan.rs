//! All mistakes that can be made of a component.

use crate::function;
use crate::layout::{self, Prefix};
use crate::patch::Edit;
use crate::text::{self, Named};

/// `unreachable`: whoever gets there traps.
const TRAP: u8 = 0x00;

/// Why no mutants can be made of a component.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The bytes are no WebAssembly.
    #[error("not well-formed WebAssembly")]
    Malformed(#[from] wasmparser::Error),
    /// A length leads out of the bytes, or is not where it has to be.
    #[error("a length in the component is not where it has to be")]
    Torn,
}

/// A mistake in a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Where it was made.
    pub place: Place,
    /// What stood there.
    pub was: String,
    /// What stands there instead.
    pub becomes: String,
}

/// Where a mistake is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The core module, counted from 0.
    pub module: usize,
    /// Index of the function; none in data.
    pub function: Option<u32>,
    /// Name of the function, or of its export, where it has one.
    pub name: Option<String>,
    /// Offset in the component, in bytes.
    pub offset: usize,
}

/// Every mistake that can be made of one component.
#[derive(Debug)]
pub struct Plan<'a> {
    bytes: &'a [u8],
    /// The lengths round each function.
    prefixes: Vec<Vec<Prefix>>,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) sites: Vec<Site>,
}

/// A stretch of code, among those of all functions.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// Where it stands; its offset is that of the first instruction.
    pub(crate) place: Place,
    /// The stretch that has to be reached for this one to be.
    pub(crate) parent: Option<usize>,
    /// The first stretch of its function.
    pub(crate) entry: usize,
    function: usize,
}

/// A mistake, and what has to be reached for anyone to notice it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) mutant: Mutant,
    /// Any of these is enough.
    pub(crate) stretches: Vec<usize>,
    edit: Edit,
    /// The function whose lengths change; none in data, which keeps its own.
    function: Option<usize>,
}

impl<'a> Plan<'a> {
    /// Reads a component.
    ///
    /// # Errors
    /// [`PlanError`] where its bytes cannot be read.
    pub fn of(component: &'a [u8]) -> Result<Self, PlanError> {
        let mut plan = Self {
            bytes: component,
            prefixes: Vec::new(),
            stretches: Vec::new(),
            sites: Vec::new(),
        };
        for (number, module) in layout::modules(component)?.iter().enumerate() {
            plan.add(number, module)?;
        }
        Ok(plan)
    }

    /// How many mutants there are.
    #[must_use]
    pub fn mutants(&self) -> usize {
        self.sites.len()
    }

    fn add(&mut self, number: usize, module: &layout::Module<'_>) -> Result<(), PlanError> {
        let mut named = Named::new();
        for body in &module.bodies {
            let place = |offset| Place {
                module: number,
                function: Some(body.index),
                name: module.name(body.index).map(str::to_owned),
                offset,
            };
            let function = self.prefixes.len();
            self.prefixes.push(body.prefixes.clone());
            let entry = self.stretches.len();
            for found in function::stretches(body, self.bytes)? {
                let stretch = self.stretches.len();
                for address in found.addresses {
                    named.entry(address).or_default().insert(stretch);
                }
                self.sites
                    .extend(found.changes.into_iter().map(|change| Site {
                        mutant: Mutant {
                            place: place(change.edit.start),
                            was: change.was,
                            becomes: change.becomes,
                        },
                        stretches: vec![stretch],
                        edit: change.edit,
                        function: Some(function),
                    }));
                self.stretches.push(Stretch {
                    place: place(found.at),
                    parent: found.parent.map(|parent| entry.saturating_add(parent)),
                    entry,
                    function,
                });
            }
        }
        let texts = text::texts(module, &named);
        self.sites.extend(texts.into_iter().map(|text| Site {
            mutant: Mutant {
                place: Place {
                    module: number,
                    function: None,
                    name: None,
                    offset: text.at,
                },
                was: text.change.was,
                becomes: text.change.becomes,
            },
            stretches: text.stretches.into_iter().collect(),
            edit: text.change.edit,
            function: None,
        }));
        Ok(())
    }

    /// The component with the mistake in it.
    pub(crate) fn mutated(&self, site: &Site) -> Vec<u8> {
        let prefixes = site
            .function
            .and_then(|function| self.prefixes.get(function));
        site.edit
            .apply(self.bytes, prefixes.map_or(&[], Vec::as_slice))
    }

    /// The component with a trap where the stretch begins.
    pub(crate) fn trapped(&self, stretch: &Stretch) -> Vec<u8> {
        let prefixes = self.prefixes.get(stretch.function);
        Edit::insert(stretch.place.offset, [TRAP])
            .apply(self.bytes, prefixes.map_or(&[], Vec::as_slice))
    }
}
