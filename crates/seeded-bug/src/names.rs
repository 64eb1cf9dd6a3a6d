//! What a mutant says of itself: its name, its origin, what it breaks.

use std::fmt;
use std::str::FromStr;

use crate::mutants::Mutant;
use crate::table::Finder;

/// A text that names no mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseMutantError {
    /// The text as it was given.
    pub text: String,
}

impl Mutant {
    /// The name on the command line, in kebab case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// One line: what goes wrong.
    #[must_use]
    pub fn describe(self) -> &'static str {
        self.row().describe
    }

    /// The peer's bug that it repeats, or its nearest relative: id in the catalogue of failures and where it was reported.
    #[must_use]
    pub fn source(self) -> &'static str {
        self.row().source
    }

    /// The promise that it breaks; where it breaks several, the one that shows first.
    #[must_use]
    pub fn breaks(self) -> &'static str {
        self.row().breaks
    }

    /// Which half of the harness can see it.
    #[must_use]
    pub fn finder(self) -> Finder {
        self.row().finder
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mutant {
    type Err = ParseMutantError;

    fn from_str(text: &str) -> Result<Self, ParseMutantError> {
        let named = Self::ALL.iter().copied().find(|mutant| mutant.name() == text);
        named.ok_or_else(|| ParseMutantError { text: text.to_owned() })
    }
}

impl fmt::Display for ParseMutantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a mutant", self.text)
    }
}

impl std::error::Error for ParseMutantError {}
