//! Searches: looked up where the question names one resource, else looked through a few at a time, so that
//! memory does not grow with what is kept. A page ends with a link to the next, which says in sealed words
//! how far it came: it cannot be made or changed by others, and shows nothing of the question.

use http::StatusCode;
use serde_json::{Value, json};
use wardline_fhir::search::{Criterion, SearchError, parameter};

use super::answer::{Answered, Problem, outcome};
use super::asked::Query;
use super::shelf::{Found, Kind, read};
use super::{Desk, offered};
use crate::Received;
use crate::fhir::encode;

/// Resources on one page, where nothing is said, and at most.
const USUAL: usize = 50;
const MOST: usize = 200;
/// Bytes of them; a page ends before it, but after its first.
const PAGE_BYTES: usize = 8 << 20;
/// Resources that are read at a time.
const STEP: usize = 200;
/// Resources that are looked through for one page.
const LOOKED_THROUGH: usize = 20_000;
/// Parts of one question.
const MOST_PARTS: usize = 32;
/// The parameter of links to further pages.
const CURSOR: &str = "_cursor";

/// A question.
struct Question {
    parts: Vec<Criterion>,
    /// Ids of which one is asked for.
    ids: Option<Vec<String>>,
    /// What is asked for, as links repeat it.
    said: Vec<(String, String)>,
    /// Names that were not understood and left away.
    unknown: usize,
    count: usize,
    /// Only how many there are.
    counted: bool,
}

impl Question {
    fn read(of: &Kind, query: &Query, base: &str, strict: bool) -> Result<Self, Problem> {
        let mut question = Self {
            parts: Vec::new(),
            ids: None,
            said: Vec::new(),
            unknown: 0,
            count: USUAL,
            counted: false,
        };
        for (name, value) in &query.0 {
            match name.as_str() {
                "_format" | "_pretty" => continue,
                "_count" => {
                    let broken = |_| Problem::new(400, "invalid", "`_count` is a whole number");
                    let count: usize = value.parse().map_err(broken)?;
                    question.count = count.min(MOST);
                    question.counted |= count == 0;
                }
                "_summary" if value == "count" => question.counted = true,
                "_summary" if value == "false" => {}
                "_id" => {
                    let ids = value.split(',').take(MOST).map(str::to_owned);
                    question.narrow(ids.collect());
                }
                name => {
                    let (plain, modifier) = match name.split_once(':') {
                        Some((plain, modifier)) => (plain, Some(modifier)),
                        None => (name, None),
                    };
                    let known = of.offered.parameters.iter().copied();
                    let mut known = known.chain(parameter("Resource", "_lastUpdated"));
                    let Some(known) = known.find(|one| one.name == plain) else {
                        question.unknown += 1;
                        continue;
                    };
                    if question.parts.len() == MOST_PARTS {
                        let what = "a question has at most 32 parts";
                        return Err(Problem::new(400, "too-costly", what));
                    }
                    let part = Criterion::read(known, modifier, value, base);
                    let refused = |error: SearchError| {
                        let code = match error {
                            SearchError::Modifier => "not-supported",
                            _ => "value",
                        };
                        Problem::new(400, code, format!("`{}`: {error}", known.name))
                    };
                    question.parts.push(part.map_err(refused)?);
                }
            }
            question.said.push((name.clone(), value.clone()));
        }
        if strict && question.unknown > 0 {
            let what = "a parameter of the question is not known here; /metadata says which are";
            return Err(Problem::new(400, "not-supported", what));
        }
        Ok(question)
    }

    fn narrow(&mut self, ids: Vec<String>) {
        self.ids = Some(match self.ids.take() {
            Some(before) => before.into_iter().filter(|id| ids.contains(id)).collect(),
            None => ids,
        });
    }

    fn admits(&self, resource: &Value) -> bool {
        self.parts.iter().all(|part| part.admits(resource))
    }

