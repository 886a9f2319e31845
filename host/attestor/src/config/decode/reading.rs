//! One reading of a configuration: the problems and files gathered on the way.

use crate::config::problem::Problem;
use nameplate_files::FileError;
use std::path::{Path, PathBuf};

/// Most problems that are kept. A file with more than this is not being
/// edited, it is the wrong file.
const MAX_PROBLEMS: usize = 100;

/// What is gathered besides values.
#[derive(Debug)]
pub(super) struct Reading {
    base: PathBuf,
    problems: Vec<Problem>,
    files: Vec<PathBuf>,
}

impl Reading {
    /// Begins; relative paths start at `base`.
    pub(super) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            problems: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Notes a problem.
    pub(super) fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Where a file is that is read whenever it is needed, and so not watched.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Notes a file that the configuration names, and says where it is.
    pub(super) fn file(&mut self, path: &Path) -> PathBuf {
        let path = self.base.join(path);
        if !self.files.contains(&path) {
            self.files.push(path.clone());
        }
        path
    }

    /// Reads a file that the configuration names.
    ///
    /// # Errors
    /// As [`nameplate_files::read`].
    pub(super) fn contents(&mut self, path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
        let path = self.file(path);
        nameplate_files::read(&path, limit)
    }

    /// The problems in the order of the text, and the files.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<PathBuf>) {
        // Stable: problems of one place stay in the order they were found in.
        self.problems
            .sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        let more = self.problems.len().saturating_sub(MAX_PROBLEMS);
        if more > 0 {
            // Errors first, or a mass of warnings could hide that there are any.
            self.problems.sort_by_key(|problem| problem.severity);
            self.problems.truncate(MAX_PROBLEMS);
            let message = format!("{more} more problems are not shown");
            // Not an error of its own: with many clusters, warnings alone can be this many.
            self.problems.push(Problem::warning(None, message));
        }
        (self.problems, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_text() {
        let mut reading = Reading::new(Path::new("base"));
        for (span, message) in [
            (Some(5..6), "c"),
            (Some(1..9), "b"),
            (None, "a"),
            (Some(5..9), "d"),
        ] {
            reading.note(Problem::error(span, message));
        }
        assert_eq!(reading.file(Path::new("x")), Path::new("base/x"));
        assert_eq!(reading.file(Path::new("/x")), Path::new("/x"));
        assert_eq!(reading.file(Path::new("x")), Path::new("base/x"));
        let (problems, files) = reading.finish();
        let order: String = problems
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        assert_eq!(order, "abcd");
        assert_eq!(files, [Path::new("base/x"), Path::new("/x")]);
    }

    #[test]
    fn a_hopeless_file_is_not_listed_to_the_end() {
        let mut reading = Reading::new(Path::new(""));
        for index in 0..MAX_PROBLEMS + 20 {
            reading.note(Problem::warning(index..index, "w"));
        }
        reading.note(Problem::error(None, "e"));
        let (problems, _) = reading.finish();
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        assert_eq!(problems[0].message, "e");
        assert_eq!(
            problems[MAX_PROBLEMS].message,
            "21 more problems are not shown"
        );
    }
}
