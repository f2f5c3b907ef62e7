//! What a check found, and how it is told: as lines, or as an `OperationOutcome`.

use std::fmt;

use serde_json::{Value, json};

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something to know.
    Warning,
    /// The resource is not what FHIR says.
    Error,
}

impl Severity {
    /// As an `OperationOutcome` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong. It never quotes a value: values are patients' data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How much it matters.
    pub severity: Severity,
    /// FHIR's word for the kind of problem: `structure`, `required`, `value`, `code-invalid`, `invariant`.
    pub code: &'static str,
    /// What is wrong.
    pub text: String,
    /// Where, as a FHIRPath expression: `Patient.name[0].family`.
    pub path: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The type of the resource, where it has a known one.
    pub resource: Option<String>,
    /// What is wrong; at most [`crate::MOST_ISSUES`].
    pub issues: Vec<Issue>,
    /// How many more were found than are told.
    pub more: usize,
}

impl Outcome {
    /// Whether nothing is an error.
    pub fn ok(&self) -> bool {
        self.more == 0
            && self
                .issues
                .iter()
                .all(|issue| issue.severity < Severity::Error)
    }

    /// As a FHIR `OperationOutcome`.
    pub fn to_json(&self) -> Value {
        let mut issues: Vec<Value> = self
            .issues
            .iter()
            .map(|issue| {
                json!({ "severity": issue.severity.as_str(), "code": issue.code, "diagnostics": issue.text,
                        "expression": [issue.path] })
            })
            .collect();
        if self.more > 0 {
            let text = format!("{} more problems are not listed", self.more);
            issues.push(json!({ "severity": "error", "code": "too-costly", "diagnostics": text }));
        }
        if issues.is_empty() {
            issues.push(json!({ "severity": "information", "code": "informational", "diagnostics": "no problem was found" }));
        }
        json!({ "resourceType": "OperationOutcome", "issue": issues })
    }
}
