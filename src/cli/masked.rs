//! Values that are not shown when they are refused: a password may be in them.

use std::ffi::OsStr;

use clap::{
    Arg, Command,
    builder::TypedValueParser,
    error::ErrorKind::{InvalidUtf8, ValueValidation},
};

/// Parses as the function does. clap's own parsers repeat what they refuse.
#[derive(Clone)]
pub(super) struct Masked<T>(pub(super) fn(&str) -> Result<T, String>);

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Masked<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let refuse = |kind, problem: &str| {
            let arg = arg.map(Arg::to_string).unwrap_or_default();
            let text = format!("{arg}: {problem} (what was given is not shown)\n");
            command.clone().error(kind, text)
        };
        let text = value
            .to_str()
            .ok_or_else(|| refuse(InvalidUtf8, "expected UTF-8"))?;
        (self.0)(text).map_err(|problem| refuse(ValueValidation, &problem))
    }
}