    /// The value of the identifier that no two share, where it is asked for.
    fn identifier(&self, of: &Kind) -> Option<&str> {
        let system = of.unique.as_deref()?;
        let mut all = self.parts.iter().filter_map(Criterion::identifier);
        all.find(|(of, _)| *of == system).map(|(_, value)| value)
    }

    fn encoded(&self) -> String {
        let all = self.said.iter();
        let all = all.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        all.collect::<Vec<_>>().join("&")
    }
}

/// What was found.
#[derive(Default)]
struct Page {
    found: Vec<Found>,
    bytes: usize,
    /// How many there are in all, where that is known.
    total: Option<u64>,
    /// The place behind which the next page begins.
    next: Option<i64>,
}

impl Desk<'_> {
    /// A page of what is asked for.
    pub(super) async fn list(
        &self,
        of: &Kind,
        query: &Query,
        received: &Received,
        posted: bool,
    ) -> Result<Answered, Problem> {
        offered(of.offered.search)?;
        let (query, after) = match query.get(CURSOR) {
            Some(cursor) => self.further(of, cursor)?,
            None => (query.clone(), 0),
        };
        let question = Question::read(of, &query, &self.asked.base, self.asked.strict)?;
        let page = if question.counted {
            self.counted(of, &question).await?
        } else {
            self.page(of, &question, after).await?
        };
        self.given(of, page.found.len(), received).await?;
        let body = self.bundle(of, &question, &page, posted)?;
        Ok(Answered::of(StatusCode::OK, Some(body)))
    }

    /// Up to two of the resources that a condition is about.
    pub(super) async fn matching(&self, of: &Kind, query: &Query) -> Result<Vec<Found>, Problem> {
        let mut question = Question::read(of, query, &self.asked.base, true)?;
        if question.parts.is_empty() && question.ids.is_none() {
            let what = "a condition asks for something";
            return Err(Problem::new(412, "required", what));
        }
        question.count = 2;
        let mut all: Vec<Found> = Vec::new();
        let mut after = 0;
        loop {
            let page = self.page(of, &question, after).await?;
            all.extend(page.found);
            match page.next {
                Some(next) if all.len() < 2 => after = next,
                _ => return Ok(all),
            }
        }
    }

    async fn page(&self, of: &Kind, question: &Question, after: i64) -> Result<Page, Problem> {
        if let Some(page) = self.looked_up(of, question).await? {
            return Ok(page);
        }
        let (source, kind) = (self.shelf.source, of.number);
        let mut page = Page::default();
        let plain = question.parts.is_empty();
        if plain {
            page.total = Some(self.shelf.resources.count(source, kind).await?);
        }
        let _turn = if plain {
            None
        } else {
            Some(self.endpoint.searches.acquire().await)
        };
        let step = if plain { question.count + 1 } else { STEP };
        let (mut after, mut looked) = (after, 0);
        loop {
            let some = self
                .shelf
                .resources
                .some(source, kind, after, 0, step)
                .await?;
            if some.is_empty() {
                return Ok(page);
            }
            for one in some {
                let place = one.place;
                let found = read(one)?;
                if question.admits(&found.value) {
                    let full = page.bytes + found.bytes > PAGE_BYTES && !page.found.is_empty();
                    if page.found.len() == question.count || full {
                        page.next = Some(after);
                        return Ok(page);
                    }
                    page.bytes += found.bytes;
                    page.found.push(found);
                }
                after = place;
                looked += 1;
            }
            if looked >= LOOKED_THROUGH {
                page.next = Some(after);
                return Ok(page);
            }
        }
    }

    /// What a question names; `None` where it names none.
    async fn looked_up(&self, of: &Kind, question: &Question) -> Result<Option<Page>, Problem> {
        let mut found = Vec::new();
        if let Some(ids) = &question.ids {
            for id in ids {
                found.extend(self.shelf.find(of, id).await?);
            }
        } else if let Some(value) = question.identifier(of) {
            found.extend(self.shelf.identified(of, value).await?);
        } else {
            return Ok(None);
        }
        found.retain(|one| question.admits(&one.value));
        let total = Some(found.len() as u64);
        found.truncate(question.count.max(1));
        Ok(Some(Page {
            found,
            total,
            ..Page::default()
        }))
    }

    async fn counted(&self, of: &Kind, question: &Question) -> Result<Page, Problem> {
        let mut page = match self.looked_up(of, question).await? {
            Some(page) => page,
            None if question.parts.is_empty() => {
                let (source, kind) = (self.shelf.source, of.number);
                let total = Some(self.shelf.resources.count(source, kind).await?);
                Page {
                    total,
                    ..Page::default()
                }
            }
            None => {
                let _turn = self.endpoint.searches.acquire().await;
                let (mut total, mut after) = (0, 0);
                loop {
                    let some = self.shelf.resources;
                    let some = some
                        .some(self.shelf.source, of.number, after, 0, STEP)
                        .await?;
                    let Some(last) = some.last() else { break };
                    after = last.place;
                    for one in some {
                        total += u64::from(question.admits(&read(one)?.value));
                    }
                }
                Page {
                    total: Some(total),
                    ..Page::default()
                }
            }
        };
        page.found.clear();
        Ok(page)
    }

    /// What a link to a further page says.
    fn further(&self, of: &Kind, cursor: &str) -> Result<(Query, i64), Problem> {
        let broken = || {
            Problem::new(
                400,
                "value",
                "the link to this page is not one of ours, or too old",
            )
        };
        let opened = self.shelf.resources.unmarked(self.shelf.source, cursor);
        let text = opened.ok_or_else(broken)?;
        let mut parts = text.splitn(3, ' ');
        let (Some(kind), Some(place), Some(query)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(broken());
        };
        if kind != of.offered.kind {
            return Err(broken());
        }
        Ok((Query::read(query)?, place.parse().map_err(|_| broken())?))
    }

    fn bundle(
        &self,
        of: &Kind,
        question: &Question,
        page: &Page,
        posted: bool,
    ) -> Result<String, Problem> {
        let at = format!("{}/{}", self.asked.base, of.offered.kind);
        let said = question.encoded();
        // What came in a body does not go into an address.
        let own = match (posted, said.is_empty()) {
            (true, _) => format!("{at}/_search"),
            (false, true) => at.clone(),
            (false, false) => format!("{at}?{said}"),
        };
        let mut links = vec![json!({ "relation": "self", "url": own })];
        if let Some(next) = page.next {
            let text = format!("{} {next} {said}", of.offered.kind);
            let cursor = self.shelf.resources.marked(self.shelf.source, &text)?;
            links.push(json!({ "relation": "next", "url": format!("{at}?{CURSOR}={cursor}") }));
        }
        let mut entries: Vec<String> = Vec::with_capacity(page.found.len() + 1);
        for found in &page.found {
            entries.push(format!(
                "{{\"fullUrl\":{},\"resource\":{},\"search\":{{\"mode\":\"match\"}}}}",
                json!(self.location(of, found)),
                Self::shown(of, found)
            ));
        }
        if question.unknown > 0 {
            let text = format!(
                "{} parameters of the question are not known here and were left away; /metadata says which are",
                question.unknown
            );
            let said = outcome("warning", "not-supported", &text);
            let entry = json!({ "resource": said, "search": { "mode": "outcome" } });
            entries.push(entry.to_string());
        }
        let total = page.total.map(|total| format!("\"total\":{total},"));
        let entries = match entries.as_slice() {
            [] => String::new(),
            all => format!(",\"entry\":[{}]", all.join(",")),
        };
        Ok(format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"searchset\",{}\"link\":{}{entries}}}",
            total.unwrap_or_default(),
            Value::Array(links)
        ))
    }
}
