//! Rust source as a list of tokens: enough to see which paths it names. Comments, literals and
//! code compiled only for unit tests are left out.

use std::iter::Peekable;
use std::str::Chars;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An identifier, a keyword or a number.
    Word(String),
    /// `::`
    Path,
    /// Any other character except white space.
    Mark(char),
}

impl Token {
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

/// The tokens of a source file, without those for unit tests.
pub fn tokens(text: &str) -> Vec<Token> {
    without_tests(&read(text))
}

fn read(text: &str) -> Vec<Token> {
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(first) = chars.next() {
        match first {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => block_comment(&mut chars),
            '"' => string(&mut chars),
            '\'' => quote(&mut chars),
            ':' if chars.next_if_eq(&':').is_some() => tokens.push(Token::Path),
            _ if is_of_word(first) => {
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| is_of_word(*c)) {
                    word.push(next);
                }
                let raw = matches!(word.as_str(), "r" | "br" | "cr");
                if raw && matches!(chars.peek(), Some('"' | '#')) {
                    if let Some(name) = raw_string(&mut chars) {
                        tokens.push(Token::Word(name));
                    }
                } else if !(matches!(word.as_str(), "b" | "c")
                    && matches!(chars.peek(), Some('"' | '\'')))
                {
                    tokens.push(Token::Word(word));
                }
            }
            _ if first.is_whitespace() => {}
            _ => tokens.push(Token::Mark(first)),
        }
    }
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Skips a block comment; starts after the first character of `/*`. Block comments nest.
fn block_comment(chars: &mut Peekable<Chars<'_>>) {
    let (mut depth, mut last) = (0, '/');
    for c in chars {
        match (last, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                last = c;
                continue;
            }
        }
        last = ' ';
        if depth == 0 {
            return;
        }
    }
}

/// Skips a string; starts after the opening quote.
fn string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Starts after the `r`: skips a raw string, or returns a raw identifier.
fn raw_string(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        let mut name = String::new();
        while let Some(next) = chars.next_if(|c| is_of_word(*c)) {
            name.push(next);
        }
        return Some(name);
    }
    loop {
        let closing = chars.next()? == '"';
        let mut met = 0;
        while closing && met < hashes && chars.next_if_eq(&'#').is_some() {
            met += 1;
        }
        if closing && met == hashes {
            return None;
        }
    }
}

/// Starts after a single quote: skips the rest of a character or a lifetime.
fn quote(chars: &mut Peekable<Chars<'_>>) {
    match chars.next() {
        Some('\\') => {
            chars.next();
            while chars.next().is_some_and(|c| c != '\'') {}
        }
        Some(_) if chars.peek() == Some(&'\'') => drop(chars.next()),
        _ => while chars.next_if(|c| is_of_word(*c)).is_some() {},
    }
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if let Some(length) = attribute(rest) {
            let inside = &rest[..length];
            let names = |word| inside.iter().any(|token| token.is(word));
            rest = &rest[length..];
            if names("cfg") && names("test") && !names("not") {
                rest = &rest[item(rest)..];
            }
            continue;
        }
        kept.push(first.clone());
        rest = &rest[1..];
    }
    kept
}

/// Returns the length of the attribute at the beginning of `tokens`.
fn attribute(tokens: &[Token]) -> Option<usize> {
    let [Token::Mark('#'), rest @ ..] = tokens else {
        return None;
    };
    let rest = rest.strip_prefix(&[Token::Mark('!')]).unwrap_or(rest);
    let [Token::Mark('['), ..] = rest else {
        return None;
    };
    Some(tokens.len() - rest.len() + group(rest))
}

/// Returns the length of the bracketed group at the beginning of `tokens`.
fn group(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Returns the length of the item, statement or field at the beginning of `tokens`.
fn item(tokens: &[Token]) -> usize {
    let mut at = 0;
    while let Some(length) = attribute(&tokens[at..]) {
        at += length;
    }
    let is_item = tokens[at..].iter().take_while(|t| **t != Token::Mark('{'));
    let is_item = is_item.take(8).any(|token| {
        ["fn", "impl", "mod", "use", "struct", "enum", "trait"]
            .iter()
            .any(|keyword| token.is(keyword))
    });
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Mark(';') => return at + 1,
            Token::Mark(',') if !is_item => return at + 1,
            Token::Mark(')' | ']' | '}') => return at,
            Token::Mark('{') => return at + group(&tokens[at..]),
            Token::Mark('(' | '[') => at += group(&tokens[at..]),
            _ => at += 1,
        }
    }
    at
}

#[test]
fn only_code_compiled_into_the_program_is_read() {
    let text = r##"
        // crate::a
        /* crate::b /* nested */ crate::c */
        const X: &str = "crate::d \" crate::e"; const Y: &str = r#"crate::"f""#;
        fn f<'a>(x: &'a str) { g('"', '\'', b'"', b"crate::h"); r#use::i() }
        #[cfg(test)] use crate::j::{K, L};
        #[cfg(test)]
        #[allow(x)]
        impl A<B> for C { fn m() { crate::m() } }
        struct S { #[cfg(test)] n: crate::n, o: u8 }
        #[cfg(test)]
        mod tests { use super::*; }
        #[cfg(not(test))]
        mod p;
    "##;
    let words: Vec<_> = tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            _ => None,
        })
        .collect();
    assert_eq!(
        words.join(" "),
        "const X str const Y str fn f x str g use i struct S o u8 mod p"
    );
}
