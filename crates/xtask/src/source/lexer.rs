//! Splits Rust text into its code and its comments, keeping every line break in both.
//!
//! A single pass over the characters. Whatever is not wanted becomes a space, so that columns stay roughly where they
//! were and words never grow together. Literals lose their content and keep their quotes.

/// The code and the comments of `text`.
pub(super) fn split(text: &str) -> (String, String) {
    let mut lexer = Lexer {
        input: text.chars().collect(),
        at: 0,
        code: String::with_capacity(text.len()),
        comments: String::with_capacity(text.len()),
    };
    while let Some(c) = lexer.peek(0) {
        lexer.step(c);
    }
    (lexer.code, lexer.comments)
}

/// Where a character goes.
#[derive(Clone, Copy)]
enum Into {
    Code,
    Comments,
    Neither,
}

struct Lexer {
    input: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

impl Lexer {
    /// Consumes what begins with `c`: a comment, a literal, or one character of code.
    fn step(&mut self, c: char) {
        match (c, self.peek(1)) {
            ('/', Some('/')) => self.line_comment(),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.character_or_lifetime(),
            ('r', _) if !self.follows_identifier() && self.raw_hashes().is_some() => {
                self.raw_string()
            }
            ('b' | 'c', Some('r')) if !self.follows_identifier() => {
                self.emit(Into::Code);
                if self.raw_hashes().is_some() {
                    self.raw_string();
                }
            }
            _ => self.emit(Into::Code),
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.input.get(self.at + ahead).copied()
    }

    /// Moves one character on, into one of the outputs and as a blank into the other.
    fn emit(&mut self, into: Into) {
        let Some(c) = self.peek(0) else { return };
        self.at += 1;
        let blank = if c == '\n' { '\n' } else { ' ' };
        let (code, comment) = match into {
            Into::Code => (if c.is_ascii() { c } else { blank }, blank),
            Into::Comments => (blank, c),
            Into::Neither => (blank, blank),
        };
        self.code.push(code);
        self.comments.push(comment);
    }

    fn follows_identifier(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|index| self.input.get(index));
        before.is_some_and(|c| super::is_identifier(*c))
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.emit(Into::Comments);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.emit(Into::Comments);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.emit(Into::Comments);
                }
                (None, _) => return,
                _ => {}
            }
            self.emit(Into::Comments);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.emit(Into::Code);
        while let Some(c) = self.peek(0) {
            match c {
                '"' => return self.emit(Into::Code),
                '\\' => {
                    self.emit(Into::Neither);
                    self.emit(Into::Neither);
                }
                _ => self.emit(Into::Neither),
            }
        }
    }

    /// The number of hashes of a raw string that begins here with `r`; `None` if none begins.
    fn raw_hashes(&self) -> Option<usize> {
        if self.peek(0) != Some('r') {
            return None;
        }
        let rest = self.input.get(self.at + 1..).unwrap_or_default();
        let hashes = rest.iter().take_while(|c| **c == '#').count();
        (rest.get(hashes) == Some(&'"')).then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        for _ in 0..hashes + 2 {
            self.emit(Into::Code);
        }
        while let Some(c) = self.peek(0) {
            let closing = self.input.get(self.at + 1..).unwrap_or_default();
            let closes =
                c == '"' && closing.iter().take(hashes).filter(|c| **c == '#').count() == hashes;
            if closes {
                for _ in 0..=hashes {
                    self.emit(Into::Code);
                }
                return;
            }
            self.emit(Into::Neither);
        }
    }

    fn character_or_lifetime(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        self.emit(Into::Code);
        if escaped {
            self.emit(Into::Neither);
            self.emit(Into::Neither);
            while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
                self.emit(Into::Neither);
            }
            self.emit(Into::Code);
        } else if self.peek(1) == Some('\'') {
            self.emit(Into::Neither);
            self.emit(Into::Code);
        }
    }
}
