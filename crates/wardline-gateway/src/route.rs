//! From a path and a method to an operation: a tree of segments, made once for a plan.
//!
//! A literal segment beats a parameter; where the literal leads nowhere the parameter is tried.
//! What a lookup costs depends on the path's length, not on how many Apis there are.

use ahash::AHashMap;
use http::Method;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Longer paths are refused.
const LONGEST: usize = 8 * 1024;
/// Paths of more segments are refused.
const DEEPEST: usize = 32;

type Spans = SmallVec<[(u16, u16); 4]>;

/// The values that a path has for its template's parameters.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    names: &'a [Arc<str>],
    spans: &'a [(u16, u16)],
    path: &'a str,
}

impl<'a> Params<'a> {
    /// No parameters.
    pub const NONE: Params<'static> = Params {
        names: &[],
        spans: &[],
        path: "",
    };

    pub(crate) fn new(names: &'a [Arc<str>], spans: &'a [(u16, u16)], path: &'a str) -> Self {
        Self { names, spans, path }
    }

    /// The value of `name` as it was sent, percent-encoded.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let at = self.names.iter().position(|have| &**have == name)?;
        self.at(at)
    }

    pub(crate) fn at(&self, at: usize) -> Option<&'a str> {
        let &(from, to) = self.spans.get(at)?;
        self.path.get(usize::from(from)..usize::from(to))
    }

    /// The value of `name`, decoded; `None` where it is no UTF-8.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        decoded(self.raw(name)?)
    }

    /// Names and raw values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let this = *self;
        this.names
            .iter()
            .enumerate()
            .filter_map(move |(at, name)| Some((&**name, this.at(at)?)))
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Params").field(&self.names).finish()
    }
}

/// Undoes percent-encoding; `None` where it is broken or gives no UTF-8.
pub(crate) fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Percent-encodes everything but unreserved characters (RFC 3986, 2.3).
pub(crate) fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            text.push('%');
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    text
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a str),
    Param(&'a str),
}

/// Cuts a template into its segments.
pub(crate) fn template(path: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err("it does not begin with `/`");
    };
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    if rest.is_empty() {
        return Ok(pieces);
    }
    for segment in rest.split('/') {
        let piece = match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some("") => return Err("a parameter has no name"),
            Some(name) => Piece::Param(name),
            None if segment.is_empty() => return Err("a segment is empty"),
            None if segment.contains(['{', '}']) => return Err("a parameter is a whole segment"),
            None => Piece::Literal(segment),
        };
        if matches!(piece, Piece::Param(_)) && pieces.contains(&piece) {
            return Err("a parameter appears twice");
        }
        pieces.push(piece);
    }
    if pieces.len() > DEEPEST {
        return Err("it has too many segments");
    }
    Ok(pieces)
}

/// Why nothing was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss {
    /// The path is not acceptable.
    BadPath,
    /// Nothing is there.
    NotFound,
    /// Something is there, for these methods.
    Method(Vec<Method>),
    /// Versions are there, and the header names none of them.
    Version {
        /// The header that tells them apart.
        header: http::HeaderName,
        /// The versions, as declared.
        known: Vec<Arc<str>>,
    },
}

/// What a lookup found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// What was inserted for it.
    pub target: u32,
    pub(crate) spans: Spans,
}

#[derive(Debug, Default)]
struct Node {
    literals: AHashMap<Box<str>, u32>,
    param: Option<u32>,
    methods: SmallVec<[(Method, u32); 2]>,
}

