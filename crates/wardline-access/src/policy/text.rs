//! Policy files, read: their policies with names and places, and what is wrong with them.

use cedar_policy::{
    EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode,
    ValidationWarning, Validator,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::problem::{Problem, ProblemKind};
use super::world::PolicyText;

/// A policy with its name and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its name: the annotation `@id`, or file and number.
    pub(crate) name: Arc<str>,
    /// The file, as in [`PolicyText::path`].
    pub(crate) file: Arc<str>,
    /// What was written.
    pub(crate) text: Arc<str>,
    /// Its reason in words, from the annotation `@why`.
    pub(crate) why: Option<Arc<str>>,
    /// The compiled policy, named `name`.
    pub(crate) policy: Policy,
}

/// What is looked up to tell whether an entity that a policy names exists. Answers none where
/// it does, and else the name that was probably meant.
pub(crate) type Missing<'a> = &'a dyn Fn(&EntityUid) -> Option<Option<String>>;

/// Most bytes of one policy file, so that a mistake cannot cost minutes.
const MOST_BYTES: usize = 1 << 20;

/// Reads one file and checks it against the schema and against what exists.
pub(crate) fn read(
    file: &PolicyText,
    schema: &Schema,
    missing: Missing<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Rule> {
    if file.text.len() > MOST_BYTES {
        problems.push(Problem::new(
            ProblemKind::Syntax,
            file,
            0..0,
            format!(
                "this policy file has {} bytes; {MOST_BYTES} is the most",
                file.text.len()
            ),
        ));
        return Vec::new();
    }
    let set: PolicySet = match file.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: cedar_policy::ParseErrors = errors;
            problems.extend(errors.iter().map(|error| {
                let mut problem =
                    Problem::of(ProblemKind::Syntax, file, error, 0..file.text.len().min(1));
                problem.help = problem.help.or_else(|| {
                    Some("a policy is `permit(principal, action, resource) when { … };`".to_owned())
                });
                problem
            }));
            return Vec::new();
        }
    };
    let places = places(&set, &file.text);
    let place = |id: &PolicyId| places.get(&number(id)).cloned().unwrap_or(0..0);
    for template in set.templates() {
        problems.push(
            Problem::new(
                ProblemKind::Template,
                file,
                place(template.id()),
                "policy templates (`?principal`, `?resource`) are not linked to anything".to_owned(),
            )
            .help("grants are data: write a condition over `principal`, such as `principal.facilities.contains(…)`"),
        );
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    for error in result.validation_errors() {
        problems.push(Problem::of(
            ProblemKind::Type,
            file,
            error,
            place(error.policy_id()),
        ));
    }
    // An error is enough, and of "no action applies" and "is never true" the first says more.
    let wrong: BTreeSet<&PolicyId> = result
        .validation_errors()
        .map(ValidationError::policy_id)
        .collect();
    let idle: BTreeSet<&PolicyId> = result
        .validation_warnings()
        .filter(|warning| matches!(warning, ValidationWarning::InvalidActionApplication(_)))
        .map(ValidationWarning::policy_id)
        .collect();
    for warning in result.validation_warnings() {
        let id = warning.policy_id();
        let impossible = matches!(warning, ValidationWarning::ImpossiblePolicy(_));
        if wrong.contains(id) || (impossible && idle.contains(id)) {
            continue;
        }
        problems.push(Problem::of(
            ProblemKind::Never,
            file,
            warning,
            place(warning.policy_id()),
        ));
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(|policy| number(policy.id()));
    policies
        .into_iter()
        .map(|policy| {
            let place = place(policy.id());
            names_exist(policy, file, &place, missing, problems);
            rule(policy, file, &place)
        })
        .collect()
}

fn rule(policy: &Policy, file: &PolicyText, place: &Range<usize>) -> Rule {
    let name: Arc<str> = match policy.annotation("id").filter(|id| !id.is_empty()) {
        Some(id) => Arc::from(id),
        None => format!("{}#{}", file.path, number(policy.id()) + 1).into(),
    };
    Rule {
        file: Arc::clone(&file.path),
        text: file
            .text
            .get(place.clone())
            .map_or_else(|| policy.to_string().into(), Arc::from),
        why: policy
            .annotation("why")
            .filter(|why| !why.is_empty())
            .map(Arc::from),
        policy: policy.new_id(PolicyId::new(&name)),
        name,
    }
}

/// Cedar numbers the policies of a text `policy0`, `policy1`, ….
fn number(id: &PolicyId) -> usize {
    AsRef::<str>::as_ref(id)
        .strip_prefix("policy")
        .and_then(|number| number.parse().ok())
        .unwrap_or(usize::MAX)
}

/// Where each policy stands in its file. Cedar keeps the text of each as it was written, so
/// finding it, one after the other, finds the place.
fn places(set: &PolicySet, text: &str) -> BTreeMap<usize, Range<usize>> {
    let mut texts: Vec<(usize, String)> = set
        .policies()
        .filter_map(|policy| Some((number(policy.id()), policy.to_cedar()?)))
        .chain(
            set.templates()
                .map(|template| (number(template.id()), template.to_cedar())),
        )
        .collect();
    texts.sort();
    let mut from = 0;
    texts
        .into_iter()
        .filter_map(|(number, policy)| {
            let start = from + text.get(from..)?.find(&policy)?;
            from = start + policy.len();
            Some((number, start..from))
        })
        .collect()
}

fn names_exist(
    policy: &Policy,
    file: &PolicyText,
    place: &Range<usize>,
    missing: Missing<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut named = policy.entity_literals();
    named.sort_by_key(ToString::to_string);
    named.dedup();
    for uid in named {
        let Some(meant) = missing(&uid) else { continue };
        let written = uid.to_string();
        let span = file
            .text
            .get(place.clone())
            .and_then(|text| text.find(&written))
            .map_or_else(
                || place.clone(),
                |at| place.start + at..place.start + at + written.len(),
            );
        let mut problem = Problem::new(
            ProblemKind::Unknown,
            file,
            span,
            format!("there is no `{written}` in this estate"),
        );
        problem.help = meant.map(|meant| format!("did you mean `{meant}`?"));
        problems.push(problem);
    }
}

impl Problem {
    /// What Cedar found, at the place that it gives, or at `otherwise`.
    fn of(
        kind: ProblemKind,
        file: &PolicyText,
        error: &dyn miette::Diagnostic,
        otherwise: Range<usize>,
    ) -> Self {
        let label = error.labels().and_then(|mut labels| labels.next());
        let span = label.as_ref().map_or(otherwise, |label| {
            let start = label.offset().min(file.text.len());
            start..(start + label.len()).min(file.text.len())
        });
        // The id that Cedar gave the policy says nothing to who wrote it; the place does.
        let message = error.to_string();
        let message = match message.strip_prefix("for policy `") {
            Some(rest) => rest
                .split_once("`, ")
                .map_or(rest, |(_, message)| message)
                .to_owned(),
            None => message,
        };
        let mut problem = Self::new(kind, file, span, message);
        problem.label = label.and_then(|label| label.label().map(ToOwned::to_owned));
        problem.help = error.help().map(|help| help.to_string());
        problem
    }
}
