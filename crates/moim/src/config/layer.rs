//! What one source says: checked values by key, each with its origin, in the form that the `config` crate layers.
//! Not here: reading a source (`file`, `environment`), which source wins (`config`).

use ::config::{ConfigError, Map, Source, Value};

use super::{
    catalogue::{Key, Section},
    fault::Fault,
    value::{Written, checked},
};

/// The good values of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    values: Map<String, Value>,
}

impl Layer {
    /// Takes a value if the key takes it; else its fault goes to `faults`.
    pub(crate) fn take(
        &mut self,
        (section, key): (&Section, &Key),
        written: &Written,
        origin: &str,
        faults: &mut Vec<Fault>,
    ) {
        let path = format!("{}.{}", section.name, key.name);
        match checked(key.kind, key.secret, written, origin) {
            Ok(value) => drop(self.values.insert(path, value)),
            Err(problem) => faults.push(Fault::of_key(Some(origin), &path, &problem)),
        }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.clone())
    }
}
