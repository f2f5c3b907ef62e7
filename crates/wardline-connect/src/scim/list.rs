//! Lists: found by a name where the filter gives one, else searched through a few at a time, so
//! that memory does not grow with what is kept.

use serde_json::{Map, Value};
use wardline_scim::filter::Filter;
use wardline_scim::path::Path;
use wardline_scim::schema::ResourceType;
use wardline_scim::view::{self, View};
use wardline_scim::{Error, Why};

use super::asked::Query;
use super::inbound::{Desk, Failed, id_of, unique, whole};
use crate::resources::{Resource, ResourceBy};

/// Resources on one page.
pub(super) const MOST: u64 = 200;
/// Bytes of them; a page ends before it, but after its first.
const PAGE_BYTES: usize = 8 << 20;
/// Resources that are read at a time while all are searched through.
const STEP: usize = 200;
/// Resources that are put in order.
const MOST_ORDERED: usize = 50_000;
/// Bytes of what one is ordered by.
const ORDER_BYTES: usize = 128;

/// What a list is made of.
struct Wanted {
    filter: Option<Filter>,
    order: Option<(Path, bool)>,
    view: View,
    start: u64,
    count: u64,
}

impl Wanted {
    fn read(of: &'static ResourceType, query: &Query) -> Result<Self, Error> {
        let filter = query.get("filter").map(|text| Filter::read(of, text));
        let down = query
            .get("sortOrder")
            .is_some_and(|word| word.eq_ignore_ascii_case("descending"));
        let order = query.get("sortBy").map(|name| view::order(of, name));
        Ok(Self {
            filter: filter.transpose()?,
            order: order.transpose()?.map(|path| (path, down)),
            view: View::read(of, query.get("attributes"), query.get("excludedAttributes"))?,
            start: query.number("startIndex", 1)?.unwrap_or(1),
            count: query.number("count", 0)?.unwrap_or(MOST).min(MOST),
        })
    }

    fn admits(&self, resource: &Map<String, Value>) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.admits(resource))
    }

    /// Whether the n-th of all, from 1, is on the page.
    const fn holds(&self, n: u64) -> bool {
        n >= self.start && n - self.start < self.count
    }
}

/// What of a page is there.
#[derive(Default)]
struct Page {
    resources: Vec<Value>,
    bytes: usize,
    full: bool,
}

impl Page {
    fn put(&mut self, bytes: usize, resource: impl FnOnce() -> Value) {
        if self.full || (self.bytes + bytes > PAGE_BYTES && !self.resources.is_empty()) {
            self.full = true;
            return;
        }
        self.bytes += bytes;
        self.resources.push(resource());
    }
}

/// A page of what is asked for, and how many resources stand on it.
pub(super) async fn list(
    desk: &Desk<'_>,
    of: &'static ResourceType,
    query: &Query,
) -> Result<(Value, usize), Failed> {
    let wanted = Wanted::read(of, query)?;
    let (total, page) = match looked_up(desk, of, &wanted).await? {
        Some(found) => found,
        None if wanted.filter.is_none() && wanted.order.is_none() => {
            in_order(desk, of, &wanted).await?
        }
        None => {
            let _turn = desk.endpoint.searches.acquire().await;
            searched(desk, of, &wanted).await?
        }
    };
    let count = page.resources.len();
    Ok((view::page(total, wanted.start, page.resources), count))
}

fn show(
    desk: &Desk<'_>,
    of: &'static ResourceType,
    wanted: &Wanted,
    one: &Resource,
    whole: Map<String, Value>,
) -> Value {
    desk.shown(of, &wanted.view, one.version, whole)
}

