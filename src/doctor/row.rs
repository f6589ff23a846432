use serde::Serialize;

use super::Stage;

/// Something that can be found: a row of the table.
#[derive(Debug)]
pub struct Row {
    /// Its stable code, such as `RDK-TLS-02`.
    pub code: &'static str,
    /// Where it is found.
    pub stage: Stage,
    /// How bad it is, unless a finding says otherwise.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How it is found.
    pub found: &'static str,
    /// How to fix it.
    pub fix: &'static str,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work.
    Problem,
    /// It works, and may not always.
    Warning,
    /// Worth knowing.
    Note,
}

/// Makes a static per row, and `ROWS` of all of them.
macro_rules! rows {
    ($stage:ident: $($name:ident $code:literal $severity:ident
        $title:literal why $why:literal found $found:literal fix $fix:literal;)*) => {
        $(
            #[doc = $title]
            pub(in crate::doctor) static $name: crate::doctor::Row = crate::doctor::Row {
                code: $code,
                stage: crate::doctor::Stage::$stage,
                severity: crate::doctor::Severity::$severity,
                title: $title,
                why: $why,
                found: $found,
                fix: $fix,
            };
        )*
        /// All rows of this stage.
        pub(super) static ROWS: &[&crate::doctor::Row] = &[$(&$name),*];
    };
}

pub(super) use rows;
