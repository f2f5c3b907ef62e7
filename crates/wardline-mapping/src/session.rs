//! One compilation: what our functions need to check themselves and where they leave what they found.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vrl::compiler::TypeState;
use vrl::compiler::function::{ArgumentList, FunctionCompileContext};
use vrl::diagnostic::{DiagnosticMessage, Label, Span};
use vrl::value::Value;
use wardline_core::Code;
use wardline_soap::typed::Known;
use wardline_soap::xsd::Schemas;

use crate::environment::{Environment, Input};
use crate::problem::Fault;

/// Shared by all functions of one compilation.
///
/// VRL forgets its own custom context after the first function that fails to compile, so functions
/// carry this instead.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) environment: Environment,
    pub(crate) source: String,
    faults: Mutex<Vec<Fault>>,
    warnings: Mutex<Vec<Fault>>,
    writes: AtomicBool,
    builds_x12: AtomicBool,
    writes_xml: AtomicBool,
    /// Calls that read a document by a schema, by their span, and what they give.
    xml_reads: Mutex<Vec<XmlRead>>,
}

type XmlRead = ((usize, usize), Arc<Schemas>, Known);

/// What a function returns to VRL for a [`Fault`]; the session keeps the rest.
#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl DiagnosticMessage for Refusal {
    fn code(&self) -> usize {
        0
    }

    fn labels(&self) -> Vec<Label> {
        // VRL puts the span of the call in.
        vec![Label::primary(self.0.clone(), Span::default())]
    }
}

pub(crate) type Refused = Box<dyn DiagnosticMessage>;

impl Session {
    pub(crate) fn new(source: &str, environment: &Environment) -> Arc<Self> {
        Arc::new(Self {
            environment: environment.clone(),
            source: source.to_owned(),
            ..Self::default()
        })
    }

    /// The fault of the call at that span.
    pub(crate) fn fault_of(&self, start: usize, end: usize) -> Option<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults
            .iter()
            .find(|fault| fault.call == (start, end))
            .cloned()
    }

    pub(crate) fn take_warnings(&self) -> Vec<Fault> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the program writes an HL7 message.
    pub(crate) fn writes(&self) {
        self.writes.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_writes(&self) -> bool {
        self.writes.load(Ordering::Relaxed)
    }

    /// Notes that the program builds an X12 interchange.
    pub(crate) fn builds_x12(&self) {
        self.builds_x12.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_x12(&self) -> bool {
        self.builds_x12.load(Ordering::Relaxed)
    }

    /// Notes that the program writes a document of XML.
    pub(crate) fn writes_xml(&self) {
        self.writes_xml.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_xml(&self) -> bool {
        self.writes_xml.load(Ordering::Relaxed)
    }

    /// Notes what a call gives that reads a document by a schema.
    pub(crate) fn reads_xml(
        &self,
        context: &FunctionCompileContext,
        schemas: &Arc<Schemas>,
        known: Known,
    ) {
        let call = (context.span().start(), context.span().end());
        let mut all = self
            .xml_reads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push((call, Arc::clone(schemas), known));
    }

    pub(crate) fn has_xml_reads(&self) -> bool {
        let all = self
            .xml_reads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !all.is_empty()
    }

    /// What the call at that span gives.
    pub(crate) fn xml_read_at(&self, span: (usize, usize)) -> Option<(Arc<Schemas>, Known)> {
        let all = self
            .xml_reads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (_, schemas, known) = all.iter().find(|(call, ..)| *call == span)?;
        Some((Arc::clone(schemas), known.clone()))
    }

    /// Where `"text"` stands in the source of the call, or the whole call.
    fn locate(&self, call: Span, text: &str) -> (usize, usize) {
        let whole = (call.start(), call.end());
        let Some(source) = self.source.get(call.start()..call.end()) else {
            return whole;
        };
        let quoted = format!("\"{text}\"");
        source.find(&quoted).map_or(whole, |at| {
            (call.start() + at, call.start() + at + quoted.len())
        })
    }

    fn fault(&self, context: &FunctionCompileContext, complaint: Complaint) -> Fault {
        let call = context.span();
        let (start, end) = match &complaint.about {
            Some(text) => self.locate(call, text),
            None => (call.start(), call.end()),
        };
        Fault {
            code: complaint.code,
            message: complaint.message,
            label: complaint.label,
            help: complaint.help,
            start,
            end,
            call: (call.start(), call.end()),
        }
    }

    /// Refuses a call.
    pub(crate) fn refuse(&self, context: &FunctionCompileContext, complaint: Complaint) -> Refused {
        let refusal = Refusal(complaint.message.clone());
        let fault = self.fault(context, complaint);
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
        Box::new(refusal)
    }

    /// Lets a call pass and reports it.
    pub(crate) fn warn(&self, context: &FunctionCompileContext, complaint: Complaint) {
        let fault = self.fault(context, complaint);
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&fault) {
            warnings.push(fault);
        }
    }

    /// The value of an argument that must be known while compiling.
    pub(crate) fn literal(
        &self,
        context: &FunctionCompileContext,
        state: &TypeState,
        arguments: &ArgumentList,
        keyword: &'static str,
    ) -> Result<Option<String>, Refused> {
        let Some(expression) = arguments.optional(keyword) else {
            return Ok(None);
        };
        match expression.resolve_constant(state) {
            Some(value @ (Value::Bytes(_) | Value::String(_))) => Ok(Some(value.to_string_lossy().into_owned())),
            _ => Err(self.refuse(
                context,
                Complaint::new("W2114", format!("`{keyword}` must be written as a literal string"))
                    .label("its value is not known before the program runs")
                    .help(format!("write the {keyword} in quotes here; it is checked while the program is compiled")),
            )),
        }
    }

    /// Refuses HL7 functions where there is no HL7 message to read.
    pub(crate) fn needs_hl7(
        &self,
        context: &FunctionCompileContext,
        function: &str,
    ) -> Result<(), Refused> {
        let found = match self.environment.input {
            Input::Hl7 => return Ok(()),
            Input::X12 => "X12",
            Input::Json => "JSON",
            Input::Text => "text",
        };
        Err(self.refuse(
            context,
            Complaint::new("W2102", format!("`{function}` reads an HL7 message, but this program's input is {found}"))
                .label("there is no HL7 message here")
                .help("read the event's data with `.field`; HL7 functions belong into maps whose flow comes from an HL7 connection"),
        ))
    }
}

impl Session {
    /// Refuses X12 functions where there is no X12 set to read.
    pub(crate) fn needs_x12(
        &self,
        context: &FunctionCompileContext,
        function: &str,
    ) -> Result<(), Refused> {
        let found = match self.environment.input {
            Input::X12 => return Ok(()),
            Input::Hl7 => "HL7",
            Input::Json => "JSON",
            Input::Text => "text",
        };
        Err(self.refuse(
            context,
            Complaint::new("W2121", format!("`{function}` reads an X12 set, but this program's input is {found}"))
                .label("there is no X12 set here")
                .help("say `content: x12` at the connection that the flow is from; read an event's data with `.field`"),
        ))
    }
}

/// What a function has to say against a call.
#[derive(Debug)]
pub(crate) struct Complaint {
    code: Code,
    message: String,
    label: String,
    help: Option<String>,
    about: Option<String>,
}

impl Complaint {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Code(code),
            message: message.into(),
            label: String::new(),
            help: None,
            about: None,
        }
    }

    /// What to say beside the underline.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// Which string literal of the call it is about.
    pub(crate) fn about(mut self, text: impl Into<String>) -> Self {
        self.about = Some(text.into());
        self
    }
}
