//! How much room the disk has left, and the reserve that attestations with
//! nothing proven may not use.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// The reserve: so many bytes, or a quarter of a smaller file system.
const RESERVE: u64 = 64 << 20;

/// How often the disk is asked.
const EVERY: Duration = Duration::from_secs(1);

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) whole: u64,
}

impl Room {
    /// The room where `directory` is.
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(directory)?;
        Ok(Self {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            whole: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    /// Whether nothing is left but the reserve.
    fn is_tight(self) -> bool {
        self.free < RESERVE.min(self.whole / 4)
    }
}

/// Asks the disk every so often.
#[derive(Debug)]
pub(crate) struct Gauge {
    ask: fn(&Path) -> io::Result<Room>,
    asked: Option<Instant>,
    tight: bool,
}

impl Gauge {
    pub(crate) fn new(ask: fn(&Path) -> io::Result<Room>) -> Self {
        Self {
            ask,
            asked: None,
            tight: false,
        }
    }

    /// Whether nothing is left but the reserve. A disk that does not say has
    /// room: that it has none shows when it is written to.
    pub(crate) fn is_tight(&mut self, directory: &Path, now: Instant) -> bool {
        let recent = |asked| now.saturating_duration_since(asked) < EVERY;
        if !self.asked.is_some_and(recent) {
            self.tight = (self.ask)(directory).is_ok_and(Room::is_tight);
            self.asked = Some(now);
        }
        self.tight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_quarter_of_a_small_disk() {
        let tight = |free, whole| Room { free, whole }.is_tight();
        assert!(tight(RESERVE - 1, 1 << 40));
        assert!(!tight(RESERVE, 1 << 40));
        assert!(tight((1 << 20) - 1, 4 << 20));
        assert!(!tight(1 << 20, 4 << 20));
    }

    #[test]
    fn a_disk_that_is_there_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::of(dir.path()).unwrap();
        assert!(room.whole > 0 && room.free <= room.whole, "{room:?}");
        assert!(Room::of(&dir.path().join("nowhere")).is_err());
    }
}
