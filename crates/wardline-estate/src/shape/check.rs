//! A tree against a shape: unknown, missing and wrong things, all of them.

use super::{Form, Need, Object, Shape};
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Span;
use crate::suggest::{self, clip};
use crate::yaml::{Data, Entry, Node, Plain, Scalar};

/// Reports everything about `node` that `object` does not allow.
pub(crate) fn check(node: &Node, object: &Object, problems: &mut Diagnostics) {
    let anchor = node.entries().first().map_or(node.at, |entry| entry.key_at);
    Checker { problems }.object(node, object, anchor);
}

struct Checker<'a> {
    problems: &'a mut Diagnostics,
}

impl Checker<'_> {
    /// Checks a value. `anchor` is where to point when the value is not there to be pointed at.
    fn value(&mut self, node: &Node, shape: &Shape, anchor: Span) {
        match shape {
            Shape::Any => {}
            Shape::Text(form) => self.text(node, *form),
            Shape::Bool => match node.scalar().map(Scalar::resolve) {
                Some(Plain::Bool(_)) => {}
                _ => self.wrong_type(node, "`true` or `false`"),
            },
            Shape::Integer(least, most) => match node.scalar().map(Scalar::resolve) {
                Some(Plain::Integer(number)) if (*least..=*most).contains(&number) => {}
                Some(Plain::Integer(_)) => self.out_of_range(node, &format!("{least} to {most}")),
                _ => self.wrong_type(node, "a whole number"),
            },
            Shape::Number(least, most) => match node.scalar().map(Scalar::resolve).map(as_number) {
                Some(Some(number)) if (*least..=*most).contains(&number) => {}
                Some(Some(_)) => self.out_of_range(node, &format!("{least} to {most}")),
                _ => self.wrong_type(node, "a number"),
            },
            Shape::Word(words) => self.word(node, words),
            Shape::List(item) => match &node.data {
                Data::List(items) => self.items(node, items, item),
                _ => self.wrong_type(node, "a list"),
            },
            Shape::ListOrNone(item) => match &node.data {
                Data::List(items) if items.is_empty() => {}
                Data::List(items) => self.items(node, items, item),
                _ => self.wrong_type(node, "a list"),
            },
            Shape::OneOrMany(item) => match &node.data {
                Data::List(items) => self.items(node, items, item),
                _ => self.value(node, item, anchor),
            },
            Shape::Map(form, item) => match &node.data {
                Data::Mapping(entries) => {
                    for entry in entries {
                        self.key(entry, *form);
                        self.value(&entry.value, item, entry.key_at);
                    }
                }
                _ => self.wrong_type(node, "a mapping"),
            },
            Shape::Single(form, item) => self.single(node, *form, item),
            Shape::Defined(definition) if definition.shape.fits(node) => {
                self.value(node, &definition.shape, anchor);
            }
            Shape::Defined(definition) => self.problems.push(
                Diagnostic::error(
                    codes::WRONG_TYPE,
                    format!("expected {}, found {}", definition.name, node.describe()),
                )
                .at(first_line(node))
                .help(definition.help),
            ),
            Shape::Object(object) => self.object(node, object, anchor),
            Shape::Keyed(kinds) => self.keyed(node, kinds, anchor),
            Shape::Either(shapes) => {
                if let Some(shape) = shapes.iter().find(|shape| shape.fits(node)) {
                    self.value(node, shape, anchor);
                } else {
                    self.wrong_type(node, &shape.describe());
                }
            }
        }
    }

    /// One name with what it names; a second key most often lacks its indentation.
    fn single(&mut self, node: &Node, form: Form, item: &Shape) {
        let what = item.describe();
        match node.entries() {
            [entry] => {
                self.key(entry, form);
                self.value(&entry.value, item, entry.key_at);
            }
            [first, second, ..] => self.problems.push(
                Diagnostic::error(
                    codes::WRONG_TYPE,
                    format!("expected {what} under one name, found a mapping with several keys"),
                )
                .at(second.key_at)
                .label(format!("beside `{}`, not below it", clip(&first.key)))
                .help("write `- NAME:` and what it says below it, indented further"),
            ),
            [] => self.wrong_type(node, &format!("{what} under a name, as in `NAME: {{ … }}`")),
        }
    }

    fn items(&mut self, list: &Node, items: &[Node], shape: &Shape) {
        if items.is_empty() {
            self.problems.push(
                Diagnostic::error(codes::EMPTY, "the list is empty")
                    .at(list.at)
                    .help("leave the key away, or say what belongs here"),
            );
        }
        for item in items {
            self.value(item, shape, item.at);
        }
    }

    fn object(&mut self, node: &Node, object: &Object, anchor: Span) {
        let Data::Mapping(entries) = &node.data else {
            self.wrong_type(node, &format!("a mapping with the keys of {}", object.name));
            return;
        };
        // A misspelt key is one mistake: it is not also reported as missing.
        let mut meant = Vec::new();
        for entry in entries {
            match object.fields.iter().find(|field| field.key == entry.key) {
                Some(field) if field.need == Need::Later => self.problems.push(
                    Diagnostic::error(
                        codes::UNSUPPORTED,
                        format!("`{}` is not supported yet", field.key),
                    )
                    .at(entry.key_at)
                    .label("this release cannot run it")
                    .help_if(supported(object, field.key)),
                ),
                Some(field) => self.value(&entry.value, &field.shape, entry.key_at),
                None => meant.extend(self.unknown_key(entry, object)),
            }
        }
        for field in object
            .fields
            .iter()
            .filter(|field| field.need == Need::Required)
        {
            if node.entry(field.key).is_none() && !meant.contains(&field.key) {
                self.problems.push(
                    Diagnostic::error(
                        codes::MISSING_KEY,
                        format!("`{}` is missing in {}", field.key, object.name),
                    )
                    .at(anchor)
                    .help(format!("`{}`: {}", field.key, field.doc)),
                );
            }
        }
        if !object.exactly_one.is_empty() {
            self.exactly_one(entries, object.exactly_one, object, &meant, anchor);
        }
    }

    /// Reports a key that nothing reads and says which one was likely meant.
    fn unknown_key(&mut self, entry: &Entry, object: &Object) -> Option<&'static str> {
        let keys = || {
            object
                .fields
                .iter()
                .filter(|field| field.need != Need::Later)
                .map(|field| field.key)
        };
        let meant = suggest::nearest(&entry.key, keys());
        let all: Vec<_> = keys().map(|key| format!("`{key}`")).collect();
        let mut problem = Diagnostic::error(
            codes::UNKNOWN_KEY,
            format!("`{}` is not a key of {}", clip(&entry.key), object.name),
        )
        .at(entry.key_at)
        .label("nothing reads this")
        .help_if(meant.map(|key| format!("did you mean `{key}`?")));
        if !all.is_empty() {
            problem = problem.with_note(format!("keys here: {}", all.join(", ")));
        }
        self.problems.push(problem);
        object
            .fields
            .iter()
            .map(|field| field.key)
            .find(|key| Some(*key) == meant)
    }

    fn exactly_one(
        &mut self,
        entries: &[Entry],
        keys: &[&str],
        object: &Object,
        meant: &[&str],
        anchor: Span,
    ) {
        let mut present = entries
            .iter()
            .filter(|entry| keys.contains(&entry.key.as_str()));
        match (present.next(), present.next()) {
            (Some(_), None) => {}
            (Some(first), Some(second)) => self.two_kinds(first, second, object.name),
            (None, _) if meant.iter().any(|key| keys.contains(key)) => {}
            (None, _) => {
                let usable = |key: &&&str| {
                    object
                        .fields
                        .iter()
                        .any(|field| field.key == **key && field.need != Need::Later)
                };
                let usable: Vec<_> = keys
                    .iter()
                    .filter(usable)
                    .map(|key| format!("`{key}`"))
                    .collect();
                self.problems.push(
                    Diagnostic::error(
                        codes::NOT_EXACTLY_ONE,
                        format!("{} needs one of {}", object.name, usable.join(", ")),
                    )
                    .at(anchor),
                );
            }
        }
    }

    fn two_kinds(&mut self, first: &Entry, second: &Entry, name: &str) {
        self.problems.push(
            Diagnostic::error(
                codes::NOT_EXACTLY_ONE,
                format!(
                    "{name} cannot have both `{}` and `{}`",
                    first.key, second.key
                ),
            )
            .at(second.key_at)
            .label("and this")
            .related(first.key_at, "this"),
        );
    }

    fn keyed(
        &mut self,
        node: &Node,
        kinds: &'static [(&'static str, &'static Object)],
        anchor: Span,
    ) {
        let Data::Mapping(entries) = &node.data else {
            self.wrong_type(node, &Shape::Keyed(kinds).describe());
            return;
        };
        let present: Vec<(&Entry, &'static Object)> = entries
            .iter()
            .filter_map(|entry| {
                let (_, object) = kinds.iter().find(|(key, _)| *key == entry.key)?;
                Some((entry, *object))
            })
            .collect();
        let has = |object: &Object, key: &str| object.fields.iter().any(|field| field.key == key);
        let of_all = present
            .iter()
            .find(|(_, object)| present.iter().all(|(entry, _)| has(object, &entry.key)));
        match (of_all, present.as_slice()) {
            (Some((_, object)), _) => self.object(node, object, anchor),
            (None, [(first, object), rest @ ..]) => {
                let foreign = rest.iter().find(|(entry, _)| !has(object, &entry.key));
                if let Some((second, _)) = foreign {
                    self.two_kinds(first, second, object.name);
                }
            }
            (None, []) => {
                let keys: Vec<_> = kinds.iter().map(|(key, _)| format!("`{key}`")).collect();
                let misspelt = entries.iter().find_map(|entry| {
                    let meant = suggest::nearest(&entry.key, kinds.iter().map(|(key, _)| *key))?;
                    Some((entry.key_at, meant))
                });
                let problem = Diagnostic::error(
                    codes::NOT_EXACTLY_ONE,
                    format!("expected one of the keys {}", keys.join(", ")),
                );
                self.problems.push(match misspelt {
                    Some((at, meant)) => problem.at(at).help(format!("did you mean `{meant}`?")),
                    None => problem.at(anchor),
                });
            }
        }
    }

    fn word(&mut self, node: &Node, words: &[&str]) {
        let Some(scalar) = node.scalar() else {
            self.wrong_type(node, &quoted(words));
            return;
        };
        if !words.contains(&scalar.text.as_str()) {
            self.problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_WORD,
                    format!("`{}` is not {}", clip(&scalar.text), quoted(words)),
                )
                .at(node.at)
                .help_if(suggest::did_you_mean(&scalar.text, words.iter().copied())),
            );
        }
    }

    fn key(&mut self, entry: &Entry, form: Form) {
        if let Err((code, why)) = form.read(&entry.key) {
            self.problems.push(
                Diagnostic::error(
                    code,
                    format!("`{}` is not {}", clip(&entry.key), form.describe()),
                )
                .at(entry.key_at)
                .label(why)
                .help_if(
                    suggest::nearest_name(&entry.key)
                        .filter(|_| form == Form::Name)
                        .map(|name| format!("use `{name}`")),
                ),
            );
        }
    }

    fn text(&mut self, node: &Node, form: Form) {
        let Some(scalar) = node.scalar() else {
            self.wrong_type(node, form.describe());
            return;
        };
        if scalar.text.trim().is_empty() && form != Form::Value {
            self.problems
                .push(Diagnostic::error(codes::EMPTY, "the text is empty").at(node.at));
            return;
        }
        match form.read(&scalar.text) {
            Err((codes::PASSWORD_IN_FILE, why)) => self.problems.push(
                // The text itself is the secret: the message does not repeat it, and the frame is masked.
                Diagnostic::error(
                    codes::PASSWORD_IN_FILE,
                    "the URL holds a user or a password",
                )
                .at(node.at)
                .help(why),
            ),
            Err((code, why)) => self.problems.push(
                Diagnostic::error(
                    code,
                    format!("{} is not {}", shown(scalar, form), form.describe()),
                )
                .at(node.at)
                .label(why)
                .help_if(
                    suggest::nearest_name(&scalar.text)
                        .filter(|_| form == Form::Name)
                        .map(|name| format!("use `{name}`")),
                ),
            ),
            Ok(()) if scalar.resolve() != Plain::Text => {
                let problem = Diagnostic::error(
                    codes::WRONG_TYPE,
                    format!("expected {}, found {}", form.describe(), node.describe()),
                );
                self.problems.push(
                    problem
                        .at(node.at)
                        .help(format!("quote it: \"{}\"", clip(&scalar.text))),
                );
            }
            Ok(()) => {}
        }
    }

    fn wrong_type(&mut self, node: &Node, expected: &str) {
        self.problems.push(
            Diagnostic::error(
                codes::WRONG_TYPE,
                format!("expected {expected}, found {}", node.describe()),
            )
            .at(first_line(node)),
        );
    }

    fn out_of_range(&mut self, node: &Node, range: &str) {
        self.problems.push(
            Diagnostic::error(codes::BAD_NUMBER, format!("the number must be {range}")).at(node.at),
        );
    }
}

