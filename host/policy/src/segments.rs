//! Fewer data segments, with the same memory after them.
//!
//! Without copy-on-write memory the engine makes start-up code for each active
//! data segment, so that a hundred thousand empty ones keep the compiler busy
//! for minutes. Compilers write many (Go: one for each run of bytes that is not
//! zero), and so does a snapshot. Here they become few, before anything is
//! compiled. Custom sections are left out too: the compiler has no use for
//! them.
//!
//! The memory after the segments is the same, and where one of them lies
//! outside of the memory, one still does: an instance that traps is thrown
//! away, so it does not matter how far it came.

use std::borrow::Cow;
use std::ops::Range;
use wasm_encoder::{
    ComponentSectionId, ConstExpr, DataCountSection, DataSection, RawSection, Section as _,
    SectionId,
};
use wasmparser::{
    BinaryReader, CodeSectionReader, Data, DataKind, DataSectionReader, ImportSectionReader,
    Operator, TypeRef,
};

/// Segments that are no further apart than this become one, with zeros in
/// between: to copy a page of zeros costs less than to begin another segment.
const GAP: u64 = 4096;

/// What decides about the segments of a module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merging {
    /// Whether its memory is imported, and so may not begin as zeros.
    pub(crate) imported_memory: bool,
    /// Whether its code names segments by their numbers.
    pub(crate) named: bool,
}

/// A segment after merging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// As it was written.
    Kept(Range<usize>),
    /// These pieces at these offsets, one over the other, and zeros between.
    Merged {
        offset: u64,
        end: u64,
        pieces: Vec<(u64, &'a [u8])>,
    },
}

/// The segments of a module, merged. At most `zeros` bytes come in between,
/// which are taken off it.
pub(crate) fn planned<'a>(
    section: DataSectionReader<'a>,
    merging: Merging,
    zeros: &mut usize,
) -> wasmparser::Result<Vec<Segment<'a>>> {
    let mut planned = Vec::new();
    let mut together = Vec::new();
    // Until something may have been written that is not known here.
    let mut all_zeros = !merging.imported_memory;
    for data in section {
        let data = data?;
        match &data.kind {
            _ if merging.named => planned.push(Segment::Kept(data.range)),
            // Nothing can name it.
            DataKind::Passive => {}
            DataKind::Active { .. } => match offset(&data)? {
                Some(offset) => together.push((offset, data.data)),
                // Only an instance knows where it lies, and what it lies over.
                None => {
                    merge(&mut together, all_zeros, zeros, &mut planned);
                    planned.push(Segment::Kept(data.range));
                    all_zeros = false;
                }
            },
        }
    }
    merge(&mut together, all_zeros, zeros, &mut planned);
    Ok(planned)
}

/// Where a segment lies, if that is written in the first memory and as a number.
fn offset(data: &Data<'_>) -> wasmparser::Result<Option<u64>> {
    let DataKind::Active {
        memory_index: 0,
        offset_expr,
    } = &data.kind
    else {
        return Ok(None);
    };
    let mut operators = offset_expr.get_operators_reader();
    let first = operators.read()?;
    let second = operators.read()?;
    Ok(match (first, second) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned().into()),
        _ => None,
    })
}

/// Merges segments that follow each other, in a memory that is `all_zeros`
/// before them or of which nothing is known.
fn merge<'a>(
    together: &mut Vec<(u64, &'a [u8])>,
    all_zeros: bool,
    zeros: &mut usize,
    planned: &mut Vec<Segment<'a>>,
) {
    let mut last_empty = 0;
    let mut runs: Vec<Range<u64>> = Vec::new();
    let end = |(offset, data): &(u64, &[u8])| offset.saturating_add(length(data));
    let mut ranges: Vec<_> = Vec::new();
    for piece in together.iter() {
        match piece {
            (offset, []) => last_empty = last_empty.max(*offset),
            _ => ranges.push(piece.0..end(piece)),
        }
    }
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    for range in ranges {
        if let Some(run) = runs.last_mut() {
            let gap = range.start.saturating_sub(run.end);
            let filled = usize::try_from(gap).unwrap_or(usize::MAX);
            let fits = gap == 0 || all_zeros && gap <= GAP && filled <= *zeros;
            if fits {
                *zeros -= filled;
                run.end = run.end.max(range.end);
                continue;
            }
        }
        runs.push(range);
    }
    let reached = runs.last().map_or(0, |run| run.end);
    let mut pieces: Vec<Vec<_>> = runs.iter().map(|_| Vec::new()).collect();
    // In the order in which they were written: the later one lies above.
    for piece in together.drain(..) {
        let after = runs.partition_point(|run| run.start <= piece.0);
        let run = after.checked_sub(1).and_then(|at| pieces.get_mut(at));
        if let Some(run) = run.filter(|_| !piece.1.is_empty()) {
            run.push(piece);
        }
    }
    for (run, pieces) in runs.into_iter().zip(pieces) {
        planned.push(Segment::Merged {
            offset: run.start,
            end: run.end,
            pieces,
        });
    }
    // An empty segment does nothing but lie outside of a memory.
    if last_empty > reached {
        planned.push(Segment::Merged {
            offset: last_empty,
            end: last_empty,
            pieces: Vec::new(),
        });
    }
}

