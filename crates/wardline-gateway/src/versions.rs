//! Versions of an Api that share a path and are told apart by a header.
//!
//! Each version keeps routes of its own, so that a literal segment that only the newer one has does
//! not hide a parameter of the older. Looked at only where no path of its own fits a request, so
//! that versions by path cost nothing.

use ahash::AHashMap;
use http::{HeaderMap, HeaderName, Method};
use std::sync::Arc;

use crate::plan::{Api, ByHeader};
use crate::route::{Found, Miss, Routes};

/// The Apis of one zone whose versions a header tells apart, by their path.
#[derive(Debug, Default)]
pub(crate) struct Versions(AHashMap<Box<str>, Group>);

#[derive(Debug)]
struct Group {
    header: HeaderName,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    version: Arc<str>,
    default: bool,
    routes: Routes,
}

impl Versions {
    /// Adds a route of a version; as [`Routes::insert`].
    pub(crate) fn insert(
        &mut self,
        api: &Api,
        by: &ByHeader,
        method: &Method,
        path: &str,
        target: u32,
    ) -> Result<Option<u32>, &'static str> {
        let base = api.base.trim_end_matches('/');
        let group = self.0.entry(base.into()).or_insert_with(|| Group {
            header: by.header.clone(),
            members: Vec::new(),
        });
        if group.header != by.header {
            return Err("versions at one path are told apart by different headers");
        }
        let known = group
            .members
            .iter()
            .position(|member| member.version == api.version);
        let at = known.unwrap_or_else(|| {
            group.members.push(Member {
                version: Arc::clone(&api.version),
                default: by.default,
                routes: Routes::default(),
            });
            group.members.len() - 1
        });
        match group.members.get_mut(at) {
            Some(member) => member.routes.insert(method, path, target),
            None => Ok(None),
        }
    }

    /// Finds what serves a request; `None` where its path is that of no such Api.
    pub(crate) fn find(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Found, Miss>> {
        if self.0.is_empty() {
            return None;
        }
        let ends = memchr::memchr_iter(b'/', path.as_bytes()).skip(1);
        let group = ends
            .chain([path.len()])
            .find_map(|end| self.0.get(path.get(..end)?))?;
        let Some(member) = group.chosen(headers) else {
            let known = group
                .members
                .iter()
                .map(|member| Arc::clone(&member.version));
            return Some(Err(Miss::Version {
                header: group.header.clone(),
                known: known.collect(),
            }));
        };
        Some(member.routes.find(method, path))
    }
}

impl Group {
    fn chosen(&self, headers: &HeaderMap) -> Option<&Member> {
        let mut values = headers.get_all(&self.header).iter();
        match (values.next(), values.next()) {
            (None, _) => self.members.iter().find(|member| member.default),
            (Some(value), None) => {
                let wanted = value.to_str().ok()?.trim();
                let wanted = wanted.strip_prefix(['v', 'V']).unwrap_or(wanted);
                let fits = |member: &&Member| {
                    let version = &*member.version;
                    wanted == version || version.split('.').next() == Some(wanted)
                };
                self.members.iter().find(fits)
            }
            // Two values could be read as either.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(version: &str) -> Api {
        Api {
            name: "beds".into(),
            version: version.into(),
            base: "/beds".to_owned(),
            by_header: None,
            zones: Vec::new(),
            headers: Vec::new(),
            facility: Vec::new(),
            contract: None,
            operations: Vec::new(),
        }
    }

    fn asked(versions: &Versions, path: &str, values: &[&str]) -> Option<Result<u32, Miss>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-api-version", value.parse().unwrap());
        }
        let found = versions.find(&Method::GET, path, &headers)?;
        Some(found.map(|found| found.target))
    }

    #[test]
    fn the_header_chooses_and_each_version_has_its_own_routes() {
        let mut versions = Versions::default();
        let by = |default| ByHeader {
            header: HeaderName::from_static("x-api-version"),
            default,
        };
        let (one, two) = (api("1.4.0"), api("2.0.1"));
        let mut add = |api: &Api, default, path: &str, target| {
            let added = versions.insert(api, &by(default), &Method::GET, path, target);
            assert_eq!(added, Ok(None), "{path}");
        };
        add(&one, true, "/beds/{bed}", 1);
        add(&two, false, "/beds/{bed}", 2);
        add(&two, false, "/beds/free", 3);
        for (path, values, target) in [
            ("/beds/7", &[][..], 1),
            ("/beds/7", &["1"], 1),
            ("/beds/7", &["v2"], 2),
            ("/beds/7", &[" 2.0.1 "], 2),
            // Only the newer has it; the older reads a bed's name.
            ("/beds/free", &["1"], 1),
            ("/beds/free", &["2"], 3),
        ] {
            let found = asked(&versions, path, values);
            assert_eq!(found, Some(Ok(target)), "{path} {values:?}");
        }
        let known: Vec<Arc<str>> = vec!["1.4.0".into(), "2.0.1".into()];
        for values in [&["3"][..], &[""], &["1", "2"], &["1.4"], &["v"]] {
            let Some(Err(Miss::Version { known: told, .. })) = asked(&versions, "/beds/7", values)
            else {
                panic!("{values:?}");
            };
            assert_eq!(told, known);
        }
        assert_eq!(asked(&versions, "/bedside/7", &["1"]), None);
        assert_eq!(
            asked(&versions, "/beds/7/x", &["1"]),
            Some(Err(Miss::NotFound))
        );
    }
}
