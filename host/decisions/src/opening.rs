//! Finds the end of a log, and mends it where it is torn.
//!
//! A process that was killed leaves a line half written. What was torn off is
//! kept beside the segments, and the log says so; nothing before it is
//! touched. Torn is what has no line end, up to the end of the file: half a
//! line, and the zeros that a power cut may leave behind it. A line that has
//! its end and does not hold was not torn, it was changed: then the log is
//! left as it is, for somebody to look at.

use crate::chain::Head;
use crate::fault::{LineFault, Place, ReadError};
use crate::line::{Event, Repair, SegmentHeader};
use crate::reader::Reader;
use crate::segment;
use nameplate_files::{DirectoryCheck, DirectoryError};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Why a log cannot be written on.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot write to `{}`", path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may write to it.
    #[error("nothing is kept where others may write, unless `check_directories = false` says so")]
    Exposed(#[source] DirectoryError),
    /// Another process writes to it.
    #[error("another process writes to `{}`", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The end of it cannot be read.
    #[error("cannot find the end of the log")]
    Unreadable(#[source] ReadError),
    /// It was changed, not torn.
    #[error("the log was changed at {place}; move `{}` away to begin another", directory.display())]
    Damaged {
        /// The directory.
        directory: PathBuf,
        /// The first line that does not hold.
        place: Place,
        /// What is wrong with it.
        #[source]
        fault: Box<LineFault>,
    },
    /// The file that signs checkpoints cannot be used.
    #[error("cannot sign checkpoints with `{}`", path.display())]
    SigningKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::log::SigningKeyError,
    },
    /// The system gave no thread.
    #[error("the system gave no thread to write with")]
    NoThread(#[source] io::Error),
}

/// The end of a log that is there.
#[derive(Debug)]
pub(crate) struct End {
    /// The last segment, to be written on; none where the log begins.
    pub(crate) segment: Option<LastSegment>,
    pub(crate) head: Head,
    /// What was torn off.
    pub(crate) repair: Option<Repair>,
}

/// A segment that can be written on.
#[derive(Debug)]
pub(crate) struct LastSegment {
    pub(crate) file: File,
    /// Its length.
    pub(crate) bytes: u64,
    pub(crate) header: SegmentHeader,
    pub(crate) begun: SystemTime,
}

/// Makes the directory where there is none, and takes it for this process
/// until the file is dropped.
pub(crate) fn lock(directory: &Path, check: DirectoryCheck) -> Result<File, OpenError> {
    let unwritable = |path: &Path, source| OpenError::Unwritable {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| unwritable(directory, source))?;
    check.of(directory).map_err(OpenError::Exposed)?;
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = check
        .open(&options, &path)
        .map_err(|source| unwritable(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(unwritable(&path, source)),
    }
}

/// Finds the end of the log in `directory`, which is locked.
pub(crate) fn end(directory: &Path, check: DirectoryCheck) -> Result<End, OpenError> {
    let unwritable = |source| OpenError::Unwritable {
        path: directory.to_owned(),
        source,
    };
    let mut repair: Option<Repair> = None;
    let mut segments = segment::list(directory).map_err(unwritable)?;
    while let Some(path) = segments.pop() {
        let scan = Scan::of(directory, &path)?;
        let mut file = open(&path, check)?;
        if let Some(torn) = tear_off(&path, &mut file, scan.bytes)? {
            let before = repair.map_or(0, |repair| repair.torn_bytes);
            repair = Some(Repair {
                torn_bytes: torn.torn_bytes.saturating_add(before),
                ..torn
            });
        }
        match scan.begun {
            Some((header, begun)) => {
                return Ok(End {
                    segment: Some(LastSegment {
                        file,
                        bytes: scan.bytes,
                        header,
                        begun,
                    }),
                    head: scan.head,
                    repair,
                });
            }
            // Not even its first line was written.
            None => fs::remove_file(&path)
                .and_then(|()| sync_directory(directory))
                .map_err(unwritable)?,
        }
    }
    Ok(End {
        segment: None,
        head: Head::START,
        repair,
    })
}

/// The lines of a segment that hold.
#[derive(Debug)]
struct Scan {
    head: Head,
    /// Bytes of them.
    bytes: u64,
    begun: Option<(SegmentHeader, SystemTime)>,
}

impl Scan {
    fn of(directory: &Path, path: &Path) -> Result<Self, OpenError> {
        let mut scan = Self {
            head: Head::START,
            bytes: 0,
            begun: None,
        };
        let mut reader = Reader::open(path).map_err(OpenError::Unreadable)?;
        while let Some(line) = reader.next() {
            match line {
                Ok(line) => {
                    scan.head = Head {
                        sequence: line.sequence,
                        hash: line.hash,
                    };
                    scan.bytes = reader.bytes_read();
                    if let Event::Segment(header) = line.event {
                        scan.begun = Some((header, line.time));
                    }
                }
                Err(error) if error.is_torn() => break,
                Err(ReadError::Broken { place, fault }) => {
                    return Err(OpenError::Damaged {
                        directory: directory.to_owned(),
                        place,
                        fault,
                    });
                }
                Err(error @ (ReadError::Unreadable { .. } | ReadError::Empty { .. })) => {
                    return Err(OpenError::Unreadable(error));
                }
            }
        }
        Ok(scan)
    }
}

fn open(path: &Path, check: DirectoryCheck) -> Result<File, OpenError> {
    check
        .open(OpenOptions::new().read(true).append(true), path)
        .map_err(|source| OpenError::Unwritable {
            path: path.to_owned(),
            source,
        })
}

/// Takes everything behind the first `good` bytes off a segment, into a file
/// beside it.
fn tear_off(path: &Path, file: &mut File, good: u64) -> Result<Option<Repair>, OpenError> {
    let unwritable = |source| OpenError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let length = file.metadata().map_err(unwritable)?.len();
    if length <= good {
        return Ok(None);
    }
    let (name, mut torn) = torn_file(path).map_err(unwritable)?;
    file.seek(SeekFrom::Start(good)).map_err(unwritable)?;
    let torn_bytes =
        io::copy(&mut file.by_ref().take(length - good), &mut torn).map_err(unwritable)?;
    // Kept first and taken off then: being killed in between loses nothing.
    torn.sync_all().map_err(unwritable)?;
    file.set_len(good).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    Ok(Some(Repair {
        torn_bytes,
        kept_in: name,
    }))
}

/// A new file for what was torn off a segment.
fn torn_file(segment: &Path) -> io::Result<(String, File)> {
    let stem = segment.file_name().unwrap_or_default().to_string_lossy();
    for number in 1u32.. {
        let name = format!("{stem}.{number}.torn");
        match create(&segment.with_file_name(&name)) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A new file that nobody else may read.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes names in a directory as lasting as the files.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