/// What can be used instead of a kind that is not supported.
fn supported(object: &Object, key: &str) -> Option<String> {
    object.exactly_one.contains(&key).then(|| {
        let usable = object
            .fields
            .iter()
            .filter(|field| field.need != Need::Later && object.exactly_one.contains(&field.key));
        let usable: Vec<_> = usable.map(|field| format!("`{}`", field.key)).collect();
        format!("this release has {}", usable.join(", "))
    })
}

/// A text that might be a secret by mistake is not repeated.
fn shown(scalar: &Scalar, form: Form) -> String {
    match form {
        Form::Secret => "this".to_owned(),
        _ => format!("`{}`", clip(&scalar.text)),
    }
}

/// Marks a collection by its first entry, so that the frame stays small.
fn first_line(node: &Node) -> Span {
    match &node.data {
        Data::Mapping(entries) => entries.first().map_or(node.at, |entry| entry.key_at),
        Data::List(items) => items.first().map_or(node.at, first_line),
        _ => node.at,
    }
}

fn as_number(plain: Plain) -> Option<f64> {
    match plain {
        Plain::Integer(number) => Some(number as f64),
        Plain::Number(number) => Some(number),
        Plain::Bool(_) | Plain::Text => None,
    }
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    if quoted.len() == 1 {
        quoted.concat()
    } else {
        format!("one of {}", quoted.join(", "))
    }
}

