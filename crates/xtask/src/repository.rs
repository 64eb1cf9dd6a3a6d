//! The files that tidy looks at: everything readable as text, in a fixed order.
//!
//! Build output, git's own folder and files above [`TEXT_BYTES_MAX`] are left out; what is not UTF-8 is not text.
//! Paths are relative to the root and use `/`, so that reports are equal on every machine.

use std::fs;
use std::io;
use std::path::Path;

use crate::source::Source;

/// Larger files are data, in bytes: a source file of this size would break other rules long before.
const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Folders that hold output, not sources.
const SKIPPED_FOLDERS: [&str; 6] =
    [".git", "target", ".atoll", "node_modules", "corpus", "artifacts"];

/// The text files of the work tree.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    files: Vec<File>,
    sources: Vec<Source>,
}

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// The whole content.
    pub(crate) text: String,
}

impl Repository {
    /// Reads the work tree below `root`.
    ///
    /// # Errors
    /// When a folder or file of it cannot be read.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        collect(root, "", &mut files)?;
        Ok(Self::new(files))
    }

    /// Takes `files` as the whole work tree.
    pub(crate) fn new(mut files: Vec<File>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
        let sources = rust.map(|file| Source::new(&file.path, &file.text)).collect();
        Self { files, sources }
    }

    /// All text files, ordered by path.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust sources among them, ordered by path.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The content of one file, if it is there.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &path, files)?;
        } else if kind.is_file()
            && entry.metadata()?.len() <= TEXT_BYTES_MAX
            && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
        {
            files.push(File { path, text });
        }
    }
    Ok(())
}
