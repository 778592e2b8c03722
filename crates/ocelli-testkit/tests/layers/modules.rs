//! The import graph of a crate's modules, read from the sources.
//!
//! A file is a node of the graph. An import leads to the file that defines the name, even if it
//! is written as the path of a re-export: a module that only declares and re-exports its
//! children imports nothing, and does not count as defining the names it re-exports. A child
//! that uses items defined by its parent imports the parent.

use crate::source::{Token, tokens};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// For each file, the files it imports, and by which names.
pub type Graph = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

type Names = Vec<String>;

/// One import of a `use`.
struct Import {
    path: Names,
    public: bool,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    imports: BTreeMap<String, Import>,
    /// The paths before `::*`.
    globs: Vec<Names>,
    /// Paths of two names or more, outside `use`.
    paths: Vec<Names>,
    /// All names outside `use`.
    words: BTreeSet<String>,
    /// The names of its items.
    items: BTreeSet<String>,
}

/// The target of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    Module(usize),
    /// An item that this module defines, and its name there.
    Item(usize, &'a str),
}

struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    modules: Vec<Module>,
}

/// Builds the import graph of the crate with this root; `read` returns a file's text.
pub fn graph(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Graph {
    let mut reader = Reader {
        read,
        modules: Vec::new(),
    };
    let directory = root.parent().unwrap_or(Path::new(""));
    reader.file(root, directory, None);
    reader.graph()
}

impl Reader<'_> {
    fn file(&mut self, file: &Path, directory: &Path, parent: Option<usize>) -> Option<usize> {
        let text = (self.read)(file)?;
        let module = self.module(file, parent);
        self.contents(module, directory, &tokens(&text));
        Some(module)
    }

    fn module(&mut self, file: &Path, parent: Option<usize>) -> usize {
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        self.modules.len() - 1
    }

    /// Parses a module whose children are in `directory`.
    fn contents(&mut self, module: usize, directory: &Path, tokens: &[Token]) {
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            match rest {
                [Token::Word(word), Token::Word(name), Token::Mark(mark), ..]
                    if word == "mod" && matches!(mark, ';' | '{') =>
                {
                    let below = directory.join(name);
                    let child = if *mark == ';' {
                        at += 3;
                        self.declared(directory, name, module)
                    } else {
                        let end = at + 3 + to_closing(&tokens[at + 3..]);
                        let file = self.modules[module].file.clone();
                        let child = self.module(&file, Some(module));
                        self.contents(child, &below, &tokens[at + 3..end]);
                        at = end + 1;
                        Some(child)
                    };
                    if let Some(child) = child {
                        let children = &mut self.modules[module].children;
                        children.insert(name.clone(), child);
                    }
                }
                [Token::Word(word), next, ..] if word == "use" && *next != Token::Mark('<') => {
                    let before = tokens[..at].last();
                    let public = before.is_some_and(|token| token.is("pub"))
                        || *before.unwrap_or(next) == Token::Mark(')');
                    at += 1;
                    self.tree(module, &Vec::new(), public, tokens, &mut at);
                }
                [Token::Word(_), ..] => self.path(module, tokens, &mut at),
                _ => at += 1,
            }
        }
    }

    fn declared(&mut self, directory: &Path, name: &str, parent: usize) -> Option<usize> {
        let below = directory.join(name);
        let beside = directory.join(format!("{name}.rs"));
        self.file(&beside, &below, Some(parent))
            .or_else(|| self.file(&below.join("mod.rs"), &below, Some(parent)))
    }

    /// Parses one tree of a `use`, up to but not including the `,`, `}` or `;` after it.
    fn tree(&mut self, at: usize, prefix: &Names, public: bool, all: &[Token], next: &mut usize) {
        let mut path = prefix.clone();
        let mut name = None;
        while let Some(token) = all.get(*next) {
            match token {
                Token::Mark(',' | '}' | ';') => break,
                Token::Mark('{') => {
                    while !matches!(all.get(*next), None | Some(Token::Mark('}'))) {
                        *next += 1;
                        self.tree(at, &path, public, all, next);
                    }
                    *next += 1;
                    return;
                }
                Token::Mark('*') => {
                    *next += 1;
                    self.modules[at].globs.push(path);
                    return;
                }
                Token::Word(word) if word == "as" => {
                    *next += 1;
                    if let Some(Token::Word(other)) = all.get(*next) {
                        name = Some(other.clone());
                    }
                }
                Token::Word(word) if word == "self" && !path.is_empty() => {}
                Token::Word(word) => path.push(word.clone()),
                Token::Path | Token::Mark(_) => {}
            }
            *next += 1;
        }
        let Some(name) = name.or_else(|| path.last().cloned()) else {
            return;
        };
        if path.len() > prefix.len() || all[*next - 1].is("self") {
            let imports = &mut self.modules[at].imports;
            imports.insert(name, Import { path, public });
        }
    }

    /// Parses a path or a single name outside `use`.
    fn path(&mut self, module: usize, tokens: &[Token], at: &mut usize) {
        const KEYWORDS: [&str; 9] = [
            "fn",
            "struct",
            "enum",
            "trait",
            "type",
            "const",
            "static",
            "union",
            "macro_rules",
        ];
        let begin = *at;
        let mut path = Vec::new();
        while let Some(Token::Word(word)) = tokens.get(*at) {
            path.push(word.clone());
            *at += 1;
            match tokens.get(*at..) {
                Some([Token::Path, Token::Word(_), ..]) => *at += 1,
                _ => break,
            }
        }
        let module = &mut self.modules[module];
        // `::name` and `.name` do not refer to names of this module.
        let before = tokens[..begin].last();
        if matches!(before, Some(Token::Path | Token::Mark('.'))) {
            return;
        }
        if let Some(Token::Word(before)) = before
            && KEYWORDS.contains(&before.as_str())
        {
            module.items.insert(path[0].clone());
        }
        module.words.insert(path[0].clone());
        if path.len() > 1 {
            module.paths.push(path);
        }
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        for (index, module) in self.modules.iter().enumerate() {
            let edges = graph.entry(module.file.clone()).or_default();
            let used = |(name, import): &(&String, &Import)| {
                !import.public || module.words.contains(*name)
            };
            let imports = module.imports.iter().filter(used);
            let paths = imports.map(|(_, import)| &import.path).chain(&module.paths);
            let items = paths.filter_map(|path| match self.resolve(index, path, 0)? {
                Place::Item(target, name) => Some((target, name)),
                Place::Module(_) => None,
            });
            let globs =
                module
                    .globs
                    .iter()
                    .filter_map(|path| match self.resolve(index, path, 0)? {
                        Place::Item(target, name) => Some((target, name)),
                        Place::Module(target) => Some((target, "*")),
                    });
            for (target, name) in items.chain(globs) {
                let file = &self.modules[target].file;
                if *file != module.file {
                    let names = edges.entry(file.clone()).or_default();
                    names.insert(name.to_owned());
                }
            }
        }
        graph
    }

    /// Returns `None` if the path belongs to another crate, or to no module. `depth` stops
    /// circular re-exports.
    fn resolve<'a>(&'a self, from: usize, path: &'a [String], depth: usize) -> Option<Place<'a>> {
        let (first, mut rest) = path.split_first()?;
        let mut place = match first.as_str() {
            "crate" => Place::Module(0),
            "self" => Place::Module(from),
            "super" => Place::Module(self.modules[from].parent?),
            name => self.find(from, name, depth)?,
        };
        while let (Place::Module(module), Some((name, more))) = (place, rest.split_first()) {
            place = match name.as_str() {
                "super" => Place::Module(self.modules[module].parent?),
                name => self
                    .find(module, name, depth)
                    .unwrap_or(Place::Item(module, name)),
            };
            rest = more;
        }
        Some(place)
    }

    /// Resolves a name in a module.
    fn find<'a>(&'a self, at: usize, name: &'a str, depth: usize) -> Option<Place<'a>> {
        const DEEPEST: usize = 16;
        let module = &self.modules[at];
        if depth > DEEPEST {
            return None;
        }
        if let Some(child) = module.children.get(name) {
            return Some(Place::Module(*child));
        }
        if let Some(import) = module.imports.get(name) {
            // `use name::name` and `use name` refer to another crate.
            return match import.path.first().is_some_and(|first| first == name) {
                true => None,
                false => self.resolve(at, &import.path, depth + 1),
            };
        }
        if module.items.contains(name) {
            return Some(Place::Item(at, name));
        }
        module.globs.iter().find_map(|path| {
            let Place::Module(other) = self.resolve(at, path, depth + 1)? else {
                return None;
            };
            self.find(other, name, depth + 1)
        })
    }
}