impl Shape {
    /// Whether the node is of the kind that this shape takes, whatever it says.
    fn fits(&self, node: &Node) -> bool {
        match self {
            Self::Any => true,
            Self::Text(_) | Self::Integer(..) | Self::Number(..) | Self::Word(_) => {
                node.scalar().is_some()
            }
            // `true` beside a text: what it is decides.
            Self::Bool => {
                let plain = node.scalar().map(Scalar::resolve);
                matches!(plain, Some(Plain::Bool(_)))
            }
            Self::List(_) | Self::ListOrNone(_) => matches!(node.data, Data::List(_)),
            Self::OneOrMany(item) => matches!(node.data, Data::List(_)) || item.fits(node),
            Self::Map(..) | Self::Single(..) | Self::Object(_) | Self::Keyed(_) => {
                matches!(node.data, Data::Mapping(_))
            }
            Self::Defined(definition) => definition.shape.fits(node),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.fits(node)),
        }
    }

    /// What an item of a collection is called.
    fn named(&self) -> String {
        match self {
            Self::Object(object) => object.name.to_owned(),
            Self::Defined(definition) => definition.name.to_owned(),
            other => other.describe(),
        }
    }

    /// What it takes, for messages and the manual.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Any => "any value".to_owned(),
            Self::Text(form) => form.describe().to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Word(words) => quoted(words),
            Self::List(item) | Self::ListOrNone(item) => format!("a list, each {}", item.named()),
            Self::OneOrMany(item) => format!("{}, or a list of such", item.named()),
            Self::Map(form, item) => {
                format!("a mapping from {} to {}", form.describe(), item.named())
            }
            Self::Single(_, item) => format!("{} under its name", item.named()),
            Self::Defined(definition) => definition.name.to_owned(),
            Self::Object(object) => format!("a mapping ({})", object.name),
            Self::Keyed(kinds) => {
                let keys: Vec<_> = kinds.iter().map(|(key, _)| format!("`{key}`")).collect();
                format!("a mapping with {}", keys.join(" or "))
            }
            Self::Either(shapes) => shapes
                .iter()
                .map(Self::describe)
                .collect::<Vec<_>>()
                .join(", or "),
        }
    }
}