/// What a filter asks for by one name; `None` where it does not.
async fn looked_up(
    desk: &Desk<'_>,
    of: &'static ResourceType,
    wanted: &Wanted,
) -> Result<Option<(u64, Page)>, Failed> {
    let Some(filter) = &wanted.filter else {
        return Ok(None);
    };
    let name = of.unique.and_then(|name| filter.pinned(name)).map(unique);
    let by = match (filter.pinned("id"), &name, filter.pinned("externalId")) {
        (Some(id), ..) => match id_of(id) {
            Some(id) => ResourceBy::Id(id),
            None => return Ok(Some((0, Page::default()))),
        },
        (_, Some(name), _) => ResourceBy::Unique(name),
        (.., Some(known)) => ResourceBy::Known(known),
        _ => return Ok(None),
    };
    let found = desk.resources.find(&desk.source, of.number, by).await?;
    if found.len() > 1 {
        return Ok(None);
    }
    let mut page = Page::default();
    let mut total = 0;
    for one in found {
        let whole = whole(&one.body)?;
        if wanted.admits(&whole) {
            total += 1;
            if wanted.holds(total) {
                page.put(one.body.len(), || show(desk, of, wanted, &one, whole));
            }
        }
    }
    Ok(Some((total, page)))
}

/// All, as they were made.
async fn in_order(
    desk: &Desk<'_>,
    of: &'static ResourceType,
    wanted: &Wanted,
) -> Result<(u64, Page), Failed> {
    let (source, kind) = (&desk.source, of.number);
    let total = desk.resources.count(source, kind).await?;
    let mut page = Page::default();
    let (mut after, mut skip) = (0, wanted.start - 1);
    let mut left = usize::try_from(wanted.count).unwrap_or_default();
    while left > 0 && !page.full && skip < total {
        let some = desk.resources.some(source, kind, after, skip, left).await?;
        let Some(last) = some.last() else {
            break;
        };
        (after, skip) = (last.place, 0);
        left = left.saturating_sub(some.len());
        for one in some {
            let whole = whole(&one.body)?;
            page.put(one.body.len(), || show(desk, of, wanted, &one, whole));
        }
    }
    Ok((total, page))
}

/// What a filter admits among all, in the order that is asked for.
async fn searched(
    desk: &Desk<'_>,
    of: &'static ResourceType,
    wanted: &Wanted,
) -> Result<(u64, Page), Failed> {
    let (source, kind) = (&desk.source, of.number);
    let mut page = Page::default();
    let mut ordered: Vec<((bool, String), i64, [u8; 16])> = Vec::new();
    let mut total = 0;
    let mut after = 0;
    loop {
        let some = desk.resources.some(source, kind, after, 0, STEP).await?;
        let Some(last) = some.last() else {
            break;
        };
        after = last.place;
        for one in some {
            let whole = whole(&one.body)?;
            if !wanted.admits(&whole) {
                continue;
            }
            total += 1;
            match &wanted.order {
                None if wanted.holds(total) => {
                    page.put(one.body.len(), || show(desk, of, wanted, &one, whole));
                }
                None => {}
                Some(_) if ordered.len() >= MOST_ORDERED => {
                    let what = "too many to be put in order; ask without `sortBy`, or by a narrower filter";
                    return Err(Error::bad(Why::TooMany, what).into());
                }
                Some((path, _)) => {
                    let (none, mut by) = view::order_by(path, &whole);
                    let end = (0..=ORDER_BYTES.min(by.len()))
                        .rev()
                        .find(|at| by.is_char_boundary(*at));
                    by.truncate(end.unwrap_or_default());
                    by.shrink_to_fit();
                    ordered.push(((none, by), one.place, one.id));
                }
            }
        }
    }
    let Some((_, down)) = wanted.order else {
        return Ok((total, page));
    };
    ordered.sort_unstable();
    if down {
        ordered.reverse();
    }
    let skip = usize::try_from(wanted.start - 1).unwrap_or(usize::MAX);
    let count = usize::try_from(wanted.count).unwrap_or_default();
    for (_, _, id) in ordered.into_iter().skip(skip).take(count) {
        // One that went in between is not there any more.
        for one in desk
            .resources
            .find(source, kind, ResourceBy::Id(id))
            .await?
        {
            let whole = whole(&one.body)?;
            page.put(one.body.len(), || show(desk, of, wanted, &one, whole));
        }
    }
    Ok((total, page))
}