/// All routes of one zone.
#[derive(Debug)]
pub struct Routes {
    nodes: Vec<Node>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl Routes {
    /// Adds a template; gives the target that is there already where two claim the same requests.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub fn insert(
        &mut self,
        method: &Method,
        path: &str,
        target: u32,
    ) -> Result<Option<u32>, &'static str> {
        let mut at = 0;
        for piece in template(path)? {
            let fresh = self.nodes.len() as u32;
            let node = &mut self.nodes[at];
            let next = match piece {
                Piece::Literal(text) => *node.literals.entry(text.into()).or_insert(fresh),
                Piece::Param(_) => *node.param.get_or_insert(fresh),
            };
            if next == fresh {
                self.nodes.push(Node::default());
            }
            at = next as usize;
        }
        let methods = &mut self.nodes[at].methods;
        if let Some((_, there)) = methods.iter().find(|(have, _)| have == method) {
            return Ok(Some(*there));
        }
        methods.push((method.clone(), target));
        Ok(None)
    }

    /// Finds what serves `method` at `path`.
    ///
    /// # Errors
    /// [`Miss`].
    pub fn find(&self, method: &Method, path: &str) -> Result<Found, Miss> {
        let segments = segments(path)?;
        let wanted = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut search = Search {
            routes: self,
            path,
            segments: &segments,
            method: wanted,
            spans: Spans::new(),
            allowed: Vec::new(),
        };
        match search.walk(0, 0) {
            Some(target) => Ok(Found {
                target,
                spans: search.spans,
            }),
            None if search.allowed.is_empty() => Err(Miss::NotFound),
            None => {
                let mut allowed = search.allowed;
                if allowed.contains(&Method::GET) {
                    allowed.push(Method::HEAD);
                }
                Err(Miss::Method(allowed))
            }
        }
    }
}

struct Search<'a> {
    routes: &'a Routes,
    path: &'a str,
    segments: &'a [(u16, u16)],
    method: &'a Method,
    spans: Spans,
    allowed: Vec<Method>,
}

impl Search<'_> {
    fn walk(&mut self, node: u32, depth: usize) -> Option<u32> {
        let routes = self.routes;
        let node = &routes.nodes[node as usize];
        let Some(&(from, to)) = self.segments.get(depth) else {
            let hit = node.methods.iter().find(|(have, _)| have == self.method);
            if hit.is_none() {
                for (method, _) in &node.methods {
                    if !self.allowed.contains(method) {
                        self.allowed.push(method.clone());
                    }
                }
            }
            return hit.map(|(_, target)| *target);
        };
        let segment = &self.path[usize::from(from)..usize::from(to)];
        if let Some(&next) = node.literals.get(segment)
            && let Some(target) = self.walk(next, depth + 1)
        {
            return Some(target);
        }
        let next = node.param?;
        self.spans.push((from, to));
        let found = self.walk(next, depth + 1);
        if found.is_none() {
            self.spans.pop();
        }
        found
    }
}

/// Cuts a path; refuses what two readers could understand differently.
fn segments(path: &str) -> Result<SmallVec<[(u16, u16); 8]>, Miss> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') || bytes.len() > LONGEST {
        return Err(Miss::BadPath);
    }
    let mut cut = SmallVec::new();
    if bytes.len() == 1 {
        return Ok(cut);
    }
    let mut from = 1;
    let ends = memchr::memchr_iter(b'/', &bytes[1..]).map(|at| at + 1);
    for to in ends.chain([bytes.len()]) {
        if cut.len() == DEEPEST || !acceptable(&bytes[from..to]) {
            return Err(Miss::BadPath);
        }
        cut.push((from as u16, to as u16));
        from = to + 1;
    }
    Ok(cut)
}

