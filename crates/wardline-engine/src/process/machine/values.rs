//! Values of an instance: expressions and maps run with its variables.

use super::{Machine, Trouble};
use crate::codes;
use crate::plan::MapPlan;
use crate::process::plan::{DataPlan, UntilPlan};
use wardline_core::Timestamp;
use wardline_mapping::{Content, KeyString, ObjectMap, Output, Runtime, Subject, Value};

impl Machine<'_> {
    pub(super) fn until(
        &mut self,
        until: &UntilPlan,
        runtime: &mut Runtime,
    ) -> Result<Timestamp, Trouble> {
        match until {
            UntilPlan::For(duration) => Ok(self.context.now.after(*duration)),
            UntilPlan::At(expression) => {
                let value = expression
                    .value(&self.subject, runtime)
                    .map_err(|error| run_trouble("until", &error))?;
                let found = match &value {
                    Value::Timestamp(at) => Some(Timestamp(at.timestamp_micros())),
                    Value::Bytes(_) | Value::String(_) => {
                        Timestamp::try_from(value.to_string_lossy().into_owned()).ok()
                    }
                    _ => None,
                };
                found.ok_or_else(|| Trouble {
                    code: codes::STEP_FAILED,
                    text: "`until` is no time: RFC 3339 with an offset is needed".to_owned(),
                })
            }
        }
    }

    pub(super) fn data(
        &mut self,
        data: &DataPlan,
        runtime: &mut Runtime,
    ) -> Result<Value, Trouble> {
        Ok(match data {
            DataPlan::Expression(expression) => expression
                .value(&self.subject, runtime)
                .map_err(|error| run_trouble("with", &error))?,
            DataPlan::Constant(value) => value.clone(),
            DataPlan::Object(members) => {
                let mut object = ObjectMap::new();
                for (name, data) in members {
                    object.insert(KeyString::from(&**name), self.data(data, runtime)?);
                }
                Value::Object(object)
            }
            DataPlan::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for item in items {
                    array.push(self.data(item, runtime)?);
                }
                Value::Array(array)
            }
            DataPlan::Mapped(data, maps) => {
                let value = self.data(data, runtime)?;
                self.mapped(maps, value, runtime)?
            }
        })
    }

    pub(super) fn mapped(
        &self,
        maps: &[MapPlan],
        value: Value,
        runtime: &mut Runtime,
    ) -> Result<Value, Trouble> {
        let mut value = value;
        for map in maps {
            let subject = Subject {
                content: Content::Json(value),
                metadata: self.subject.metadata.clone(),
            };
            let output = map
                .program
                .run(&subject, runtime)
                .map_err(|error| Trouble {
                    code: codes::MAP_FAILED,
                    text: format!("{}: {error}", map.name),
                })?;
            value = match output {
                Output::Json(value) => value,
                Output::Many(values) => Value::Array(values),
                Output::Filtered { .. } => Value::Null,
                Output::Hl7(_) | Output::X12(_) | Output::Xml(_) => {
                    return Err(Trouble {
                        code: codes::MAP_FAILED,
                        text: format!("{} writes a message, which is no variable", map.name),
                    });
                }
            };
        }
        Ok(value)
    }

    pub(super) fn number(&mut self) -> u32 {
        self.state.last += 1;
        self.state.last
    }

    /// Sets a variable; within a round of an `each` it belongs to that round.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let Content::Json(Value::Object(vars)) = &mut self.subject.content else {
            return;
        };
        let before = vars.insert(KeyString::from(name), value);
        if let Some(scope) = self.scopes.last_mut()
            && !scope.iter().any(|(known, _)| known.as_str() == name)
        {
            scope.push((KeyString::from(name), before));
        }
    }

    pub(super) fn enter(&mut self, vars: &mut Value) {
        self.scopes.push(Vec::new());
        if let Value::Object(vars) = std::mem::replace(vars, Value::Null) {
            for (name, value) in vars {
                self.set(name.as_str(), value);
            }
        }
    }

    pub(super) fn leave(&mut self) -> Value {
        let scope = self.scopes.pop().unwrap_or_default();
        let Content::Json(Value::Object(vars)) = &mut self.subject.content else {
            return Value::Null;
        };
        let mut own = ObjectMap::new();
        for (name, before) in scope {
            let value = match before {
                Some(before) => vars.insert(name.clone(), before),
                None => vars.remove(&name),
            };
            own.insert(name, value.unwrap_or(Value::Null));
        }
        Value::Object(own)
    }

    /// What a `where` sees of the instance.
    pub(super) fn as_instance(&self, with_vars: bool) -> Subject {
        let mut event = Value::Object(ObjectMap::new());
        self.put_instance(&mut event, with_vars);
        Subject {
            content: Content::Json(event),
            metadata: self.subject.metadata.clone(),
        }
    }

    pub(super) fn put_instance(&self, event: &mut Value, with_vars: bool) {
        let Value::Object(members) = event else {
            return;
        };
        let mut instance = ObjectMap::new();
        instance.insert("key".into(), Value::from(&*self.context.key));
        instance.insert(
            "id".into(),
            self.context
                .id
                .as_deref()
                .map_or(Value::from(""), Value::from),
        );
        if with_vars {
            instance.insert("vars".into(), self.vars().clone());
        }
        members.insert("instance".into(), Value::Object(instance));
    }
}

pub(super) fn run_trouble(what: &str, error: &wardline_mapping::RunError) -> Trouble {
    Trouble {
        code: codes::STEP_FAILED,
        text: format!("`{what}`: {error}"),
    }
}

/// The variable that an event's data becomes.
pub(super) fn variable_of(event: &str) -> &str {
    event.split('.').next().unwrap_or(event)
}