/// A component or core module with few data segments and no custom sections,
/// and with at most `zeros` bytes between the former. As it was where its
/// sections cannot be told apart; a validator says what is wrong with it.
pub(crate) fn lean(bytes: &[u8], mut zeros: usize) -> Cow<'_, [u8]> {
    match rewritten(bytes, &mut zeros) {
        Some(rewritten) => Cow::Owned(rewritten),
        None => Cow::Borrowed(bytes),
    }
}

fn rewritten(bytes: &[u8], zeros: &mut usize) -> Option<Vec<u8>> {
    let mut kept = header(bytes)?.to_vec();
    for section in sections(bytes)? {
        if section.is(ComponentSectionId::CoreModule) {
            append(&mut kept, section.id, &module(section.content, zeros)?);
        } else if section.is(ComponentSectionId::Component) {
            append(&mut kept, section.id, &rewritten(section.content, zeros)?);
        } else if !section.is(ComponentSectionId::CoreCustom) {
            kept.extend(section.whole);
        }
    }
    Some(kept)
}

fn module(bytes: &[u8], zeros: &mut usize) -> Option<Vec<u8>> {
    let sections = sections(bytes)?;
    let content = |id: SectionId| {
        let section = sections.iter().find(|section| section.is(id));
        section.map(|section| section.content)
    };
    let data = match content(SectionId::Data) {
        Some(data) => {
            let merging = Merging {
                imported_memory: imports_memory(content(SectionId::Import))?,
                // Without their count no code can name them.
                named: content(SectionId::DataCount).is_some()
                    && names_data(content(SectionId::Code))?,
            };
            let reader = DataSectionReader::new(BinaryReader::new(data, 0)).ok()?;
            let planned = planned(reader, merging, zeros).ok()?;
            Some(written(&planned, data)?)
        }
        None => None,
    };
    let mut kept = header(bytes)?.to_vec();
    for section in &sections {
        match &data {
            _ if section.is(SectionId::Custom) => {}
            Some(data) if section.is(SectionId::Data) => data.append_to(&mut kept),
            Some(data) if section.is(SectionId::DataCount) => {
                let count = data.len();
                DataCountSection { count }.append_to(&mut kept);
            }
            Some(_) | None => kept.extend(section.whole),
        }
    }
    Some(kept)
}

/// The segments as the binary format has them; `section` is what they were in.
fn written(planned: &[Segment<'_>], section: &[u8]) -> Option<DataSection> {
    let mut written = DataSection::new();
    for segment in planned {
        match segment {
            Segment::Kept(range) => {
                written.raw(section.get(range.clone())?);
            }
            Segment::Merged {
                offset,
                end,
                pieces,
            } => {
                let mut image = vec![0; usize::try_from(end.checked_sub(*offset)?).ok()?];
                for (at, data) in pieces {
                    let from = usize::try_from(at.checked_sub(*offset)?).ok()?;
                    let to = from.checked_add(data.len())?;
                    image.get_mut(from..to)?.copy_from_slice(data);
                }
                let offset = u32::try_from(*offset).ok()?.cast_signed();
                written.active(0, &ConstExpr::i32_const(offset), image);
            }
        }
    }
    Some(written)
}

fn imports_memory(section: Option<&[u8]>) -> Option<bool> {
    let Some(section) = section else {
        return Some(false);
    };
    let reader = ImportSectionReader::new(BinaryReader::new(section, 0)).ok()?;
    for import in reader.into_imports() {
        if matches!(import.ok()?.ty, TypeRef::Memory(_)) {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether any code names a data segment.
fn names_data(section: Option<&[u8]>) -> Option<bool> {
    let Some(section) = section else {
        return Some(false);
    };
    for body in CodeSectionReader::new(BinaryReader::new(section, 0)).ok()? {
        for operator in body.ok()?.get_operators_reader().ok()? {
            if names(&operator.ok()?) {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Whether an instruction names a data segment.
pub(crate) fn names(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryInit { .. }
            | Operator::DataDrop { .. }
            | Operator::ArrayNewData { .. }
            | Operator::ArrayInitData { .. }
    )
}

struct Section<'a> {
    id: u8,
    content: &'a [u8],
    /// With its identifier and its length.
    whole: &'a [u8],
}

impl Section<'_> {
    fn is(&self, id: impl Into<u8>) -> bool {
        self.id == id.into()
    }
}

/// The header of a component or of a core module.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..8)
}

fn sections(bytes: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut sections = Vec::new();
    let mut rest = bytes.get(8..)?;
    while let Some((&id, after)) = rest.split_first() {
        let mut reader = BinaryReader::new(after, 0);
        let size = usize::try_from(reader.read_var_u32().ok()?).ok()?;
        let content = reader.read_bytes(size).ok()?;
        let (whole, others) = rest.split_at_checked(reader.current_position().checked_add(1)?)?;
        sections.push(Section { id, content, whole });
        rest = others;
    }
    Some(sections)
}

fn append(to: &mut Vec<u8>, id: u8, data: &[u8]) {
    RawSection { id, data }.append_to(to);
}

fn length(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