/// Returns the number of tokens before the bracket that closes the open one.
fn to_closing(tokens: &[Token]) -> usize {
    let mut depth = 1;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// Returns the shortest path from one file to another, including both.
fn shortest_path<'a>(graph: &'a Graph, from: &'a Path, to: &Path) -> Option<Vec<&'a Path>> {
    let mut paths = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        let next = path.last().and_then(|last| graph.get(*last));
        for file in next.into_iter().flat_map(BTreeMap::keys) {
            if !seen.insert(file) {
                continue;
            }
            let path: Vec<_> = path.iter().copied().chain([file.as_path()]).collect();
            if file == to {
                return Some(path);
            }
            paths.push_back(path);
        }
    }
    None
}

/// Describes the loops of a graph: for each set of files that import each other, the shortest
/// loop and the number of files.
pub fn loops(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for start in graph.keys() {
        if seen.contains(start) || shortest_path(graph, start, start).is_none() {
            continue;
        }
        let both = |other: &&PathBuf| {
            shortest_path(graph, start, other).is_some()
                && shortest_path(graph, other, start).is_some()
        };
        let together: Vec<_> = graph.keys().filter(both).collect();
        let loops = together
            .iter()
            .filter_map(|file| shortest_path(graph, file, file));
        let shortest = loops.min_by_key(Vec::len).unwrap_or_default();
        found.push(describe(graph, &shortest, together.len()));
        seen.extend(together);
    }
    found
}

fn describe(graph: &Graph, path: &[&Path], together: usize) -> String {
    let mut text = format!("{together} files import each other in a loop, such as\n");
    for pair in path.windows(2) {
        let names = &graph[pair[0]][pair[1]];
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let (file, other) = (pair[0].display(), pair[1].display());
        text += &format!("  {file} imports {other}: {}\n", names.join(", "));
    }
    text
}