/// Neither empty nor a dot segment, also when decoded, and nothing in it that a system behind
/// could take for a separator.
fn acceptable(segment: &[u8]) -> bool {
    if matches!(segment, b"" | b"." | b"..") || segment.contains(&b'\\') {
        return false;
    }
    if memchr::memchr(b'%', segment).is_none() {
        return true;
    }
    let mut dots = true;
    let mut rest = segment;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let mut value = byte;
        if byte == b'%' {
            let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return false;
            };
            value = (high * 16 + low) as u8;
            if matches!(value, b'/' | b'\\' | b'%') || value < 0x20 || value == 0x7f {
                return false;
            }
            rest = &tail[2..];
        }
        dots &= value == b'.';
    }
    !dots
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(paths: &[(&str, &str)]) -> Routes {
        let mut routes = Routes::default();
        for (at, (method, path)) in paths.iter().enumerate() {
            let method = method.parse().unwrap();
            assert_eq!(routes.insert(&method, path, at as u32), Ok(None), "{path}");
        }
        routes
    }

    fn find(routes: &Routes, method: &str, path: &str) -> Result<(u32, Vec<String>), Miss> {
        let found = routes.find(&method.parse().unwrap(), path)?;
        let value = |&(a, b): &(u16, u16)| path[usize::from(a)..usize::from(b)].to_owned();
        Ok((found.target, found.spans.iter().map(value).collect()))
    }

    #[test]
    fn a_literal_beats_a_parameter_and_a_dead_end_falls_back() {
        let routes = table(&[
            ("GET", "/s/v1/suppliers/{id}"),
            ("GET", "/s/v1/suppliers/search"),
            ("GET", "/s/v1/suppliers/{id}/orders/{order}"),
            ("GET", "/s/v1/suppliers/search/help"),
            ("POST", "/s/v1/suppliers/search"),
        ]);
        assert_eq!(
            find(&routes, "GET", "/s/v1/suppliers/search"),
            Ok((1, vec![]))
        );
        assert_eq!(
            find(&routes, "POST", "/s/v1/suppliers/search"),
            Ok((4, vec![]))
        );
        assert_eq!(
            find(&routes, "HEAD", "/s/v1/suppliers/7"),
            Ok((0, vec!["7".into()]))
        );
        assert_eq!(
            find(&routes, "GET", "/s/v1/suppliers/search/orders/9"),
            Ok((2, vec!["search".into(), "9".into()]))
        );
    }

    #[test]
    fn misses_tell_the_methods_that_are_there() {
        let routes = table(&[("GET", "/a/{x}"), ("PUT", "/a/{y}"), ("DELETE", "/a/b")]);
        assert_eq!(find(&routes, "GET", "/a"), Err(Miss::NotFound));
        assert_eq!(find(&routes, "GET", "/a/b/"), Err(Miss::BadPath));
        assert_eq!(
            find(&routes, "POST", "/a/c"),
            Err(Miss::Method(vec![Method::GET, Method::PUT, Method::HEAD]))
        );
        assert_eq!(find(&routes, "GET", "/a/b"), Ok((0, vec!["b".into()])));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let routes = table(&[("GET", "/a/{x}/c")]);
        for path in [
            "a",
            "//a",
            "/a//c",
            "/a/./c",
            "/a/../c",
            "/a/%2e%2E/c",
            "/a/.%2e/c",
            "/a/x%2fy/c",
            "/a/x%5cy/c",
            "/a/%00/c",
            "/a/%/c",
            "/a/%4/c",
            "/a/%zz/c",
            "/a/%252f/c",
            "/a/x\\y/c",
            "*",
            "",
        ] {
            assert_eq!(find(&routes, "GET", path), Err(Miss::BadPath), "{path}");
        }
        assert_eq!(find(&routes, "GET", "/a/%41.%2e/c").unwrap().0, 0);
    }

    #[test]
    fn same_shapes_clash() {
        let mut routes = table(&[("GET", "/a/{x}")]);
        assert_eq!(routes.insert(&Method::GET, "/a/{other}", 9), Ok(Some(0)));
        assert!(routes.insert(&Method::GET, "/a/{x}/{x}", 9).is_err());
        assert!(routes.insert(&Method::GET, "/a/b{x}", 9).is_err());
    }

    proptest! {
        #[test]
        fn any_path_is_answered(path in "/?[a-c%/.{}25e\\\\]{0,40}") {
            let routes = table(&[("GET", "/a/{x}/c"), ("GET", "/a/b"), ("GET", "/{y}/{z}/{w}")]);
            let _ = routes.find(&Method::GET, &path);
        }

        #[test]
        fn encoding_is_undone(text in "\\PC{0,20}") {
            let coded = encoded(&text);
            let plain = decoded(&coded);
            prop_assert_eq!(plain.as_deref(), Some(text.as_str()));
        }
    }
}
