//! The two tables of the database: holders by ID, and IDs by when their
//! holders were last seen, which says what is forgotten first.

use super::{Claimed, Holder};
use crate::subject_key::SubjectKey;
use redb::{
    Database, Error, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, WriteTransaction,
};

/// ID → subject, first given, last seen, the subject in words.
type Row<'a> = (&'a [u8; 16], u64, u64, &'a str);

const HOLDERS: TableDefinition<'_, &str, Row<'static>> = TableDefinition::new("holders");
const BY_SEEN: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("by_seen");
const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

/// How many IDs were forgotten for want of room.
const FORGOTTEN: &str = "forgotten";

/// Makes the tables, so that readers find them.
pub(super) fn make(database: &Database) -> Result<(), Error> {
    let writing = database.begin_write()?;
    drop(Table::open(&writing)?);
    writing.commit()?;
    Ok(())
}

/// Who holds `id`.
pub(super) fn holder(read: &ReadTransaction, id: &str) -> Result<Option<Holder>, Error> {
    let holders = read.open_table(HOLDERS)?;
    Ok(holders.get(id)?.map(|row| holder_of(row.value())))
}

/// How many IDs are held, and how many were forgotten.
pub(super) fn counts(read: &ReadTransaction) -> Result<(u64, u64), Error> {
    let held = read.open_table(HOLDERS)?.len()?;
    let counts = read.open_table(COUNTS)?;
    let forgotten = counts.get(FORGOTTEN)?.map_or(0, |count| count.value());
    Ok((held, forgotten))
}

fn holder_of((key, since, seen, words): Row<'_>) -> Holder {
    Holder {
        key: SubjectKey::from(*key),
        words: words.to_owned(),
        since,
        seen,
    }
}

/// The tables in one transaction.
pub(super) struct Table<'t> {
    holders: redb::Table<'t, &'static str, Row<'static>>,
    by_seen: redb::Table<'t, (u64, &'static str), ()>,
    counts: redb::Table<'t, &'static str, u64>,
}

impl<'t> Table<'t> {
    pub(super) fn open(writing: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            holders: writing.open_table(HOLDERS)?,
            by_seen: writing.open_table(BY_SEEN)?,
            counts: writing.open_table(COUNTS)?,
        })
    }

    /// Gives the ID that `holder` holds to who claims it.
    pub(super) fn replace(&mut self, claimed: &Claimed, holder: &Holder) -> Result<(), Error> {
        self.by_seen.remove((holder.seen, claimed.id.as_str()))?;
        self.give(claimed)
    }

    /// Its holder attested at `at`.
    pub(super) fn seen(&mut self, id: &str, at: u64) -> Result<(), Error> {
        let Some(holder) = self.holder(id)? else {
            return Ok(());
        };
        self.by_seen.remove((holder.seen, id))?;
        self.by_seen.insert((at, id), ())?;
        let row = (
            holder.key.as_bytes(),
            holder.since,
            at,
            holder.words.as_str(),
        );
        self.holders.insert(id, row)?;
        Ok(())
    }

    /// Forgets those not seen for longest, until no more than `entries` are left.
    pub(super) fn keep(&mut self, entries: u64) -> Result<(), Error> {
        let mut forgotten = 0u64;
        while self.holders.len()? > entries {
            let Some((key, _)) = self.by_seen.pop_first()? else {
                break;
            };
            let (_, id) = key.value();
            self.holders.remove(id)?;
            forgotten = forgotten.saturating_add(1);
        }
        if forgotten > 0 {
            let before = self.counts.get(FORGOTTEN)?.map_or(0, |count| count.value());
            self.counts
                .insert(FORGOTTEN, before.saturating_add(forgotten))?;
        }
        Ok(())
    }

    /// Who holds `id`.
    pub(super) fn holder(&self, id: &str) -> Result<Option<Holder>, Error> {
        Ok(self.holders.get(id)?.map(|row| holder_of(row.value())))
    }

    /// Gives the ID, which nobody holds, to who claims it.
    pub(super) fn give(&mut self, claimed: &Claimed) -> Result<(), Error> {
        let Claimed { id, key, words, at } = claimed;
        self.by_seen.insert((*at, id.as_str()), ())?;
        let row = (key.as_bytes(), *at, *at, words.as_str());
        self.holders.insert(id.as_str(), row)?;
        Ok(())
    }
}
